"""The job table: every job, the queues they wait in, and their life by time.

A discrete-event simulation that is advanced lazily: each call first plays the events that are due
by the clock, in order of time, so that a slot is freed and taken at exact moments however rarely
anybody asks. A job is LAUNCHING for the launch time and until its queue has a slot, RUNNING for a
time drawn from a lognormal distribution, and then it has ended. Its files are written meanwhile,
by a thread or (`inline`) on the spot; it does not end before they are complete, and they appear in
their folder when it finishes. A job that is cancelled before leaves nothing. Both are quick; the
files that a job replaces or leaves behind are removed by a thread of their own.
"""

from __future__ import annotations

import math
import random
import threading
import time
import uuid
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from .._engine.engine import Exported, Staged
from .._protocol.specs import Asked
from .job import CANCELLED, ENDED, FAILED, FINISHED, LAUNCHING, RUNNING, STATES, Fate, Job, Outcome

_SPREAD = 0.5  # sigma of the lognormal run time: the 90th percentile is about twice the median
_WRITERS = 4

Work = Callable[[Asked], Staged]


@dataclass(slots=True)
class _Queue:
    slots: int
    busy: int = 0
    waiting: deque[Job] = field(default_factory=deque)


class JobTable:
    """Jobs in the order of their creation, indexed by id, time and state.

    Safe to be called from the loop's thread and from a test's at the same time.
    """

    def __init__(
        self,
        work: Work,
        queues: Mapping[str, int],
        *,
        launch: float,
        run: float,
        seed: int | None,
        inline: bool = False,
        explain: Callable[[Asked, Exception], str] = lambda _, error: str(error),
    ) -> None:
        self._work = work
        self._explain = explain
        self._slots = dict(queues)
        self._launch = launch
        self._run = run
        self._seed = seed
        self._inline = inline
        self._pool: ThreadPoolExecutor | None = None
        self._cleaner: ThreadPoolExecutor | None = None
        self._cleaning: set[Future[None]] = set()
        self._lock = threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self._random = random.Random(self._seed or 0)
        self.jobs: list[Job] = []
        self.started_ms: list[int] = []
        self.by_id: dict[str, Job] = {}
        self.by_state: dict[str, list[int]] = {state: [] for state in STATES}
        self.types: set[str] = set()
        self.peak_running = 0
        self._queues = {name: _Queue(slots) for name, slots in self._slots.items()}
        self._writing: Counter[str] = Counter()
        self._folders: set[str] = set()
        self._events: list[tuple[float, int, Callable[[Job, float], None], Job]] = []
        self._order = count()
        self._written: deque[tuple[Job, float]] = deque()
        self._time = -math.inf

    @property
    def queues(self) -> list[str]:
        """Names of the queues that run exports."""
        return list(self._slots)

    def advance(self, now: float) -> None:
        """Plays everything that is due."""
        with self._lock:
            self._collect(now)
            while self._events and self._events[0][0] <= now:
                when, _, event, job = heappop(self._events)
                self._time = when
                if job.state not in ENDED:
                    event(job, when)
                self._collect(now)
            self._time = max(self._time, now)

    def submit(self, spec: Asked, now: float, owner: str, fate: Fate | None = None) -> Job:
        """Accepts a job."""
        with self._lock:
            job = self._make(spec, max(now, self._time), owner, fate)
            self.jobs.append(job)
            self.started_ms.append(job.start_ms)
            self.by_id[job.job_id] = job
            self.types.add(job.spec.job_type)
            self.by_state[LAUNCHING].append(job.number)
            self._at(job.created_at + self._launch, self._ready, job)
            self.advance(now)
            return job

    def _make(self, spec: Asked, now: float, owner: str, fate: Fate | None) -> Job:
        job_id = str(self._new_id())
        return Job(
            number=len(self.jobs),
            job_id=job_id,
            spec=spec.accepted(job_id, now),
            owner=owner,
            created_at=now,
            run_time=self._run * math.exp(self._random.gauss(0.0, _SPREAD)),
            fate=fate,
        )

    def _new_id(self) -> uuid.UUID:
        if self._seed is None:
            return uuid.uuid4()
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def cancel(self, job: Job, now: float, delay: float = 0.0) -> None:
        """Asks for the end of a job; one that ends within the delay has won the race."""
        with self._lock:
            self._at(now + delay, lambda job, when: self._end(job, when, CANCELLED), job)
            self.advance(now)

    def has_written(self, folder: str) -> bool:
        """Whether a job has exported to this folder, or is about to."""
        return folder in self._folders or self._writing[folder] > 0

    def reset(self) -> None:
        """Forgets everything, and what has not appeared yet; blocks while a thread writes."""
        with self._lock:
            jobs, work = self.jobs, self._at_work()
            self._clear()
        wait([future for future in work if not future.cancel()])
        self._discard_all(jobs)
        wait(list(self._cleaning))

    def settle(self) -> None:
        """Blocks until no thread writes or removes files any more."""
        wait(self._at_work())
        wait(list(self._cleaning))

    def _at_work(self) -> list[Future[None]]:
        return [job.work for job in self.jobs if job.work is not None and not job.work.done()]

    def close(self) -> None:
        """Ends the writers' threads, and with them all jobs; blocks while one is busy."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        with self._lock:
            self._written.clear()
            self._discard_all(self.jobs)
        if self._cleaner is not None:
            self._cleaner.shutdown()
            self._cleaner = None

    def _discard_all(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._clean(job.discard())

    def _clean(self, clean: Callable[[], None] | None) -> None:
        """Removes files that nobody sees any more; of many that takes longer than a loop may wait.

        Not by the writers: what waits for them is dropped in the end, and this must not be.
        """
        if clean is None:
            return
        if self._inline:
            clean()
            return
        if self._cleaner is None:
            self._cleaner = ThreadPoolExecutor(1, "dli-emulator-cleaner")
        future = self._cleaner.submit(clean)
        self._cleaning.add(future)
        future.add_done_callback(self._cleaning.discard)

    def _at(self, when: float, event: Callable[[Job, float], None], job: Job) -> None:
        heappush(self._events, (max(when, self._time), next(self._order), event, job))

    def _ready(self, job: Job, now: float) -> None:
        if job.fate is not None and job.fate.share is None:
            self._end(job, now, job.fate.state, job.fate.message)
            return
        self._queues[job.spec.queue_name].waiting.append(job)
        self._fill(self._queues[job.spec.queue_name], now)

    def _fill(self, queue: _Queue, now: float) -> None:
        while queue.waiting and queue.busy < queue.slots:
            job = queue.waiting.popleft()
            if job.state not in ENDED:
                self._start(job, queue, now)

    def _start(self, job: Job, queue: _Queue, now: float) -> None:
        queue.busy += 1
        job.started_at = now
        self._move(job, RUNNING)
        self.peak_running = max(self.peak_running, len(self.by_state[RUNNING]))
        if (fate := job.fate) is not None:
            job.due = now + job.run_time * (fate.share or 0.0)
            self._at(job.due, lambda job, when: self._end(job, when, fate.state, fate.message), job)
            return
        job.due = now + job.run_time
        self._at(job.due, self._due, job)
        taken = self._writing[job.spec.folder] > 0 and not job.spec.overwrites
        self._writing[job.spec.folder] += 1
        if taken:
            # Two ErrorIfExists jobs that run at the same time: the second finds the first's folder.
            self._hand_back(job, now, FileExistsError(job.spec.folder))
        else:
            self._hand_over(job, now)

    def _hand_over(self, job: Job, now: float) -> None:
        if self._inline:
            self._hand_back(job, now, self._attempt(job.spec))
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_WRITERS, "dli-emulator")
        job.work = self._pool.submit(self._write, job, now, self._written)

    def _write(self, job: Job, now: float, written: deque[tuple[Job, float]]) -> None:
        begun = time.perf_counter()
        outcome = self._attempt(job.spec)
        # The clock belongs to the event loop, so a thread only measures how long it took.
        when = now + time.perf_counter() - begun
        with self._lock:
            if written is self._written and job.state not in ENDED:
                self._hand_back(job, when, outcome)
                return
        # Cancelled or forgotten meanwhile.
        if isinstance(outcome, Staged):
            outcome.discard()
            if outcome.clean is not None:
                outcome.clean()

    def _hand_back(self, job: Job, when: float, outcome: Outcome) -> None:
        job.outcome = outcome
        self._written.append((job, when))

    def _attempt(self, spec: Asked) -> Outcome:
        try:
            return self._work(spec)
        except Exception as error:  # whatever it is, it is the job that fails
            return error

    def _collect(self, now: float) -> None:
        while self._written:
            job, when = self._written.popleft()
            when = max(min(when, now), self._time)
            if isinstance(job.outcome, Exception):
                self._at(when, self._settle, job)
            elif job.due <= self._time:
                self._at(max(when, job.due), self._settle, job)

    def _due(self, job: Job, now: float) -> None:
        if job.outcome is not None:
            self._settle(job, now)

    def _settle(self, job: Job, now: float) -> None:
        outcome, job.outcome = job.outcome, None
        try:
            job.exported = _published(outcome)
        except Exception as error:
            self._end(job, now, FAILED, self._explain(job.spec, error))
        else:
            self._folders.add(job.spec.folder)
            self._end(job, now, FINISHED)
        if isinstance(outcome, Staged):
            self._clean(outcome.clean)

    def _end(self, job: Job, now: float, state: str, message: str = "") -> None:
        job.ended_at = now
        job.message = message
        self._move(job, state)
        self._clean(job.discard())
        if job.work is not None:
            job.work.cancel()
        if job.started_at is None:
            return
        if job.fate is None:
            self._writing[job.spec.folder] -= 1
        queue = self._queues[job.spec.queue_name]
        queue.busy -= 1
        self._fill(queue, now)

    def _move(self, job: Job, state: str) -> None:
        numbers = self.by_state[job.state]
        del numbers[bisect_left(numbers, job.number)]
        insort(self.by_state[state], job.number)
        job.state = state


def _published(outcome: Outcome | None) -> Exported:
    """What the job has written, which from now on is to be seen."""
    if not isinstance(outcome, Staged):
        assert outcome is not None
        raise outcome
    outcome.publish()
    return outcome.exported
