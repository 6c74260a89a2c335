"""Every error of the library, one tree.

* DliError
  * ConfigurationError        the client cannot work as it was set up; nothing was sent
  * ClientClosed              used before or after `async with`; nothing was sent
  * InvalidExport (ValueError)  a spec breaks a rule; nothing was sent
  * RequestError              no usable answer
    * RequestNotSent          provably never left: safe to repeat
    * ResponseLost            it may have been carried out
    * InvalidResponse         an answer that cannot be understood
  * ApiError                  the service, the gateway or IAM said no
    * AuthenticationError
    * PermissionDenied
    * NotFound
    * AlreadyExists
      * FolderExists          seen by the client; nothing was sent
    * ResultExpired
    * RateLimited
    * QuotaExceeded
    * ServerError
  * SubmitInDoubt             the export may or may not exist
  * JobError                  about one job, which can be awaited again
    * JobFailed
    * JobCancelled
    * JobLost                 the service knows no such job, or another one by its id
    * JobTimeout (TimeoutError)  the wait ended; the job may still run
  * JournalError
  * FilesError                about the files on OBS; more kinds are in `dli_async.obs`
    * VerificationFailed      the files of an export are not complete
"""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

E = TypeVar("E", bound=Exception)


class DliError(Exception):
    """The base of every error that this library raises on purpose.

    Errors can be pickled.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        state = {**self.__dict__, "args": self.args}
        return copyreg.__newobj__, (type(self), *self.args), state  # type: ignore[attr-defined]


class ConfigurationError(DliError):
    """Raised when the client cannot work as it was set up. Nothing was sent."""


class ClientClosed(DliError):
    """Raised when a client is used before `async with`, or after it, or closes in mid-wait.

    Jobs that were accepted run on; `ExportJob.token` resumes them.
    """


@dataclass(frozen=True)
class Problem:
    """One broken rule of a spec: the field's name, the value given, and the rule in words."""

    field: str
    value: Any
    rule: str

    def __str__(self) -> str:
        return f"{self.field}={self.value!r}: {self.rule}"


class InvalidExport(DliError, ValueError):
    """Raised when a spec breaks a rule of the service. Nothing was sent.

    Attributes:
        problems: every broken rule, in the order of the fields.
        field, value, rule: those of the first one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        self.field, self.value, self.rule = first.field, first.value, first.rule
        super().__init__("; ".join(str(problem) for problem in self.problems))


class RequestError(DliError):
    """Raised when an exchange gave no usable answer.

    Attributes:
        job_id: the job that was asked about, where the error ended a wait; else None.
        retry_after: always None here; see `RateLimited`.
    """

    job_id: str | None = None
    retry_after: float | None = None


class RequestNotSent(RequestError):
    """Raised when a request provably never left this machine, so that repeating it is safe."""


class ResponseLost(RequestError):
    """Raised when a request left and its answer did not come: it may have been carried out."""


class InvalidResponse(RequestError):
    """Raised when an answer came that cannot be understood: not JSON, fields missing, too large.

    Attributes:
        status_code: the HTTP status of the answer.
        text: the first 500 characters of its body.
        request_id: the service's id of the exchange, or None.
    """

    def __init__(
        self, message: str, *, status_code: int, text: str = "", request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.text = text[:500]
        self.request_id = request_id


class ApiError(DliError):
    """Raised when the service, its gateway or IAM refused a request.

    A 200 answer with `is_success: false` is one too.

    Attributes:
        status_code: HTTP status.
        error_code: such as `DLI.0002` or `APIGW.0301`; "" where the answer has none.
        error_msg: the service's own words.
        request_id: the service's id of the exchange, or None.
        retry_after: seconds the service asked to wait, or None.
        job_id: the job that was asked about, where the error ended a wait; else None.
    """

    job_id: str | None = None

    def __init__(
        self,
        error_msg: str,
        *,
        status_code: int,
        error_code: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status_code = status_code
        self.error_code = error_code
        self.error_msg = error_msg
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(error_msg)

    def __str__(self) -> str:
        said = f"{self.error_code}: {self.error_msg}" if self.error_code else self.error_msg
        where = f"HTTP {self.status_code}"
        if self.request_id:
            where += f", request {self.request_id}"
        return f"{said or 'no message'} ({where})"


class AuthenticationError(ApiError):
    """Raised when the credentials were refused (401, DLI.0013 to 0016, APIGW.0301 ...)."""


class PermissionDenied(ApiError):
    """Raised when the credentials are good but do not allow this.

    Codes: 403, DLI.0003, DLI.0011, APIGW.0502 (a frozen app).
    """


class NotFound(ApiError):
    """Raised when a job, table, database or queue does not exist (DLI.0002, DLI.0023, 404).

    An address that the gateway does not know (APIGW.0101) is a plain `ApiError`: it tells of the
    endpoint, not of the thing that was asked about.
    """


class AlreadyExists(ApiError):
    """Raised when the target exists already (DLI.0006, or the words `already exists`)."""


class FolderExists(AlreadyExists):
    """Raised when the folder of an ErrorIfExists export by SQL exists. Nothing was sent.

    It is the client that has seen it, so that `status_code` is 0 and there is no `error_code`.
    """

    def __init__(self, error_msg: str, *, status_code: int = 0, **more: Any) -> None:
        super().__init__(error_msg, status_code=status_code, **more)

    def __str__(self) -> str:
        return f"{self.error_msg} already exists, and the export is to fail then; it was not sent"


class ResultExpired(ApiError):
    """Raised when the service does not keep the result of a query any more (DLI.0100)."""


class RateLimited(ApiError):
    """Raised when the service throttles (429, APIGW.0308); `retry_after` is in seconds."""


class QuotaExceeded(ApiError):
    """Raised when a quota or system limit is used up (DLI.0009, DLI.1028, APIGW.0501)."""


class ServerError(ApiError):
    """Raised when the service failed (5xx, 408, DLI.0999, DLI.0012, DLI.0019)."""


class JournalError(DliError):
    """Raised when the record of a bulk run cannot be written, read or locked."""


def twin_of(error: E) -> E:
    """The same error again, to be raised in another task: tracebacks and notes grow."""
    twin = type(error).__new__(type(error), *error.args)
    vars(twin).update(vars(error))
    if hasattr(twin, "__notes__"):
        twin.__notes__ = [*error.__notes__]
    return twin
