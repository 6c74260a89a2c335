"""Errors that carry the job they are about; the whole tree is drawn in `_values/errors.py`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

from .._values.errors import DliError
from .._values.reports import StatusReport
from .._values.results import CancelOutcome, ExportResult
from .._values.spec import ExportSpec


class JobHandle(Protocol):
    """The job of an error, which can be awaited again: an `ExportJob`."""

    @property
    def job_id(self) -> str | None:
        """The service's id; None until the export was accepted."""

    @property
    def report(self) -> StatusReport | None:
        """The latest report that was seen; None before the first look."""

    @property
    def token(self) -> str:
        """The text from which another process goes on."""

    def __await__(self) -> Generator[Any, Any, ExportResult]: ...

    async def status(self) -> StatusReport:
        """One look at the job."""

    async def cancel(self) -> CancelOutcome:
        """Cancels the job at the service."""


class _HoldsJob(DliError):
    """An error that carries its job; a pickled copy has none, since a job belongs to its client."""

    def __init__(self, message: str, job: JobHandle | None) -> None:
        super().__init__(message)
        self.job = job

    def __reduce__(self) -> tuple[Any, ...]:
        make, args, state = super().__reduce__()
        return make, args, {**state, "job": None}


class SubmitInDoubt(_HoldsJob, DliError):
    """Raised when an export may or may not have been accepted and looking did not settle it.

    Attributes:
        spec: the export.
        found: rows of jobs that could be this export; empty when none was seen.
        job: the job; awaiting it again looks first, and posts only when that is safe.
    """

    def __init__(
        self,
        message: str,
        *,
        spec: ExportSpec,
        found: Sequence[Any] = (),
        job: JobHandle | None = None,
    ) -> None:
        super().__init__(message, job)
        self.spec = spec
        self.found = tuple(found)


class JobError(_HoldsJob, DliError):
    """The base of errors about one job.

    Attributes:
        job_id: the job's id, or None when it was never accepted.
        report: the last `StatusReport` seen, or None.
        job: the job itself, which can be awaited again.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None,
        report: StatusReport | None = None,
        job: JobHandle | None = None,
    ) -> None:
        super().__init__(message, job)
        self.job_id = job_id
        self.report = report

    @property
    def error_code(self) -> str:
        """The DLI code found in the job's message, such as `DLI.0999`; "" if there is none."""
        return (self.report.error_code or "") if self.report else ""


class JobFailed(JobError):
    """Raised when the job ended as FAILED; `report.message` has the service's reason."""


class JobCancelled(JobError):
    """Raised when the job ended as CANCELLED, by whomever."""


class JobLost(JobError):
    """Raised when the service shows another export under the job's id, or no job any more.

    Its files, if there are any, tell what became of the export.
    """


class JobTimeout(JobError, TimeoutError):
    """Raised when a wait ended and the job was not seen to end: it may still run."""
