"""What a client tells whoever watches it: `DliClient(on_event=...)` is called with these."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass

from .enums import JobStatus
from .errors import ConfigurationError
from .spec import ExportSpec

_log = logging.getLogger("dli_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """One exchange ended.

    `status_code` is None without an answer, `error` is None unless it failed, and `duration` is in
    seconds.
    """

    method: str
    path: str
    status_code: int | None
    error: str | None
    request_id: str | None
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryEvent:
    """An exchange will be repeated after `delay` seconds; `attempt` counts those made."""

    method: str
    path: str
    attempt: int
    delay: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitEvent:
    """An export was accepted as `job_id`."""

    spec: ExportSpec
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookEvent:
    """The client looked for the job of a submit whose answer was lost; `found` lists their ids."""

    spec: ExportSpec
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionEvent:
    """A look found the job of a submit whose answer was lost."""

    spec: ExportSpec
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEvent:
    """A job was seen in another state; `previous` is None at the first look."""

    job_id: str
    status: JobStatus
    previous: JobStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEvent:
    """A job was seen to have ended; `error_code` is the DLI code in its message, or None."""

    job_id: str
    status: JobStatus
    error_code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTableGone:
    """The service has no export-table any more: the exports of tables go by SQL from now on.

    `spec` is the export that met it, and `error` what the service said.
    """

    spec: ExportSpec
    error: str


Event = (
    RequestEvent
    | RetryEvent
    | SubmitEvent
    | LookEvent
    | AdoptionEvent
    | StatusEvent
    | EndEvent
    | ExportTableGone
)


class Emitter:
    """Hands events to a listener, whose errors are logged and never reach the client.

    Raises:
        ConfigurationError: the listener is not a plain function.
    """

    def __init__(self, listener: Callable[[Event], object] | None) -> None:
        if listener is not None and not callable(listener):
            raise ConfigurationError(f"on_event={listener!r}: must be callable")
        if inspect.iscoroutinefunction(listener):
            raise ConfigurationError(f"on_event={listener!r}: must not be async; it is not awaited")
        self._listener = listener

    def __bool__(self) -> bool:
        """Whether anybody listens; events that nobody wants need not be made."""
        return self._listener is not None

    def __call__(self, event: Event) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:
            _log.exception("on_event failed for %s", type(event).__name__)
