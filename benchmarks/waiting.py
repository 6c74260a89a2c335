"""What waiting for many exports costs, and how soon the ends are known, in virtual time.

    python -m benchmarks.waiting

A simulated service runs 50 jobs at a time, 30 s each in the median. The shared watch of dli_async
goes through all of the client: submits, signatures, JSON. Job-by-job polling is computed on the
same lives, exactly: at fixed paces, with exponential backoff, and as one would poll with the
vendor's SDK, which has no way to wait, job after job within the same 5 requests a second.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dli_async import AkSk, DliClient, TableExport

from ._clock import VirtualLoop
from ._report import Report, Target, options, percentile, print_table
from ._service import Life, Service, ServiceTransport

_BUDGET = 5.0
_PROJECT = "0123456789abcdef0123456789abcdef"


@dataclass
class Outcome:
    """Of one way of polling."""

    name: str
    polls: int
    delays: list[float]
    busiest: int
    """Most requests in a second."""
    cpu: float | None = None

    def figures(self) -> dict[str, float]:
        count = len(self.delays)
        return {
            "per_export": self.polls / count,
            "mean": sum(self.delays) / count,
            "p50": percentile(self.delays, 0.5),
            "p99": percentile(self.delays, 0.99),
            "busiest": self.busiest,
        }


def watch(count: int) -> tuple[Outcome, list[Life]]:
    """dli_async: that many tasks, each of which awaits its export."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_watch(count))


async def _watch(count: int) -> tuple[Outcome, list[Life]]:
    clock = asyncio.get_running_loop().time
    service = Service(clock)
    known: dict[str, float] = {}

    async def export(number: int) -> None:
        spec = TableExport(
            database_name="sales",
            table_name=f"orders_{number}",
            data_path=f"obs://bucket/exports/{number}",
        )
        result = await client.export(spec)
        known[result.job_id] = clock()

    started = time.process_time()
    async with (
        DliClient(
            endpoint="https://dli.example.com",
            project_id=_PROJECT,
            auth=AkSk("benchmark-ak", "benchmark-sk"),
            transport=ServiceTransport(service),
        ) as client,
        asyncio.TaskGroup() as tasks,
    ):
        for number in range(count):
            tasks.create_task(export(number))
    cpu = (time.process_time() - started) / count
    delays = [known[job.job_id] - job.ended for job in service.jobs]
    busiest = _busiest(service.asked_at)
    return Outcome("dli_async", len(service.asked_at), delays, busiest, cpu), service.jobs


def _busiest(moments: Sequence[float]) -> int:
    """The most of some sorted moments that lie within one second."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > 1 - 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


Waits = Callable[[random.Random], Iterator[float]]


def every(seconds: float) -> Waits:
    """Looks at a fixed pace."""

    def waits(_: random.Random) -> Iterator[float]:
        while True:
            yield seconds

    return waits


def backoff(dice: random.Random) -> Iterator[float]:
    """From 1 to 30 s, doubling, with full jitter of a quarter."""
    wait = 1.0
    while True:
        yield wait * dice.uniform(0.75, 1.25)
        wait = min(30.0, wait * 2)


def each_job(name: str, waits: Waits, jobs: Sequence[Life]) -> Outcome:
    """A loop for each job, which looks until it has ended."""
    dice = random.Random(1)
    seconds: Counter[int] = Counter()
    polls, delays = 0, []
    for job in jobs:
        moment = job.created
        for wait in waits(dice):
            moment += wait
            polls += 1
            seconds[int(moment)] += 1
            if moment >= job.ended:
                break
        delays.append(moment - job.ended)
    return Outcome(name, polls, delays, max(seconds.values()))


def in_turns(jobs: Sequence[Life]) -> Outcome:
    """One job after the other within the budget: the best that polling each job can do in it."""
    waiting, polls, delays = list(jobs), 0, []
    start = jobs[0].created
    while waiting:
        left = []
        for job in waiting:
            polls += 1
            moment = start + polls / _BUDGET
            if moment >= job.ended:
                delays.append(moment - job.ended)
            else:
                left.append(job)
        waiting = left
    return Outcome("vendor's SDK, job by job, 5 requests/s", polls, delays, int(_BUDGET))


def compare(count: int) -> list[Outcome]:
    """All ways of polling on the same jobs."""
    ours, jobs = watch(count)
    return [
        ours,
        each_job("each job every 1 s", every(1.0), jobs),
        each_job("each job every 5 s", every(5.0), jobs),
        each_job("each job, backoff 1 to 30 s", backoff, jobs),
        in_turns(jobs),
    ]


def _targets(count: int, figures: dict[str, float]) -> list[Target]:
    what = f"{count:,} waiting"
    found = [
        Target(f"{what}: polls per export", figures["per_export"], 1.5),
        Target(f"{what}: mean delay", figures["mean"], 2.0, " s"),
    ]
    if count >= 1_000:
        found.append(Target(f"{what}: 99 % known within", figures["p99"], 6.0, " s"))
        found.append(Target(f"{what}: polls in the busiest second", figures["busiest"], 5))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    args = options(__doc__).parse_args(arguments)
    report = Report("waiting")
    rows = []
    for count in (20,) if args.quick else (100, 1_000, 10_000):
        for outcome in compare(count):
            figures = outcome.figures()
            report.add(waiting=count, way=outcome.name, **figures, cpu_per_export=outcome.cpu)
            cpu = f"{outcome.cpu * 1e3:.1f}" if outcome.cpu else ""
            delays = [f"{figures[name]:,.1f}" for name in ("mean", "p50", "p99")]
            polls = f"{figures['per_export']:,.2f}"
            rows.append((f"{count:,}", outcome.name, polls, *delays, outcome.busiest, cpu))
            if outcome.name == "dli_async":
                report.targets += _targets(count, figures)
    headers = ("waiting", "way", "polls/export", "mean s", "p50 s", "p99 s", "busiest s", "CPU ms")
    print_table("From a job's end to our knowing; CPU per export, the service's too", headers, rows)
    report.finish(args.output, quick=args.quick)


if __name__ == "__main__":
    main(sys.argv[1:])
