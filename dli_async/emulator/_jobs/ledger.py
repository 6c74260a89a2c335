"""The ledger: every request that arrived, every job it made, every fault that fired.

Tests assert on it, from inside (`Emulator.ledger`) or outside (`GET /_emulator/ledger`). It keeps
neither headers nor bodies, so it cannot tell a secret.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..faults import Faults
from .job import Job
from .job_table import JobTable

_KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request that arrived; `status` is None while, or if, it has no answer."""

    at: float
    route: str
    request_id: str
    job_id: str | None


class Ledger:
    """What happened, counted.

    `requests` counts by route name (a path that is not emulated counts as `unknown`), `faults` by
    kind. Connections are those of the loopback server; in process there are none.
    """

    def __init__(self, jobs: JobTable, faults: Faults, now: Callable[[], float]) -> None:
        self._jobs = jobs
        self._faults = faults
        self._now = now
        self._open = 0
        self.clear()

    def clear(self) -> None:
        """Forgets everything but the connections that are open."""
        self.requests: Counter[str] = Counter()
        self._faults.count.clear()
        self.history: deque[Request] = deque(maxlen=_KEPT)
        self.in_flight = 0
        self.max_in_flight = 0
        self.connections_opened = self._open
        self.connections_peak = self._open

    @property
    def jobs(self) -> Sequence[Job]:
        """Every job that was accepted, in order."""
        self._jobs.advance(self._now())
        return self._jobs.jobs

    @property
    def faults(self) -> Counter[str]:
        """How often each kind of fault fired."""
        return self._faults.count

    @property
    def peak_running(self) -> int:
        """The most jobs that were RUNNING at the same time."""
        return self._jobs.peak_running

    def duplicate_submissions(self) -> list[list[str]]:
        """Ids of jobs that ask for the very same export, one list for each such export."""
        same = defaultdict(list)
        for job in self._jobs.jobs:
            same[job.spec].append(job.job_id)
        return [ids for ids in same.values() if len(ids) > 1]

    def polls_per_job(self) -> dict[str, int]:
        """How often `status` was asked about each job."""
        polls = Counter(r.job_id for r in self.history if r.route == "status" and r.job_id)
        return {job.job_id: polls[job.job_id] for job in self._jobs.jobs}

    def arrived(self, request: Request) -> None:
        """Notes a request."""
        self.requests[request.route] += 1
        self.history.append(request)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def left(self) -> None:
        """Notes that a request is over, answered or not."""
        self.in_flight -= 1

    def connected(self) -> None:
        """Notes that a connection was opened."""
        self._open += 1
        self.connections_opened += 1
        self.connections_peak = max(self.connections_peak, self._open)

    def disconnected(self) -> None:
        """Notes that a connection is gone."""
        self._open -= 1

    def as_dict(self) -> dict[str, Any]:
        """What `GET /_emulator/ledger` answers; moments are seconds since the epoch."""
        return {
            "requests": dict(self.requests),
            "jobs": [_entry(job) for job in self.jobs],
            "peak_running": self.peak_running,
            "connections_opened": self.connections_opened,
            "connections_peak": self.connections_peak,
            "max_in_flight": self.max_in_flight,
            "faults": dict(self.faults),
        }


def _entry(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "state": job.state,
        "spec": job.spec.fields(),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    }
