"""Who looks, and who waits to be told: the one rule by which waits share their looks.

There is no background task: the first who waits leads, the others sleep until there is news of
their job. A leader that leaves, or has news of its own to tell, hands the lead to one of the
others. So no task outlives those who wait, and none waits for another one's listener.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from ..._http.wakeup import Wakeup, make_wakeup
from ..._values.policies import PollPolicy
from ..._values.reports import StatusReport
from .patience import end_of_wait
from .watched import Watched, WatchedJob

Seen = Callable[[StatusReport], Awaitable[None]]
Sight = Callable[[float], None]


class Looks(Protocol):
    """How and when to look at the jobs that are waited for."""

    def joined(self, job: WatchedJob, *, fresh: bool) -> None:
        """Takes in that one more waits for a job; `fresh` means that it was just accepted."""

    async def next(self) -> None:
        """Looks when it is time to, and tells `Watched` of what was seen.

        It may return early, to be called again at once; after a cancellation, by another task.

        Raises:
            Exception: this ends all waits.
        """


class _Waiter:
    """Somebody who waits; it sleeps until it is woken, unless it leads."""

    __slots__ = ("wakeup",)
    wakeup: Wakeup


class Watch:
    """Waits for jobs, all together.

    Args:
        policy: how long noise is put up with.
        make_looks: how to look, made for what is watched here.
    """

    def __init__(self, policy: PollPolicy, make_looks: Callable[[Watched], Looks]) -> None:
        self._policy = policy
        self._watched = Watched(self._wake_all)
        self._looks = make_looks(self._watched)
        self._leader: _Waiter | None = None
        self._sleeping: dict[_Waiter, None] = {}
        self._lead_scope: anyio.CancelScope | None = None

    async def wait(
        self,
        job_id: str,
        seen: Seen,
        *,
        fresh: bool,
        left: Sight = lambda _: None,
        job_type: str | None = None,
    ) -> StatusReport:
        """Waits until a job has ended, and returns its last report.

        Args:
            seen: gets new reports of the job in this task; if several came meanwhile, the latest.
                The last one always comes. Its errors end this wait only.
            fresh: whether the job was just accepted; otherwise it may have ended long ago.
            left: called at the end of the wait with the moment at which a look last showed the
                job, which `seen` need not have heard of; not called if none did.
            job_type: what kind of job lists will show it as; None (default) for an EXPORT, until a
                report tells.

        Raises:
            JobTimeout: looks failed for `PollPolicy.give_up_after` seconds.
            ApiError: a fact that ends the wait, such as `NotFound` or `PermissionDenied`.
        """
        waiter = _Waiter()
        job = self._watched.join(job_id, anyio.current_time(), fresh=fresh, job_type=job_type)
        job.waiters.append(waiter)
        self._looks.joined(job, fresh=fresh)
        told: StatusReport | None = None
        try:
            while True:
                if job.report is not None and job.report is not told:
                    told = job.report
                    await seen(told)
                    if told.is_terminal:
                        return told
                elif job.error is not None:
                    self._end(job, job.error)
                else:
                    await self._sleep_or_lead(waiter, job)
        finally:
            if job.look:
                left(job.seen_at)
            self._leave(job, waiter)

    def note(self, report: StatusReport) -> None:
        """Takes in a report that was seen by other means; no-op if nobody waits for its job."""
        job = self._watched.jobs.get(report.job_id)
        if job is None:
            return
        self._watched.hear(job, report, anyio.current_time())
        if report.is_terminal and self._leader in job.waiters and self._lead_scope is not None:
            # Its end needs no more looks.
            self._lead_scope.cancel()

    def close(self, error: Exception) -> None:
        """Ends all waits with an error, even that of a leader in mid-request."""
        self._end_all(error)
        if self._lead_scope is not None:
            self._lead_scope.cancel()

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

    async def _lead(self, job: WatchedJob) -> None:
        """Looks until there is news of the leader's own job."""
        told = job.report
        while job.report is told and job.error is None:
            try:
                await self._looks.next()
            except Exception as error:  # whatever it is, nobody may be left to wait for ever
                self._end_all(error)

    def _hand_over(self) -> None:
        # The latest to fall asleep: its job is likely to be the last to end.
        self._leader = self._lead_scope = None
        if self._sleeping:
            self._leader, _ = self._sleeping.popitem()
            self._leader.wakeup.set()

    def _wake_all(self, job: WatchedJob) -> None:
        for waiter in job.waiters:
            if waiter in self._sleeping:
                del self._sleeping[waiter]
                waiter.wakeup.set()

    def _end_all(self, error: Exception) -> None:
        for job in list(self._watched.jobs.values()):
            self._watched.fail(job, error)

    def _end(self, job: WatchedJob, error: Exception) -> None:
        end = end_of_wait(job, error, self._policy)
        if end is error:
            raise error
        raise end from error
