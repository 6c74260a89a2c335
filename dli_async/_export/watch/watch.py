"""The shared watch: one adaptive sweep for all jobs of a client that somebody waits for.

Polling each job by itself does not scale, so those who wait share their looks. There is no
background task: the first who waits leads, the others sleep until there is news of their job. A
leader that leaves, or has news of its own to tell, hands the lead to one of the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ..._http.api import Api
from ..._http.wakeup import Wakeup, make_wakeup
from ..._values.errors import DliError
from ..._values.policies import PollPolicy, is_transient
from ..._values.reports import StatusReport
from .asker import Asker
from .polling import fact_about, kept_failing
from .sweep import Sweep
from .watched import Watched, WatchedJob

Seen = Callable[[StatusReport], Awaitable[None]]
Sight = Callable[[float], None]

# Seconds: a second job to wait for is looked at within this time, and looks are this far apart.
_NOTICE = 2.0
_APART = 1.0
_LONGEST_REST = 30.0


class _Waiter:
    """Somebody who waits; it sleeps until it is woken, unless it leads."""

    __slots__ = ("wakeup",)
    wakeup: Wakeup


class Watch:
    """Waits for jobs, all together.

    Args:
        api: the endpoints; an error of it ends all waits.
        polling: how a lone job is asked for, and how long noise is put up with.
    """

    def __init__(self, api: Callable[[], Api], polling: PollPolicy) -> None:
        self._policy = polling
        self._watched = Watched(self._wake_all)
        self._asker = Asker(api, self._watched, polling)
        self._sweep = Sweep(self._asker, self._watched)
        self._leader: _Waiter | None = None
        self._sleeping: dict[_Waiter, None] = {}
        self._lead_scope: anyio.CancelScope | None = None
        self._alarm: anyio.Event | None = None
        self._looked_at = -1e9
        self._next_look = 0.0
        self._failures = 0
        self._failing_since: float | None = None

    async def wait(
        self,
        job_id: str,
        seen: Seen,
        *,
        fresh: bool,
        left: Sight = lambda _: None,
    ) -> StatusReport:
        """Waits until a job has ended, and returns its last report.

        Args:
            seen: gets new reports of the job in this task; if several came meanwhile, the latest.
                The last one always comes. Its errors end this wait only.
            fresh: whether the job was just accepted; otherwise it may have ended long ago.
            left: called at the end of the wait with the moment at which a look last showed the
                job, which `seen` need not have heard of; not called if none did.

        Raises:
            JobTimeout: looks failed for `PollPolicy.give_up_after` seconds.
            ApiError: a fact that ends the wait, such as `NotFound` or `PermissionDenied`.
        """
        waiter = _Waiter()
        job = self._join(job_id, waiter, fresh)
        told: StatusReport | None = None
        try:
            while True:
                if job.report is not None and job.report is not told:
                    told = job.report
                    await seen(told)
                    if told.is_terminal:
                        return told
                elif job.error is not None:
                    raise self._ending(job, job.error) from job.error
                else:
                    await self._sleep_or_lead(waiter, job)
        finally:
            if job.look:
                left(job.seen_at)
            self._leave(job, waiter)

    def note_end(self, report: StatusReport) -> None:
        """Takes in the end of a job that was seen by other means; no-op if nobody waits for it."""
        if self._watched.see(report, anyio.current_time()) and self._alarm is not None:
            self._alarm.set()

    def close(self, error: Exception) -> None:
        """Ends all waits with an error, even that of a leader in mid-request."""
        self._end_all(error)
        if self._lead_scope is not None:
            self._lead_scope.cancel()

    def _join(self, job_id: str, waiter: _Waiter, fresh: bool) -> WatchedJob:
        now = anyio.current_time()
        job = self._watched.join(job_id, now, fresh=fresh)
        job.waiters.append(waiter)
        first = now + self._policy.initial_delay if fresh else now
        if len(self._watched.jobs) == 1 and len(job.waiters) == 1:
            self._failures = 0
            self._next_look = first
        elif job.report is not None:
            pass
        elif fresh:
            self._look_by(max(first, now + _NOTICE))
        else:
            self._look_by(max(first, self._looked_at + _APART))
        return job

    def _leave(self, job: WatchedJob, waiter: _Waiter) -> None:
        job.waiters.remove(waiter)
        if not job.waiters:
            self._watched.drop(job)
        if self._leader is waiter:
            # It was chosen but left before it could lead.
            self._hand_over()

    async def _sleep_or_lead(self, waiter: _Waiter, job: WatchedJob) -> None:
        if self._leader is None:
            self._leader = waiter
        if self._leader is waiter:
            try:
                with anyio.CancelScope() as self._lead_scope:
                    await self._lead(job)
            finally:
                self._hand_over()
            return
        waiter.wakeup = make_wakeup()
        self._sleeping[waiter] = None
        try:
            await waiter.wakeup.wait()
        finally:
            self._sleeping.pop(waiter, None)

    def _hand_over(self) -> None:
        # The latest to fall asleep: its job is likely to be the last to end.
        self._leader = None
        if self._sleeping:
            self._leader, _ = self._sleeping.popitem()
            self._leader.wakeup.set()

    def _wake_all(self, job: WatchedJob) -> None:
        for waiter in job.waiters:
            if waiter in self._sleeping:
                del self._sleeping[waiter]
                waiter.wakeup.set()

    async def _lead(self, job: WatchedJob) -> None:
        """Looks until there is news of the leader's own job."""
        told = job.report
        while job.report is told and job.error is None:
            delay = self._next_look - anyio.current_time()
            if delay > 0:
                await self._sleep(delay)
                continue
            try:
                await self._look()
            except Exception as error:  # whatever it is, nobody may be left to wait for ever
                self._end_all(error)

    async def _sleep(self, delay: float) -> None:
        self._alarm = anyio.Event()
        with anyio.move_on_after(delay):
            await self._alarm.wait()

    def _look_by(self, moment: float) -> None:
        if moment < self._next_look:
            self._next_look = moment
            if self._alarm is not None:
                self._alarm.set()

    async def _look(self) -> None:
        self._looked_at = started = anyio.current_time()
        try:
            await self._sweep.look()
        except DliError as error:
            if not is_transient(error):
                raise
            self._note_failure(error)
            return
        self._failures = 0
        now = anyio.current_time()
        self._next_look = max(started + self._pause(now), now)

    def _pause(self, now: float) -> float:
        jobs = self._watched.jobs
        if len(jobs) == 1:
            job = next(iter(jobs.values()))
            return self._policy.delay(max(job.asked, 1), job.report)
        # Without lists each job has a pace of its own, and looks ask for those that are due.
        return self._watched.pause(now, self._asker.cost if self._asker.list_works else 1)

    def _note_failure(self, error: DliError) -> None:
        now = anyio.current_time()
        since = self._failing_since
        if self._failures == 0 or since is None or self._asker.answered_at >= since:
            self._failing_since = since = now
        if now - since >= self._policy.give_up_after:
            self._end_all(error)
        asked = min(getattr(error, "retry_after", None) or 0.0, self._policy.give_up_after)
        self._next_look = now + max(min(2.0**self._failures, _LONGEST_REST), asked)
        self._failures += 1

    def _end_all(self, error: Exception) -> None:
        for job in list(self._watched.jobs.values()):
            self._watched.fail(job, error)

    def _ending(self, job: WatchedJob, error: Exception) -> Exception:
        """What an error means for one wait."""
        if is_transient(error):
            return kept_failing(job.job_id, error, job.report, self._policy)
        return fact_about(job.job_id, error)
