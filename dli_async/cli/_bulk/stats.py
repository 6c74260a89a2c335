"""What a bulk run has come to so far: ends, rows, bytes, rate and time to go."""

from __future__ import annotations

import math
from collections import Counter
from enum import StrEnum

import anyio

from ..._export.errors import JobCancelled, JobLost, JobTimeout, SubmitInDoubt
from ..._values.enums import JobStatus
from ..._values.spec import ExportSpec
from ...bulk import BulkEvent, ExportEnded, ExportOutcome, ExportStatusChanged, ExportSubmitted
from .._shell.output import counted

_UNITS = ("kB", "MB", "GB", "TB")


class End(StrEnum):
    """How an export of a bulk run ended.

    One that is `INCOMPLETE` has finished, and its files are not complete, or could not be looked at
    or fetched.
    """

    FINISHED = "finished"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    IN_DOUBT = "in doubt"
    TIMED_OUT = "timed out"

    @classmethod
    def of(cls, outcome: ExportOutcome) -> End:
        """The end that an outcome tells of."""
        if outcome.result is not None and outcome.error is not None:
            return cls.INCOMPLETE
        for kind, end in _ENDS:
            if isinstance(outcome.error, kind):
                return end
        return cls.FINISHED


_ENDS: tuple[tuple[type[Exception], End], ...] = (
    (JobCancelled, End.CANCELLED),
    (JobLost, End.LOST),
    (SubmitInDoubt, End.IN_DOUBT),
    (JobTimeout, End.TIMED_OUT),
    (Exception, End.FAILED),
)


class RunStats:
    """Counts the exports of a run.

    Attributes:
        total: how many there are.
        ends: how many have ended, by how.
        resumed: how many of these had ended in an earlier run.
        rows, size: what the finished ones came to, in rows and bytes, as the service tells them.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.ends: Counter[End] = Counter()
        self.resumed = self.rows = self.size = 0
        self._running: dict[ExportSpec, JobStatus | None] = {}
        self._started = anyio.current_time()

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.ends.total()

    @property
    def seconds(self) -> float:
        """How long the run has lasted."""
        return anyio.current_time() - self._started

    def add(self, event: BulkEvent) -> None:
        """Counts an event."""
        match event:
            case ExportSubmitted(spec=spec):
                self._running[spec] = None
            case ExportStatusChanged(spec=spec, status=status):
                self._running[spec] = status
            case ExportEnded(outcome=outcome):
                self._add_end(outcome)

    def _add_end(self, outcome: ExportOutcome) -> None:
        self._running.pop(outcome.spec, None)
        self.ends[End.of(outcome)] += 1
        self.resumed += outcome.resumed
        if outcome.result is not None:
            self.rows += outcome.result.row_count or 0
            self.size += outcome.result.input_size or 0

    def rate(self) -> float:
        """Exports that end in a second, without those that had ended before."""
        return (self.ended - self.resumed) / max(self.seconds, 1e-9)

    def eta(self) -> float:
        """Seconds to go, if it goes on like this; infinite while nothing has ended."""
        return (self.total - self.ended) / rate if (rate := self.rate()) else math.inf

    def counts(self) -> str:
        """How many are how far; what is zero is left out."""
        running = sum(status is JobStatus.RUNNING for status in self._running.values())
        landing = sum(status is JobStatus.FINISHED for status in self._running.values())
        submitted = len(self._running) - running - landing
        waiting = self.total - self.ended - len(self._running)
        ends = [(str(end), self.ends[end]) for end in End]
        under_way = [("at their files", landing), ("running", running)]
        under_way += [("submitted", submitted), ("waiting", waiting)]
        return ", ".join(f"{count:,} {word}" for word, count in [*ends, *under_way] if count)

    def amounts(self) -> str:
        """Rows and bytes."""
        return f"{counted(self.rows, 'row')}, {size_text(self.size)}"

    def pace(self) -> str:
        """Rate, and time to go."""
        eta = self.eta()
        left = "" if math.isinf(eta) or self.ended == self.total else f", ETA {span_text(eta)}"
        rate = self.rate()
        return f"{f'{rate:.1f}/s' if rate >= 1 else f'{rate * 60:.1f}/min'}{left}"


def size_text(size: int) -> str:
    """Bytes for people, in decimal units."""
    if size < 1_000:
        return counted(size, "byte")
    power = min(int(math.log10(size)) // 3, len(_UNITS))
    return f"{size / 1_000**power:.1f} {_UNITS[power - 1]}"


def span_text(seconds: float) -> str:
    """A span as h:mm:ss, or m:ss if it is shorter than an hour."""
    minutes, second = divmod(math.ceil(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
