"""What a report means to those who wait for its job: a result, a failure, an end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from .._values.enums import JobStatus
from .._values.errors import ApiError, ConfigurationError, NotFound, RequestError
from .._values.reports import StatusReport
from .._values.results import CancelOutcome, ExportResult
from .._values.spec import ExportSpec
from .errors import JobCancelled, JobFailed, JobLost, JobTimeout, SubmitInDoubt
from .submit.submission import Submission
from .watch.last_seen import LastSeen

_log = logging.getLogger("dli_async.watch")


def result_of(report: StatusReport | None, spec: ExportSpec | None) -> ExportResult:
    """The result of a job that has ended.

    Raises:
        JobFailed, JobCancelled: it ended so.
    """
    assert report is not None
    if report.status is JobStatus.FINISHED:
        return ExportResult.of(report, spec)
    kind = JobFailed if report.status is JobStatus.FAILED else JobCancelled
    reason = f": {report.message}" if report.message else ""
    raise kind(
        f"job {report.job_id} ended as {report.status}{reason}",
        job_id=report.job_id,
        report=report,
    )


def own_report(
    report: StatusReport, spec: ExportSpec | None, key: str | None = None
) -> StatusReport:
    """A report that may well be about the job of a spec.

    Args:
        key: the id with which it was posted, as far as that is known.

    Raises:
        JobLost: it is about another export.
    """
    other = spec.other_export(report, key) if spec is not None else None
    if other is not None:
        raise JobLost(
            f"job {report.job_id} is {other}, and not of {spec}",
            job_id=report.job_id,
            report=report,
        )
    return report


def unknown_job(job_id: str | None, error: NotFound) -> NotFound | JobLost:
    """What it means that something was not found; without a job it is a table or a queue."""
    if job_id is None:
        return error
    lost = JobLost(f"the service knows no job {job_id} ({error})", job_id=job_id)
    lost.__cause__ = error
    return lost


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
    submission: Submission,
    seen: LastSeen,
    timeout: float,
    undone: str,
    cancel: Callable[[], Awaitable[CancelOutcome]] | None,
) -> None:
    """Ends a wait whose time is up; returns only if the job turns out to have ended by itself.

    Args:
        undone: what an export without a job was waiting for: to be checked, or submitted.
        cancel: cancels the job, where that is wished for.

    Raises:
        JobTimeout: with the job id, once a POST under way has told it.
        SubmitInDoubt: that POST's fate is unknown.
    """
    await submission.wait_in_flight()
    if seen.ended:
        return
    if submission.job_id is None:
        raise _not_submitted(submission, timeout, undone)
    fates = [f"job {submission.job_id} was not seen to end within {timeout:g} s"]
    if cancel is not None:
        fates.append(await _fate_of_cancel(cancel))
        if seen.latest is not None and seen.ended and seen.latest.status is not JobStatus.CANCELLED:
            return
    if not seen.ended:
        fates.append(_last_seen(seen))
    raise JobTimeout("; ".join(fates), job_id=submission.job_id, report=seen.latest)


def _not_submitted(
    submission: Submission, timeout: float, undone: str
) -> SubmitInDoubt | JobTimeout:
    spec, trouble = submission.spec, submission.trouble
    if submission.open_departure is not None:
        return SubmitInDoubt(
            f"{spec}: whether its submit was accepted was not settled within {timeout:g} s",
            spec=spec,
        )
    why = f": {trouble}" if trouble else ""
    rest = "" if undone == "submitted" else "; it was not submitted"
    error = JobTimeout(f"{spec} was not {undone} within {timeout:g} s{rest}{why}", job_id=None)
    error.__cause__ = trouble
    return error


async def _fate_of_cancel(cancel: Callable[[], Awaitable[CancelOutcome]]) -> str:
    try:
        outcome = await cancel()
    except (ApiError, RequestError) as error:
        return f"it could not be cancelled ({error})"
    if outcome is CancelOutcome.NOT_CONFIRMED:
        return "its cancellation was asked for and not confirmed"
    return "it was cancelled"


def _last_seen(seen: LastSeen) -> str:
    if seen.seen_at is None:
        return "its status is not known yet"
    age = anyio.current_time() - seen.seen_at
    if seen.latest is None:
        return f"it had not ended when it was last seen, {age:.1f} s ago"
    word = seen.latest.raw_status or seen.latest.status
    return f"its last known status is {word}, seen {age:.1f} s ago"


def cancel_outcome(job_id: str, report: StatusReport | None) -> CancelOutcome:
    """What the latest report says became of a cancel."""
    if report is None or not report.is_terminal:
        _log.warning("job %s: its cancellation was not confirmed", job_id)
        return CancelOutcome.NOT_CONFIRMED
    if report.status is JobStatus.CANCELLED:
        return CancelOutcome.CANCELLED
    return CancelOutcome.ALREADY_ENDED
