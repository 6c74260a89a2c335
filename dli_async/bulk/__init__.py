"""Many exports at once: limits, outcomes as a stream, and resuming after a crash.

    async with client.export_many(specs, max_running=32, journal="run.db") as outcomes:
        async for outcome in outcomes:
            print(outcome.spec, outcome.error or outcome.result.row_count)

Every spec gives exactly one outcome, and one failure never cancels the others. Leaving the block,
by whatever way, leaves nothing running here; jobs that were accepted run on at the service, and
with a journal the same call goes on with them: also after `kill -9`.
"""

from ._export_many import Outcomes as Outcomes
from ._export_many import export_many as export_many
from ._outcomes import BulkEvent as BulkEvent
from ._outcomes import ExportEnded as ExportEnded
from ._outcomes import ExportOutcome as ExportOutcome
from ._outcomes import ExportPlanned as ExportPlanned
from ._outcomes import ExportStatusChanged as ExportStatusChanged
from ._outcomes import ExportSubmitted as ExportSubmitted
from ._outcomes import raise_for_failures as raise_for_failures

__all__ = [
    "BulkEvent",
    "ExportEnded",
    "ExportOutcome",
    "ExportPlanned",
    "ExportStatusChanged",
    "ExportSubmitted",
    "Outcomes",
    "export_many",
    "raise_for_failures",
]
