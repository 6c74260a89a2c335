"""What the jobs of one client share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import anyio

from .._http.api import Api
from .._values.errors import ClientClosed
from .._values.events import Emitter
from .._values.policies import PollPolicy, RetryPolicy, SubmitPolicy
from .._values.spec import ExportSpec
from .detached import Detached
from .submit.record import SubmitRecord
from .submit.registry import Registry
from .submit.submission import Submission
from .submit.ways import Ways
from .token import SavedJob
from .watch.polling import StatusSource
from .watch.watch import Watch

CLOSED_MEANWHILE = (
    "the client was closed while this wait was under way; a job that was accepted runs on"
)


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What the jobs of one client share.

    Attributes:
        api: the endpoints; raises `ClientClosed` outside `async with`.
        until_closed: a scope that ends with `ClientClosed` when the client closes.
        status_source: answers for jobs that are not left to the watch.
        watch: answers for all jobs together; None if the client has a `status_source`.
        ways: by which way exports are posted.
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
    detached: Detached[Any]
    registry: Registry[Submission]
    ways: Ways

    def submission(
        self, spec: ExportSpec | None, saved: SavedJob, record: SubmitRecord | None
    ) -> Submission:
        """The submit of an export: the one that other handles here have of it, or a new one."""
        # What keeps a record keeps its own, and learns from the registry what is known here.
        known_as = saved.export_id if record is None else None
        shared = self.registry.recall(known_as) or self.registry.recall(saved.job_id)
        submission = shared or Submission(
            self.api,
            spec,
            policy=self.submit,
            retry=self.retry,
            registry=self.registry,
            emit=self.emit,
            ways=self.ways,
            record=record,
            export_id=saved.export_id,
        )
        if spec is None and shared is None:
            # Attached by id: it belongs to no export of ours, and looks may find it.
            submission.job_id = saved.job_id
        else:
            submission.resume(saved.job_id, saved.departure)
        return submission


class HasContext(Protocol):
    """A `DliClient`, for those who need no more of it."""

    @property
    def job_context(self) -> JobContext:
        """What its jobs share."""


class UntilClosed:
    """A wait that ends with `ClientClosed` when its client closes.

    A class, since a generator would take 300 bytes more, which counts where thousands wait.

    Args:
        scopes: those that the client cancels when it closes.
    """

    __slots__ = ("_scope", "_scopes")

    def __init__(self, scopes: set[anyio.CancelScope]) -> None:
        self._scopes = scopes
        self._scope = anyio.CancelScope()

    def __enter__(self) -> None:
        self._scopes.add(self._scope)
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._scopes.discard(self._scope)
        swallowed = self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise ClientClosed(CLOSED_MEANWHILE)
        return bool(swallowed)
