"""What is known of the jobs that are waited for, and how soon to look again. No I/O."""

from __future__ import annotations

import math
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from ..._values.enums import JobStatus
from ..._values.reports import StatusReport

# A look costs as much as so many seconds of not knowing that a job ended.
_COST = 2.0
_SHORTEST, _LONGEST = 1.0, 30.0
# A service that asks for more patience than this is asked again all the same.
_LONGEST_ASKED = 300.0
_YOUNG, _SHARE_OF_AGE = 2.0, 0.05
# Running time assumed before anything was observed, in seconds.
_PRIOR = 30.0
# Ends after which older observations count half.
_MEMORY = 500
# Beyond so many jobs nobody is woken to hear that a job is launching, and no report of it is kept.
_CROWD = 200
# A job that was just accepted is not asked for alone before the lists had this long to show it.
_LIST_LAG = 2.0


def start_ms(report: StatusReport) -> int | None:
    """Start of a job in milliseconds, as lists take it."""
    return int(report.start_time.timestamp() * 1000) if report.start_time else None


class WatchedJob:
    """One job that is waited for.

    `start` is in milliseconds by the service's clock, None while unknown; all other times are
    seconds of the event loop's clock. `job_type` is what lists show it as. `look` numbers the look
    that showed the job last; `due` is when it may be asked for alone; `asked` counts how often it
    was.
    """

    __slots__ = (
        *("asked", "due", "error", "failing_since", "job_id", "joined", "look", "report"),
        *("job_type", "seen_at", "start", "waiters"),
    )

    def __init__(
        self, job_id: str, now: float, *, fresh: bool, job_type: str | None = None
    ) -> None:
        self.job_id = job_id
        self.job_type = sys.intern(job_type or "EXPORT")
        self.joined = self.seen_at = now
        self.due = now + _LIST_LAG if fresh else now
        self.start: int | None = None
        self.report: StatusReport | None = None
        self.error: Exception | None = None
        self.failing_since: float | None = None
        self.look = 0
        self.asked = 0
        self.waiters: list[Any] = []

    def postpone(self, now: float, retry_after: float | None = None) -> None:
        """Lets some time pass before the job is asked for alone again."""
        wait = min(max(_SHARE_OF_AGE * (now - self.joined), _YOUNG), _LONGEST)
        self.due = now + max(wait, min(retry_after or 0.0, _LONGEST_ASKED))


class Watched:
    """All jobs that are waited for.

    Nothing here takes time for each waiting job, only for each job that is seen.

    Args:
        news: called with each job whose report changed, or whose wait ended by an error.

    Attributes:
        jobs: by id, the least recently seen first.
        running: those that may end at any moment: seen, and neither launching nor ended.
        unplaced: those of unknown age that no look has shown yet.
        started: how many were seen to have left LAUNCHING.
        job_types: how many jobs there are of each type.
        look: number of the look that is under way.
    """

    def __init__(self, news: Callable[[WatchedJob], None]) -> None:
        self._news = news
        self.jobs: OrderedDict[str, WatchedJob] = OrderedDict()
        self.running: dict[str, WatchedJob] = {}
        self.unplaced: dict[str, WatchedJob] = {}
        self.started = 0
        self.job_types: Counter[str] = Counter()
        self.look = 0
        self._finished = 0.0
        self._running_time = 0.0
        self._counted_at = 0.0
        self._newest_join = 0.0

    def join(
        self, job_id: str, now: float, *, fresh: bool, job_type: str | None = None
    ) -> WatchedJob:
        """What is known of a job, made if need be; `fresh` means that it was just accepted."""
        self._newest_join = now
        job = self.jobs.get(job_id)
        if job is None:
            job = self.jobs[job_id] = WatchedJob(job_id, now, fresh=fresh, job_type=job_type)
            self.job_types[job.job_type] += 1
            if not fresh:
                self.unplaced[job_id] = job
        return job

    def drop(self, job: WatchedJob) -> None:
        """Forgets a job: it ended, or nobody waits for it any more."""
        if self.jobs.get(job.job_id) is job:
            del self.jobs[job.job_id]
            self._count_type(job, -1)
            self.running.pop(job.job_id, None)
            self.unplaced.pop(job.job_id, None)

    def fail(self, job: WatchedJob, error: Exception) -> None:
        """Ends the waits for one job by an error."""
        self.drop(job)
        job.error = error
        self._news(job)

    def see(self, report: StatusReport, now: float) -> bool:
        """Takes in one row of a list; False if nobody waits for that job."""
        job = self.jobs.get(report.job_id)
        if job is None:
            return False
        self._note(job, report, now, is_news=self._is_news(job, report))
        return True

    def _is_news(self, job: WatchedJob, report: StatusReport) -> bool:
        # A list that lags behind may show so a job that runs.
        is_old = job.job_id in self.running or len(self.jobs) > _CROWD
        if report.status is JobStatus.LAUNCHING and is_old:
            return False
        return job.report is None or job.report.raw_status != report.raw_status

    def hear(self, job: WatchedJob, report: StatusReport, now: float) -> None:
        """Takes in the answer to a question for one job."""
        job.asked += 1
        job.postpone(now, report.retry_after)
        if self.jobs.get(job.job_id) is job:
            self._note(job, report, now, is_news=True)

    def _note(self, job: WatchedJob, report: StatusReport, now: float, *, is_news: bool) -> None:
        job.look = self.look
        job.seen_at = now
        job.failing_since = None
        self.jobs.move_to_end(job.job_id)
        self.unplaced.pop(job.job_id, None)
        if job.start is None:
            job.start = start_ms(report)
        self._learn_type(job, report.job_type)
        if not is_news:
            return
        job.report = report
        if report.status is not JobStatus.LAUNCHING and job.job_id not in self.running:
            self.started += 1
            self.running[job.job_id] = job
        if report.is_terminal:
            self._finished += 1
            self.drop(job)
        self._news(job)

    def _learn_type(self, job: WatchedJob, told: str | None) -> None:
        if told and told != job.job_type:
            self._count_type(job, -1)
            job.job_type = sys.intern(told)
            self._count_type(job, 1)

    def _count_type(self, job: WatchedJob, number: int) -> None:
        self.job_types[job.job_type] += number
        if not self.job_types[job.job_type]:
            del self.job_types[job.job_type]

    def is_missing(self, job: WatchedJob) -> bool:
        """Whether a job is still waited for and this look has not shown it."""
        return job.look != self.look and self.jobs.get(job.job_id) is job

    def begin_look(self, now: float) -> None:
        """Counts the running time since the last look."""
        self.look += 1
        self._running_time += len(self.running) * (now - self._counted_at)
        self._counted_at = now
        if self._finished > _MEMORY:
            self._finished /= 2
            self._running_time /= 2

    def pause(self, now: float, cost: int) -> float:
        """Seconds between two looks of `cost` requests that balance requests against not knowing.

        The rate at which jobs end is estimated from what was observed so far. A young job is not
        kept waiting for longer than a share of its age.
        """
        rate = len(self.running) * (self._finished + 1) / (self._running_time + _PRIOR)
        cost = max(cost, 2)
        best = math.sqrt(_COST * cost / rate) if rate else _LONGEST
        limit = max(_YOUNG * cost / 2, _SHARE_OF_AGE * (now - self._newest_join))
        return min(max(best, _SHORTEST), _LONGEST, limit)
