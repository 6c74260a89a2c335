"""Who awaits a job, and what is told when the last one leaves before its end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from ._errors import ClientClosed, JobError, NotFound, SubmitInDoubt

if TYPE_CHECKING:
    from ._job import ExportJob

CLOSED_MEANWHILE = (
    "the client was closed while this wait was under way; a job that was accepted runs on"
)

# A service that lets go of jobs for months must not grow for ever; the log has all of them.
MOST_DETACHED = 10_000

_log = logging.getLogger("dli_async.submit")


class Awaiting:
    """Counts one who awaits a job, for as long as the block runs.

    The job is put into errors that leave the block, so that whoever catches them can go on with
    it. A class, since a generator would take 300 bytes more, which counts where thousands wait.
    """

    __slots__ = ("_job",)

    def __init__(self, job: ExportJob) -> None:
        self._job = job

    def __enter__(self) -> None:
        submission = self._job.submission
        submission.awaiters += 1
        submission.let_go = False
        self._job.context.detached.pop(submission, None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        submission = self._job.submission
        submission.awaiters -= 1
        if error is not None:
            is_wrong = isinstance(error, NotFound) and not _known_to_exist(self._job)
            submission.let_go = not (submission.awaiters or self._job.ended or is_wrong)
            note_detached(self._job, logging.INFO)
        if isinstance(error, JobError | SubmitInDoubt):
            error.job = self._job


class UntilClosed:
    """A wait that ends with `ClientClosed` when its client closes; a class for the same reason.

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


def _known_to_exist(job: ExportJob) -> bool:
    """Whether the service accepted the job or showed it; an id from elsewhere may be wrong."""
    is_ours = job.spec is not None or job.context.registry.owns(job.job_id or "")
    return is_ours or job.report is not None


@contextmanager
def absence_noted(job: ExportJob) -> Iterator[None]:
    """Lets go of an id that turns out never to have been right."""
    try:
        yield
    except NotFound:
        if not _known_to_exist(job):
            job.submission.let_go = False
            note_detached(job)
        raise


def note_detached(job: ExportJob, level: int = logging.WARNING) -> None:
    """Lists a job that nobody awaits any more, and logs how to resume it."""
    if not job.submission.let_go or not (job.job_id or job.in_doubt):
        job.context.detached.pop(job.submission, None)
        return
    job.context.detached[job.submission] = job
    if len(job.context.detached) > MOST_DETACHED:
        del job.context.detached[next(iter(job.context.detached))]
    where = f"runs on as job {job.job_id}" if job.job_id else "may have been accepted"
    name = job.spec or "the export"
    _log.log(level, "nobody awaits %s any more; it %s; token to resume: %s", name, where, job.token)
