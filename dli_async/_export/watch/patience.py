"""What a look that failed means: noise to put up with for a while, or the end of waits."""

from __future__ import annotations

import anyio

from ..._http.transport import TRANSPORT_ERRORS
from ..._values.errors import ApiError, DliError, NotFound, twin_of
from ..._values.policies import PollPolicy, is_transient
from ..errors import JobTimeout
from .watched import WatchedJob


def is_noise(error: BaseException) -> bool:
    """Whether a look failed in a way that may pass, be it through us or a user's own source."""
    if isinstance(error, DliError):
        return is_transient(error)
    return isinstance(error, TRANSPORT_ERRORS)


def is_borne(job: WatchedJob, error: BaseException, policy: PollPolicy) -> bool:
    """Whether the waits for a job go on after a look at it that failed.

    Noise (no answer, throttling, server trouble) is put up with for `give_up_after`, and "no such
    job" while the job is new or was just seen. Facts (a refused login) end the waits at once.
    """
    now = anyio.current_time()
    if isinstance(error, NotFound):
        return now - job.seen_at < policy.missing_grace
    if not is_noise(error):
        return False
    if job.failing_since is None:
        job.failing_since = now
    return now - job.failing_since < policy.give_up_after


def end_of_wait(job: WatchedJob, error: Exception, policy: PollPolicy) -> Exception:
    """What the error that ended the waits for a job means for one of them.

    Each wait gets an error of its own, since tracebacks and notes grow; but a user's own exception
    is not copied, since nobody knows how.
    """
    if is_noise(error):
        return JobTimeout(
            f"looking at job {job.job_id} kept failing for {policy.give_up_after:g} s; "
            f"the job may still run (last: {error})",
            job_id=job.job_id,
            report=job.report,
        )
    if not isinstance(error, DliError):
        return error
    fact = twin_of(error)
    if isinstance(fact, ApiError):
        fact.job_id = job.job_id
        fact.add_note(f"while waiting for job {job.job_id}")
    return fact
