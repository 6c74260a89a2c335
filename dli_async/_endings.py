"""What a report means to those who wait for its job: a change, a result, a failure, an end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from ._errors import (
    ApiError,
    ConfigurationError,
    JobCancelled,
    JobFailed,
    JobTimeout,
    RequestError,
    SubmitInDoubt,
)
from ._events import EndEvent, StatusEvent
from ._models import CancelOutcome, ExportResult, JobStatus, StatusReport
from ._reports import Reports

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


def check_wait(timeout: object, on_timeout: object = "detach") -> None:
    """Refuses limits of a wait that mean nothing.

    Raises:
        ConfigurationError: naming the value.
    """
    is_time = isinstance(timeout, int | float) and timeout >= 0
    if timeout is not None and not is_time:
        raise ConfigurationError(f"timeout={timeout!r}: must be seconds, and not negative")
    if on_timeout not in ("detach", "cancel"):
        raise ConfigurationError(f"on_timeout={on_timeout!r}: must be 'detach' or 'cancel'")


async def end_wait(
    job: ExportJob, reports: Reports, timeout: float, on_timeout: str, undone: str
) -> None:
    """Ends a wait whose time is up; returns only if the job turns out to have ended by itself.

    Args:
        undone: what an export without a job was waiting for: to be checked, or submitted.

    Raises:
        JobTimeout: with the job id, once a POST under way has told it.
        SubmitInDoubt: that POST's fate is unknown.
    """
    await job.submission.wait_in_flight()
    if job.ended:
        return
    if job.job_id is None and job.spec is not None and job.in_doubt:
        raise SubmitInDoubt(
            f"{job.spec}: whether its submit was accepted was not settled within {timeout:g} s",
            spec=job.spec,
        )
    if job.job_id is None:
        trouble = job.submission.trouble
        why = f": {trouble}" if trouble else ""
        rest = "" if undone == "submitted" else "; it was not submitted"
        words = f"{job.spec} was not {undone} within {timeout:g} s{rest}{why}"
        raise JobTimeout(words, job_id=None) from trouble
    fates = [f"job {job.job_id} was not seen to end within {timeout:g} s"]
    if on_timeout == "cancel":
        fates.append(await _fate_of_cancel(job))
        if job.ended and job.report and job.report.status is not JobStatus.CANCELLED:
            return
    if not job.ended:
        fates.append(_last_seen(reports))
    raise JobTimeout("; ".join(fates), job_id=job.job_id, report=job.report)


async def _fate_of_cancel(job: ExportJob) -> str:
    try:
        outcome = await job.cancel()
    except (ApiError, RequestError) as error:
        return f"it could not be cancelled ({error})"
    if outcome is CancelOutcome.NOT_CONFIRMED:
        return "its cancellation was asked for and not confirmed"
    return "it was cancelled"


def _last_seen(reports: Reports) -> str:
    if reports.seen_at is None:
        return "its status is not known yet"
    age = anyio.current_time() - reports.seen_at
    if reports.latest is None:
        return f"it had not ended when it was last seen, {age:.1f} s ago"
    word = reports.latest.raw_status or reports.latest.status
    return f"its last known status is {word}, seen {age:.1f} s ago"


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
        if job.context.watch is not None:
            job.context.watch.note_end(report)
        _log.info("job %s: %s", job_id, report.status)
        job.context.emit(
            EndEvent(job_id=job_id, status=report.status, error_code=report.error_code)
        )
