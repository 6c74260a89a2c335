"""Who awaits a job, and what is told when the last one leaves before its end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

from .._values.enums import JobStatus
from .._values.errors import NotFound
from .._values.events import EndEvent, StatusEvent
from .._values.reports import StatusReport
from .._values.spec import ExportSpec
from .context import JobContext
from .errors import JobError, JobHandle, SubmitInDoubt
from .submit.submission import Submission

_log = logging.getLogger("dli_async.watch")


class Awaited(JobHandle, Protocol):
    """An `ExportJob`, as those who await it see it."""

    context: JobContext
    submission: Submission

    @property
    def spec(self) -> ExportSpec | None: ...

    @property
    def ended(self) -> bool: ...

    @property
    def in_doubt(self) -> bool: ...


class Awaiting:
    """Counts one who awaits a job, for as long as the block runs.

    The job is put into errors that leave the block, so that whoever catches them can go on with
    it. A class, since a generator would take 300 bytes more, which counts where thousands wait.
    """

    __slots__ = ("_job",)

    def __init__(self, job: Awaited) -> None:
        self._job = job

    def __enter__(self) -> None:
        submission = self._job.submission
        submission.awaiters += 1
        submission.abandoned = False
        self._job.context.detached.discard(submission)

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
            submission.abandoned = not (submission.awaiters or self._job.ended or is_wrong)
            note_detached(self._job, logging.INFO)
        if isinstance(error, JobError | SubmitInDoubt):
            error.job = self._job


def note_detached(job: Awaited, level: int = logging.WARNING) -> None:
    """Lists a job that nobody awaits any more, if it runs on or may do so."""
    if job.submission.abandoned and (job.job_id or job.in_doubt):
        job.context.detached.add(job.submission, job, level)
    else:
        job.context.detached.discard(job.submission)


@contextmanager
def absence_noted(job: Awaited) -> Iterator[None]:
    """Lets go of an id that turns out never to have been right."""
    try:
        yield
    except NotFound:
        if not _known_to_exist(job):
            job.submission.abandoned = False
            note_detached(job)
        raise


def tell_change(job: Awaited, report: StatusReport, before: StatusReport | None) -> None:
    """Tells log and listeners that a job was seen in another state, or at its end."""
    job_id = job.job_id or report.job_id
    previous = before.status if before else None
    if report.start_time is not None:
        job.submission.saw_start(report.start_time)
    if report.status is JobStatus.UNKNOWN:
        _log.warning("job %s: unknown status %r; waiting on", job_id, report.raw_status)
    job.context.emit(StatusEvent(job_id=job_id, status=report.status, previous=previous))
    if report.is_terminal:
        job.submission.abandoned = False
        job.context.detached.discard(job.submission)
        if job.spec is not None:
            job.context.registry.free_folder(job.spec.data_path, job.submission.export_id)
        if job.context.watch is not None:
            job.context.watch.note(report)
        _log.info("job %s: %s", job_id, report.status)
        job.context.emit(
            EndEvent(job_id=job_id, status=report.status, error_code=report.error_code)
        )


def _known_to_exist(job: Awaited) -> bool:
    """Whether the service accepted the job or showed it; an id from elsewhere may be wrong."""
    is_ours = job.spec is not None or job.context.registry.owns(job.job_id or "")
    return is_ours or job.report is not None
