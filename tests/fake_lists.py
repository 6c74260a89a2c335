"""A job service for the watch, without HTTP: jobs whose lives are known beforehand.

`status` tells the truth of the moment; lists are filtered, ordered and cut into pages, and may lag,
miss jobs, hold other people's jobs or fail.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio

from dli_async import DliError, JobRow, JobStatus, NotFound, StatusReport
from dli_async._http.api import PAGE_SIZE, Api, JobPage

EPOCH = 1_700_000_000.0

Fault = Callable[[str], DliError | None]


@dataclass
class Job:
    """One life; times are seconds since the service began."""

    job_id: str
    created: float
    started: float
    ended: float
    end: str = "FINISHED"
    running: str = "RUNNING"
    listed: bool = True

    @property
    def start_ms(self) -> int:
        return int((EPOCH + self.created) * 1000)

    def word(self, moment: float) -> str:
        if moment >= self.ended:
            return self.end
        return self.running if moment >= self.started else "LAUNCHING"


def lives(
    count: int,
    slots: int,
    *,
    median: float = 30.0,
    launch: float = 0.2,
    seed: int = 1,
    prefix: str = "job",
    begin: float = 0.0,
    spacing: float = 0.02,
) -> list[Job]:
    """Jobs that were submitted one after the other and wait for one of the slots."""
    dice = random.Random(seed)
    free = [0.0] * slots
    jobs = []
    for number in range(count):
        created = begin + number * spacing
        slot = min(range(slots), key=free.__getitem__)
        started = max(created + launch, free[slot])
        free[slot] = started + median * math.exp(dice.gauss(0, 0.5))
        jobs.append(Job(f"{prefix}-{number}", created, started, free[slot]))
    return jobs


class Service:
    """Answers as `Api` does.

    Args:
        jobs: all there will ever be, other people's too.
        lag: seconds by which lists are behind.
        fault: called with `status` or `list`; an error it returns is raised.
    """

    def __init__(
        self, jobs: Iterable[Job], *, lag: float = 0.0, fault: Fault = lambda call: None
    ) -> None:
        self.jobs = sorted(jobs, key=lambda job: job.created)
        self.by_id = {job.job_id: job for job in self.jobs}
        self.lag = lag
        self.fault = fault
        self.latency = 0.0
        self.zero = anyio.current_time()
        self.calls: list[tuple[float, str]] = []
        self.asked: Counter[str] = Counter()
        self._rows: dict[tuple[str, str], JobRow] = {}
        self._listed: list[int] = []
        self._starts: list[int] = []
        self._in_state: dict[str, list[int]] = {}
        self._events = sorted(
            (when, order, index)
            for index, job in enumerate(self.jobs)
            if job.listed
            for order, when in enumerate((job.created, job.started, job.ended))
        )
        self._next_event = 0
        self._words: dict[int, str] = {}

    @property
    def now(self) -> float:
        return anyio.current_time() - self.zero

    @property
    def api(self) -> Api:
        return cast(Api, self)

    def count(self, kind: str) -> int:
        return sum(call == kind for _, call in self.calls)

    def busiest_second(self) -> int:
        moments = [moment for moment, _ in self.calls]
        # Neighbours exactly one second apart are not in one second.
        return max(bisect_left(moments, m + 1 - 1e-9) - n for n, m in enumerate(moments))

    async def _arrive(self, kind: str) -> None:
        self.calls.append((self.now, kind))
        await anyio.sleep(self.latency)
        error = self.fault(kind)
        if error is not None:
            raise error

    async def status(self, job_id: str, *, repeat: bool = True) -> StatusReport:
        assert not repeat
        self.asked[job_id] += 1
        await self._arrive("status")
        job = self.by_id.get(job_id)
        if job is None or self.now < job.created:
            raise NotFound("no such job", status_code=400, error_code="DLI.0002")
        return self._row(job, job.word(self.now))

    async def list_jobs(
        self, params: Mapping[str, Any], *, page: int = 1, repeat: bool = True
    ) -> JobPage:
        assert not repeat
        assert params["job-type"] == "EXPORT"
        await self._arrive("list")
        self._advance(self.now - self.lag)
        state = params.get("job-status")
        found = self._in_state.get(state, []) if state else self._listed
        start, end = params.get("start"), params.get("end")
        low = 0 if start is None else self._first(found, bisect_left(self._starts, start))
        high = len(found) if end is None else self._first(found, bisect_right(self._starts, end))
        numbers = found[low:high]
        if params["order"] == "start_time_desc":
            numbers.reverse()
        numbers = numbers[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        rows = tuple(self._row(self.jobs[n], self._words[n]) for n in numbers)
        return JobPage(rows, max(0, high - low))

    def _first(self, found: list[int], position: int) -> int:
        if position >= len(self._listed):
            return len(found)
        return bisect_left(found, self._listed[position])

    def _advance(self, moment: float) -> None:
        while self._next_event < len(self._events) and self._events[self._next_event][0] <= moment:
            _, order, index = self._events[self._next_event]
            self._next_event += 1
            job = self.jobs[index]
            if order == 0:
                self._listed.append(index)
                self._starts.append(job.start_ms)
            else:
                self._in_state[self._words[index]].remove(index)
            word = ("LAUNCHING", job.running, job.end)[order]
            self._words[index] = word
            insort(self._in_state.setdefault(word, []), index)

    def _row(self, job: Job, word: str) -> JobRow:
        key = job.job_id, word
        if key not in self._rows:
            self._rows[key] = JobRow.model_validate(
                {"job_id": job.job_id, "status": word, "start_time": job.start_ms}
            )
        return self._rows[key]


def is_end(report: StatusReport) -> bool:
    """Whether a report tells the end of a job."""
    return report.status in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED)
