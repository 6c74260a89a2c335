"""What an HTTP answer means: the failure shapes of the service, its gateway, IAM and proxies.

Sources: error codes dli_02_0056; the gateway's codes (`APIGW.` and `APIG.` share numbers).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from .._values.enums import JobStatus
from .._values.errors import (
    AlreadyExists,
    ApiError,
    AuthenticationError,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    RateLimited,
    ResultExpired,
    ServerError,
)
from .._values.parsing import find_code
from .mending import mended

# The rest of the documented codes say no more than the HTTP status does.
_BY_CODE: dict[str, type[ApiError]] = {
    "DLI.0002": NotFound,
    "DLI.0003": PermissionDenied,
    "DLI.0006": AlreadyExists,
    "DLI.0009": QuotaExceeded,
    "DLI.0011": PermissionDenied,
    "DLI.0012": ServerError,
    "DLI.0013": AuthenticationError,
    "DLI.0014": AuthenticationError,
    "DLI.0015": AuthenticationError,
    "DLI.0016": AuthenticationError,
    "DLI.0019": ServerError,
    "DLI.0023": NotFound,
    "DLI.0100": ResultExpired,
    "DLI.0999": ServerError,
    "DLI.1028": QuotaExceeded,
    "DLI.12004": NotFound,
    "APIGW.0101": ApiError,  # a wrong address, which is not a missing job or table
    "APIGW.0103": ServerError,
    "APIGW.0308": RateLimited,
    "APIGW.0501": QuotaExceeded,
    "APIGW.0502": PermissionDenied,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    408: ServerError,
    409: AlreadyExists,
    429: RateLimited,
    501: ApiError,
}
_ALREADY_EXISTS = re.compile(r"\balready exists?\b", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"\bthere is no \w+ named\b|\bdoes(n't| not) exists?\b|\bnot found\b", re.IGNORECASE
)
# The gateway prints the headers that it was sent when a signature does not fit.
_SECRET = re.compile(
    r"((?:x-auth-token|x-security-token|authorization)[\"']?\s*[:=]\s*)[^|\r\n\"']+", re.IGNORECASE
)

# What is larger is read away from the event loop.
_LARGE = 256 * 1024
_SEPARATORS = (b",", b"[", b"{")
MOST_VALUES = 200_000

# How much of a body is looked at for an error, and how long a secret in it may be.
_QUOTED = 256 * 1024
_LONGEST_SECRET = 16 * 1024
_LONGEST_WAIT = 366 * 24 * 3600.0

# Characters of a code or a request id, which are short where they are one.
_LONGEST_ID = 128
Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A usable answer: the JSON object, and what the headers tell.

    `retry_after` is in seconds.
    """

    status_code: int
    data: dict[str, Any]
    request_id: str | None
    retry_after: float | None
    content: bytes = field(default=b"", repr=False)
    redact: Redact = field(default=str, repr=False)

    @property
    def is_large(self) -> bool:
        """Whether what is made of it should be made away from the event loop."""
        return is_large(self.content)

    @property
    def text(self) -> str:
        """The beginning of the body, without secrets."""
        return _readable(self.content, self.redact)


def is_large(content: bytes) -> bool:
    """Whether a body should be read away from the event loop."""
    return len(content) > _LARGE


def read_answer(
    status_code: int, headers: Mapping[str, str], content: bytes, redact: Redact = str
) -> Answer:
    """The answer in a response.

    Args:
        redact: takes the secrets of a login out of a text of the service's.

    Raises:
        ApiError: the service, the gateway or IAM said no, also by 200 with `is_success: false`.
        InvalidResponse: the answer cannot be understood.
    """
    data = {} if status_code == 204 else _decode(content)
    if not 200 <= status_code < 300 or _says_no(data):
        raise _refusal(status_code, headers, data, _readable(content, redact), redact)
    if not isinstance(data, dict):
        text = _readable(content, redact)
        lack = (
            f"with more than {MOST_VALUES} values"
            if _is_crowded(content)
            else "without a JSON object"
        )
        raise InvalidResponse(
            f"HTTP {status_code} {lack}: {_line(text)!r}",
            status_code=status_code,
            text=text,
            request_id=request_id_of(headers),
        )
    return Answer(
        status_code,
        data,
        request_id_of(headers),
        retry_after_of(headers),
        content,
        redact,
    )


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The service's id of an exchange, which its support asks for."""
    return headers.get("x-request-id") or headers.get("x-iam-trace-id")


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The server's clock at its answer."""
    return http_date(headers.get("date"))


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait from a `Retry-After` in either form (RFC 9110 section 10.2.3)."""
    text = (headers.get("retry-after") or "").strip()
    if not text:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return min(float(text), _LONGEST_WAIT)
    until = http_date(text)
    if until is None:
        return None
    # The server's own clock, if it tells it: ours may be wrong.
    now = date_of(headers) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), _LONGEST_WAIT)


@lru_cache(maxsize=16)  # it changes once a second, and is read for each POST
def http_date(text: str | None) -> datetime | None:
    """The moment that a `Date` or `Retry-After` header names; None if it names none."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _decode(content: bytes) -> Any:
    """The JSON in a body; None where there is none, or more of it than is read."""
    text = content.removeprefix(BOM_UTF8)
    if _is_crowded(text):
        return None
    try:
        return from_json(text)
    except ValueError:
        return mended(text)


