"""What a report means to those who wait for its job: a change, a result, a failure, an end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ._errors import ApiError, JobCancelled, JobFailed, JobTimeout, RequestError, SubmitInDoubt
from ._events import EndEvent, StatusEvent
from ._models import CancelOutcome, ExportResult, JobStatus, StatusReport

if TYPE_CHECKING:
    from ._job import ExportJob

_log = logging.getLogger("dli_async.watch")


def result_of(job: ExportJob) -> ExportResult:
    """The result of a job that has ended.

    Raises:
        JobFailed, JobCancelled: it ended so.
    """
    report = job.report
    assert report is not None
    if report.status is JobStatus.FINISHED:
        return ExportResult.of(report, job.spec)
    kind = JobFailed if report.status is JobStatus.FAILED else JobCancelled
    reason = f": {report.message}" if report.message else ""
    raise kind(
        f"job {job.job_id} ended as {report.status}{reason}",
        job_id=job.job_id,
        report=report,
    )


async def end_wait(job: ExportJob, timeout: float, on_timeout: str) -> None:
    """Ends a wait whose time is up; returns only if the job turns out to have finished.

    Raises:
        JobTimeout: with the job id, once a POST under way has told it.
        SubmitInDoubt: that POST's fate is unknown.
    """
    await job.submission.wait_in_flight()
    if job.ended:
        return
    fate = "still runs"
    if on_timeout == "cancel" and job.job_id is not None:
        try:
            fate = f"was to be cancelled: {await job.cancel()}"
        except (ApiError, RequestError) as error:
            fate = f"still runs, since it could not be cancelled ({error})"
        if job.report and job.report.status is JobStatus.FINISHED:
            return
    if job.job_id is None and job.spec is not None and job.in_doubt:
        raise SubmitInDoubt(
            f"{job.spec}: no more than {timeout:g} s were left to find out whether it was accepted",
            spec=job.spec,
        )
    what = f"job {job.job_id} {fate}" if job.job_id else f"{job.spec} was not submitted"
    raise JobTimeout(f"{timeout:g} s are over and {what}", job_id=job.job_id, report=job.report)


def cancel_outcome(job: ExportJob) -> CancelOutcome:
    """What the latest report says became of a cancel."""
    if job.report is None or not job.report.is_terminal:
        _log.warning("job %s: its cancellation was not confirmed", job.job_id)
        return CancelOutcome.NOT_CONFIRMED
    if job.report.status is JobStatus.CANCELLED:
        return CancelOutcome.CANCELLED
    return CancelOutcome.ALREADY_ENDED


def tell_change(job: ExportJob, report: StatusReport, before: StatusReport | None) -> None:
    """Tells log and listeners that a job was seen in another state, or at its end."""
    job_id = job.job_id or report.job_id
    previous = before.status if before else None
    if report.status is JobStatus.UNKNOWN:
        _log.warning("job %s: unknown status %r; waiting on", job_id, report.raw_status)
    job.context.emit(StatusEvent(job_id=job_id, status=report.status, previous=previous))
    if report.is_terminal:
        job.submission.let_go = False
        job.context.detached.pop(job.submission, None)
        _log.info("job %s: %s", job_id, report.status)
        job.context.emit(
            EndEvent(job_id=job_id, status=report.status, error_code=report.error_code)
        )
