"""What a bulk run tells: outcomes, and events on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._values.enums import JobStatus
from .._values.reports import StatusReport
from .._values.results import ExportResult
from .._values.spec import ExportSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOutcome:
    """How one export of a bulk run ended: with a `result`, or with an `error`.

    Attributes:
        spec: the export as it was asked for. With `attempts`, `result.data_path` may be a fresh
            folder; see `export_many`.
        job_id: its job, the last one if there were several; None if it was never accepted.
        result: what it came to, or None.
        error: why there is no result: `JobFailed`, `JobCancelled`, `JobTimeout`, `InvalidExport`,
            `SubmitInDoubt`, an `ApiError` and so on; or None. With a result it is why its files
            are not as wanted: `VerificationFailed`, or what kept them from being looked at or
            fetched, such as a `RequestError` or an `OSError`.
        attempts: how many jobs were tried.
        resumed: whether the journal knew the end from an earlier run, so that nothing was sent.
        verified: whether its files were found complete, by this run or, as the journal tells, by
            an earlier one; only the run that looks has `result.verification`.
        fetched_to: the local folder that has all of its files, likewise; or None.
    """

    spec: ExportSpec
    job_id: str | None
    result: ExportResult | None
    error: Exception | None
    attempts: int = 1
    resumed: bool = False
    verified: bool = False
    fetched_to: Path | None = None

    @classmethod
    def of(cls, spec: ExportSpec, end: ExportResult | Exception, **more: Any) -> ExportOutcome:
        """The outcome that a result or an error makes."""
        if isinstance(end, ExportResult):
            return cls(spec=spec, result=end, error=None, **more)
        return cls(spec=spec, result=None, error=end, **more)

    @property
    def ok(self) -> bool:
        """Whether the export has finished, and its files are as they were wanted."""
        return self.error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlanned:
    """A spec was read and will be exported."""

    spec: ExportSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSubmitted:
    """An export, as it was asked for, is a job now; `resumed` if an earlier run submitted it."""

    spec: ExportSpec
    job_id: str
    attempt: int
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportStatusChanged:
    """The job of an export was seen in another state."""

    spec: ExportSpec
    status: JobStatus
    report: StatusReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportEnded:
    """An export has ended, well or not."""

    outcome: ExportOutcome


BulkEvent = ExportPlanned | ExportSubmitted | ExportStatusChanged | ExportEnded
OnEvent = Callable[[BulkEvent], object]


def raise_for_failures(outcomes: Iterable[ExportOutcome]) -> None:
    """Raises an `ExceptionGroup` of the errors among outcomes, if there are any."""
    every = list(outcomes)
    errors = [outcome.error for outcome in every if outcome.error is not None]
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(every)} exports failed", errors)