def _is_crowded(content: bytes) -> bool:
    """Whether a large body holds more values than may be read at once.

    Reading holds the interpreter's lock, and small values take thirty times their length of memory.
    Text is cheap but for its escapes, of which five take as long as a value.
    """
    if not is_large(content):
        return False
    room = MOST_VALUES * 5
    for start in range(0, len(content), _LARGE):
        part = content[start : start + _LARGE]
        room -= sum(map(part.count, _SEPARATORS)) * 5 + part.count(b"\\")
        if room < 0:
            return True
    return False


def _says_no(data: Any) -> bool:
    """Whether a 200 is a refusal; one that tells the state of a job is an answer all the same."""
    flag = data.get("is_success") if isinstance(data, dict) else None
    if flag is False or (isinstance(flag, str) and flag.strip().lower() == "false"):
        return JobStatus.read(data.get("status")) is JobStatus.UNKNOWN
    return False


def _refusal(
    status_code: int, headers: Mapping[str, str], data: Any, text: str, redact: Redact
) -> ApiError:
    code, message, request_id = _words(data)
    message = _masked(message, redact) or _line(text)
    if not message and "location" in headers:
        message = f"redirects are not followed (to {_masked(headers['location'], redact)})"
    code = _masked(code, redact)[:_LONGEST_ID] or find_code(message) or ""
    request_id = _masked(request_id, redact)[:_LONGEST_ID]
    return _error_class(status_code, code, message)(
        message,
        status_code=status_code,
        error_code=code,
        request_id=request_id or request_id_of(headers),
        retry_after=retry_after_of(headers),
    )


def _words(data: Any) -> tuple[str, str, str]:
    """Code, message and request id, in any of the spellings that are about."""
    if not isinstance(data, dict):
        return "", "", ""
    bodies = [data, *(value for value in data.values() if isinstance(value, dict))]
    coded = [body for body in bodies if _first(body, "error_code", "errorCode", "code")]
    body = coded[0] if coded else data
    return (
        _first(body, "error_code", "errorCode", "code"),
        _first(body, "error_msg", "errorMsg", "message", "title"),
        _first(body, "request_id") or _first(data, "request_id"),
    )


def _first(body: Mapping[str, Any], *names: str) -> str:
    values = (body.get(name) for name in names)
    return next((str(value) for value in values if value and not isinstance(value, dict)), "")


def _error_class(status_code: int, code: str, message: str) -> type[ApiError]:
    by_code = _BY_CODE.get(code.replace("APIG.", "APIGW.", 1))
    by_status = _BY_STATUS.get(status_code, ServerError if status_code >= 500 else None)
    if by_code or by_status:
        return by_code or by_status or ApiError
    if _ALREADY_EXISTS.search(message):
        return AlreadyExists
    if _NOT_THERE.search(message):
        return NotFound
    return ApiError


def _readable(content: bytes, redact: Redact) -> str:
    return _masked(content[: _QUOTED + 1].decode("utf-8", "replace").strip(), redact)


def _masked(text: str, redact: Redact) -> str:
    """The beginning of a text without secrets; one that is cut in two would not be known."""
    masked = _SECRET.sub(r"\1***", redact(text[:_QUOTED]))
    return masked if len(text) <= _QUOTED else masked[:-_LONGEST_SECRET]


def _line(text: str) -> str:
    """The beginning of a text, fit for one line of a log."""
    return " ".join(text[:500].split())
