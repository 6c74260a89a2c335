"""When the watch of a client looks: one adaptive sweep for all jobs that somebody waits for.

Polling each job by itself does not scale, so all jobs share their looks, and the pace follows how
fast jobs end.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from ..._http.api import Api
from ..._values.errors import DliError
from ..._values.policies import PollPolicy, is_transient
from .asker import Asker
from .sweep import Sweep
from .watch import Watch
from .watched import Watched, WatchedJob

# Seconds: a second job to wait for is looked at within this time, and looks are this far apart.
_NOTICE = 2.0
_APART = 1.0
_LONGEST_REST = 30.0


def shared_watch(api: Callable[[], Api], policy: PollPolicy) -> Watch:
    """The watch of all jobs of a client.

    Args:
        api: the endpoints; an error of it ends all waits.
        policy: how a lone job is asked for, and how long noise is put up with.
    """
    return Watch(policy, lambda watched: _SharedLooks(api, policy, watched))


class _SharedLooks:
    """Looks at all jobs that are watched, at a pace that suits them."""

    def __init__(self, api: Callable[[], Api], policy: PollPolicy, watched: Watched) -> None:
        self._policy = policy
        self._watched = watched
        self._asker = Asker(api, watched, policy)
        self._sweep = Sweep(self._asker, watched)
        self._alarm: anyio.Event | None = None
        self._looked_at = -1e9
        self._next_look = 0.0
        self._failures = 0
        self._failing_since: float | None = None

    def joined(self, job: WatchedJob, *, fresh: bool) -> None:
        now = anyio.current_time()
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

    def _look_by(self, moment: float) -> None:
        if moment < self._next_look:
            self._next_look = moment
            if self._alarm is not None:
                self._alarm.set()

    async def next(self) -> None:
        delay = self._next_look - anyio.current_time()
        if delay > 0:
            await self._sleep(delay)
        else:
            await self._look()

    async def _sleep(self, delay: float) -> None:
        self._alarm = anyio.Event()
        with anyio.move_on_after(delay):
            await self._alarm.wait()

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
            raise error
        asked = min(getattr(error, "retry_after", None) or 0.0, self._policy.give_up_after)
        self._next_look = now + max(min(2.0**self._failures, _LONGEST_REST), asked)
        self._failures += 1
