"""One look at all jobs that are waited for, in as few requests as that takes.

* A lone job is asked for by `/status`.
* Few jobs are covered by pages of the job list, over windows of their start times.
* For many, only those that run are listed, since a job that has not started cannot end. One that
  vanished from that list is looked for in a window page and then by `/status`. Now and then the
  jobs before the first one that is still launching are listed, which shows those that ran between
  two looks, and the job that was not seen for longest is looked for.

Absence from a list proves nothing: lists lag, pages shift, and other people's jobs are in them.
Only a row or a status that says so ends a wait. Pages are asked for by the start time of the last
row, not by number, so that jobs that come and go meanwhile do not shift them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice

import anyio

from ..._http.api import PAGE_SIZE, JobPage
from ..._values.enums import JobStatus
from .asker import Asker, Cursor, NoList
from .watched import Watched, WatchedJob, start_ms

# After a page that showed none of those it was for, so many times a few are asked for one by one.
_SKIPS = 10
# Up to so many jobs, or pages, all jobs are looked at each time.
_FEW_JOBS, _FEW_PAGES = 200, 4
# Seconds between the looks for what the list of running jobs does not show.
_RARELY, _SOON = 15.0, 2.0
_LONG_UNSEEN = 60.0
_ASKED_EACH, _ASKED_EACH_ALONE = 8, 20


class _Between:
    """What the list of launching jobs told before the list of running ones was read."""

    def __init__(self, watched: Watched, launching: JobPage) -> None:
        self._watched = watched
        self._unstarted = len(watched.jobs) - len(watched.running)
        self._started = watched.started
        # Documents leave open whether the count is of all pages; a full page that claims to be
        # all there is tells nothing.
        is_count_of_page = launching.job_count <= len(launching.rows) == PAGE_SIZE
        self._listed = math.inf if is_count_of_page else launching.job_count
        self.frontier = start_ms(launching.rows[0]) if launching.rows else None

    def lacks_some(self) -> bool:
        """Whether fewer jobs are launching than were not yet seen to have started."""
        return self._unstarted - (self._watched.started - self._started) > self._listed


class Sweep:
    """Decides what to ask for."""

    def __init__(self, asker: Asker, watched: Watched) -> None:
        self._asker = asker
        self._watched = watched
        self._next_check = -math.inf
        self._cost_of_all = 0.0
        self._cost_of_running = 0.0
        self._skips = 0

    async def look(self) -> None:
        """Looks once.

        Raises:
            DliError: the look failed, for all jobs alike; what was seen before counts.
        """
        self._asker.cost = 0
        self._watched.begin_look(anyio.current_time())
        if self._asker.list_works:
            try:
                await self._look_by_list()
                return
            except NoList:
                pass
        await self._look_one_by_one()

    async def _look_by_list(self) -> None:
        watched = self._watched
        if len(watched.jobs) == 1:
            await self._asker.ask(next(iter(watched.jobs.values())))
            return
        if self._few_enough():
            wanted = list(watched.jobs.values())
            await self._cover(wanted)
            self._cost_of_all = self._asker.cost + sum(map(watched.is_missing, wanted))
        else:
            await self._look_at_running()
        self._asker.judge_list()

    def _few_enough(self) -> bool:
        count = len(self._watched.jobs)
        if count > _FEW_JOBS:
            return False
        return count <= _FEW_PAGES or self._cost_of_all <= max(_FEW_PAGES, self._cost_of_running)

    async def _look_at_running(self) -> None:
        watched = self._watched
        between = _Between(watched, await self._list_launching()) if self._is_check_due else None
        shown = await self._list_running()
        await self._cover([job for key, job in watched.running.items() if key not in shown])
        self._cost_of_running = self._asker.cost
        # What it would cost to look at all of them changes, so that is tried again some time.
        self._cost_of_all *= 0.95
        if watched.unplaced:
            await self._cover(list(watched.unplaced.values()))
        if between is not None:
            await self._look_between(between)
            await self._look_at_longest_unseen()

    async def _list_running(self) -> set[str]:
        shown: set[str] = set()
        cursor = Cursor()
        while True:
            rows, last = await self._asker.page(cursor, JobStatus.RUNNING)
            # A gateway that drops the query gives the same page for ever.
            if last is math.inf or shown.issuperset(rows):
                return shown | set(rows)
            shown.update(rows)
            cursor.move(int(last))

    async def _look_between(self, between: _Between) -> None:
        """Finds jobs that started and ended between two looks."""
        watched = self._watched
        cursor = Cursor(descending=True, at=between.frontier)
        while True:
            started = watched.started
            _, last = await self._asker.page(cursor)
            if last is math.inf or watched.started == started:
                break
            cursor.move(int(last))
        pause = _SOON if between.lacks_some() else _RARELY
        self._next_check = anyio.current_time() + pause

    @property
    def _is_check_due(self) -> bool:
        return anyio.current_time() >= self._next_check

    async def _list_launching(self) -> JobPage:
        return await self._asker.list(Cursor(), JobStatus.LAUNCHING)

    async def _look_at_longest_unseen(self) -> None:
        watched = self._watched
        job = next(iter(watched.jobs.values()), None)
        if job is None or anyio.current_time() - job.seen_at < _LONG_UNSEEN:
            return
        if job.start is None:
            await self._asker.ask(job)
        if job.start is not None:
            # Its neighbours have not been seen for long either.
            await self._asker.page(Cursor(at=job.start))
        if watched.is_missing(job):
            await self._asker.ask(job)

    async def _cover(self, wanted: list[WatchedJob]) -> None:
        """Sees each of some jobs: by pages that show several, or else by `/status`."""
        self._skips -= 1
        if len(wanted) > (_ASKED_EACH if self._skips > 0 else 1):
            unplaced = [job for job in wanted if job.start is None]
            if await self._cover_placed(wanted):
                # What was just submitted would have been at the end of the list.
                unplaced = [job for job in unplaced if job.job_id in self._watched.unplaced]
            await self._cover_unplaced(unplaced)
        await self._ask_each(filter(self._watched.is_missing, wanted), _ASKED_EACH)

    async def _cover_placed(self, wanted: Iterable[WatchedJob]) -> bool:
        """Pages from each start that no page before has shown; True at the end of the list."""
        starts = [(job.start, job) for job in wanted if job.start is not None]
        starts.sort(key=lambda pair: pair[0])
        cursor = Cursor()
        while starts:
            cursor.move(starts[0][0])
            _, last = await self._asker.page(cursor)
            missing = [pair for pair in starts if self._watched.is_missing(pair[1])]
            if last is math.inf:
                return True
            if len(missing) == len(starts):
                self._skips = _SKIPS
                return False
            starts = [pair for pair in missing if pair[0] >= last]
        return False

    async def _cover_unplaced(self, unplaced: list[WatchedJob]) -> None:
        """Pages from the newest job back, as long as they show any of those wanted."""
        unplaced = [job for job in unplaced if self._watched.is_missing(job)]
        cursor = Cursor(descending=True)
        while unplaced:
            before = len(unplaced)
            _, last = await self._asker.page(cursor)
            unplaced = [job for job in unplaced if self._watched.is_missing(job)]
            if last is math.inf or len(unplaced) == before:
                return
            cursor.move(int(last))

    async def _look_one_by_one(self) -> None:
        watched = self._watched
        if len(watched.jobs) == 1:
            await self._asker.ask(next(iter(watched.jobs.values())))
            return
        await self._ask_each(list(watched.running.values()), _ASKED_EACH_ALONE)
        longest_unseen = list(islice(watched.jobs.values(), _ASKED_EACH_ALONE))
        await self._ask_each(longest_unseen, _ASKED_EACH_ALONE)

    async def _ask_each(self, jobs: Iterable[WatchedJob], most: int) -> None:
        now = anyio.current_time()
        due = sorted((job for job in jobs if job.due <= now), key=lambda job: job.seen_at)
        for job in due[:most]:
            if self._watched.is_missing(job):
                await self._asker.ask(job)
