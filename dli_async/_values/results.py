"""What an export came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .enums import JobStatus
from .files import Fetched, Verification
from .reports import StatusReport
from .spec import ExportSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What a finished export came to.

    `spec` is None when the job was attached by id, `data_path` too unless the service was asked.
    `row_count` is in rows, `input_size` in bytes; None where the service did not say. `result_path`
    is the folder where the queue of a QUERY has kept all of its rows as csv, if it does that.
    `verification` and `fetched` are None unless `client.export` was asked for them.
    """

    job_id: str
    spec: ExportSpec | None
    status: JobStatus
    data_path: str | None
    row_count: int | None
    input_size: int | None
    started_at: datetime | None
    duration: timedelta | None
    queue_name: str | None
    report: StatusReport
    result_path: str | None = None
    verification: Verification | None = None
    fetched: Fetched | None = None

    @classmethod
    def of(cls, report: StatusReport, spec: ExportSpec | None) -> ExportResult:
        """The result that a terminal report and its spec make."""
        return cls(
            job_id=report.job_id,
            spec=spec,
            status=report.status,
            data_path=spec.data_path if spec else None,
            row_count=report.row_count_of(is_whole_table=spec.table is not None if spec else None),
            input_size=report.input_size,
            started_at=report.start_time,
            duration=report.duration,
            queue_name=report.queue_name or (spec.queue_name if spec else None),
            report=report,
            result_path=report.result_path,
        )


class CancelOutcome(StrEnum):
    """What became of a cancel: confirmed, too late, or not confirmed in time."""

    CANCELLED = "cancelled"
    ALREADY_ENDED = "already ended"
    NOT_CONFIRMED = "not confirmed"
