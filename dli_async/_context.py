"""What the jobs of one client share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ._api import Api
from ._events import Emitter
from ._policies import PollPolicy, RetryPolicy, SubmitPolicy
from ._polling import StatusSource
from ._registry import Registry
from ._watch import Watch

if TYPE_CHECKING:
    from ._job import ExportJob
    from ._submission import Submission


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What the jobs of one client share.

    Attributes:
        api: the endpoints; raises `ClientClosed` outside `async with`.
        until_closed: a scope that ends with `ClientClosed` when the client closes.
        status_source: answers for jobs that are not left to the watch.
        watch: answers for all jobs together; None if the client has a `status_source`.
        detached: accepted jobs, and jobs in doubt, that nobody awaits any more.
    """

    api: Callable[[], Api]
    until_closed: Callable[[], AbstractContextManager[None]]
    status_source: StatusSource
    watch: Watch | None
    submit: SubmitPolicy
    retry: RetryPolicy
    polling: PollPolicy
    emit: Emitter
    registry: Registry = field(default_factory=Registry)
    detached: dict[Submission, ExportJob] = field(default_factory=dict)


class HasContext(Protocol):
    """A `DliClient`, for those who need no more of it."""

    @property
    def job_context(self) -> JobContext:
        """What its jobs share."""
