"""What went wrong, as an exit code, as one line, and as JSON."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from ..._export.errors import JobCancelled, JobFailed, JobHandle, JobLost, JobTimeout, SubmitInDoubt
from ..._export.job import ExportJob
from ..._values.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    DliError,
    InvalidExport,
    NotFound,
    RequestNotSent,
)
from ..._values.files import VerificationFailed

_LOGIN = "log in with DLI_TOKEN, or with HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"
_ENDPOINT = "the endpoint is that of --endpoint, DLI_ENDPOINT, --region or DLI_REGION"
_SHOWN = 5  # candidates at most in one line; the document has all


class Exit(IntEnum):
    """The exit codes of `dli-async`."""

    FINISHED = 0
    JOB_FAILED = 1
    USAGE = 2
    TIMED_OUT = 3
    SERVICE = 4
    IN_DOUBT = 5
    INTERRUPTED = 130


_CODES: tuple[tuple[type[DliError], Exit], ...] = (
    (JobFailed, Exit.JOB_FAILED),
    (JobCancelled, Exit.JOB_FAILED),
    (JobLost, Exit.JOB_FAILED),
    (JobTimeout, Exit.TIMED_OUT),
    (VerificationFailed, Exit.JOB_FAILED),
    (SubmitInDoubt, Exit.IN_DOUBT),
    (InvalidExport, Exit.USAGE),
    (ConfigurationError, Exit.USAGE),
)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a command did not do what it was asked.

    Attributes:
        code: the exit code.
        kind: the name of the error class, or `Interrupted`.
        message: one line, with how to go on.
        job_id, token: of the export it is about; None where there is none.
        status: the last that was seen of its job, or None.
        details: what else an `--json` document tells.
    """

    code: Exit
    kind: str
    message: str
    job_id: str | None = None
    token: str | None = None
    status: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """What an error means to the caller of the command."""
        job = getattr(error, "job", None)
        job_id = getattr(error, "job_id", None) or (job.job_id if job else None)
        code = next((code for kind, code in _CODES if isinstance(error, kind)), Exit.SERVICE)
        return cls(
            code=code,
            kind=type(error).__name__,
            message=one_line(f"{_words(error)}{_hint(error, code, job_id, job)}"),
            job_id=job_id,
            token=job.token if job else None,
            status=_status(job),
            details=_details(error),
        )

    @classmethod
    def interrupted(cls, job: ExportJob | None = None) -> Failure:
        """What an interrupt leaves behind."""
        return cls(
            code=Exit.INTERRUPTED,
            kind="Interrupted",
            message=f"interrupted{_fate(job)}",
            job_id=job.job_id if job else None,
            token=job.token if job else None,
            status=_status(job),
        )

    def document(self) -> dict[str, Any]:
        """The failure as `--json` prints it."""
        error = {"type": self.kind, "message": self.message, "exit_code": int(self.code)}
        return {
            "job_id": self.job_id,
            "status": self.status,
            "token": self.token,
            "error": error | self.details,
        }


def one_line(text: str) -> str:
    """A text without line breaks, and without what a terminal would take for a command."""
    joined = " ".join(text.split())
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in joined)


def _words(error: Exception) -> str:
    if isinstance(error, (DliError, OSError)):
        return str(error) or type(error).__name__
    return f"unexpected {type(error).__name__}: {error}"


def _hint(error: Exception, code: Exit, job_id: str | None, job: ExportJob | None) -> str:
    if isinstance(error, SubmitInDoubt):
        ways = [*candidates(error), *([f"look again with: {resume_with(job)}"] if job else [])]
        return "".join(f"; {way}" for way in ways)
    if job_id is None and isinstance(error, (AuthenticationError, RequestNotSent)):
        return f"; {_LOGIN if isinstance(error, AuthenticationError) else _ENDPOINT}"
    has_ended = bool(job and job.report and job.report.is_terminal)
    lost_sight = code is Exit.SERVICE and not isinstance(error, NotFound)
    if job_id is None or has_ended or not (code is Exit.TIMED_OUT or lost_sight):
        return ""
    return f"; resume with: dli-async wait {shlex.quote(job_id)}"


def candidates(doubt: SubmitInDoubt) -> list[str]:
    """Which jobs an export in doubt may be, and what to do with them; empty if none was seen."""
    ids = [row.job_id for row in doubt.found]
    if not ids:
        return []
    more = [f"{len(ids) - _SHOWN:,} more"] if len(ids) > _SHOWN else []
    jobs = " or ".join([*ids[:_SHOWN], *more])
    advice = "dli-async status JOB_ID tells of each, dli-async wait JOB_ID waits for the right one"
    return [f"it may be job {jobs}: {advice}"]


def _fate(job: ExportJob | None) -> str:
    if job is None:
        return ""
    if job.job_id is not None:
        return f"; job {job.job_id} runs on, resume with: {resume_with(job)}"
    if job.in_doubt:
        return f"; the export may have been accepted, look with: {resume_with(job)}"
    return "; nothing was submitted"


def resume_with(job: JobHandle) -> str:
    """The command that goes on with a job."""
    return f"dli-async wait {shlex.quote(job.job_id or job.token)}"


def _details(error: Exception) -> dict[str, Any]:
    if isinstance(error, ApiError):
        names = ("status_code", "error_code", "request_id")
        return {name: getattr(error, name) for name in names}
    if isinstance(error, SubmitInDoubt):
        return {"found": [row.job_id for row in error.found]}
    if isinstance(error, VerificationFailed):
        return {"differences": list(error.verification.differences)}
    return {"error_code": error.error_code} if isinstance(error, JobFailed) else {}


def _status(job: ExportJob | None) -> str | None:
    return str(job.report.status) if job and job.report else None
