"""Memory of a waiting export, CPU of a look at all of them, and how long the event loop is held.

    python -m benchmarks.footprint

Each figure is measured in fresh processes.

* Memory: 10,000 tasks that each await `client.export(...)`, spec, handle and task included, once by
  tracemalloc (what Python holds) and once by the resident set (what the system sees; it keeps what
  10,000 queued submits took before, so it is no target).
* CPU of a look: between two looks of the shared watch at 10,000 waiting jobs, 50 of them running,
  in virtual time; the service's own share is taken off.
* The loop: 1,000 exports through a real socket in real time, by `export_many` and as 1,000 tasks
  that start at once; a hold is the time between two polls of the sockets.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dli_async import AkSk, DliClient, PollPolicy, TableExport

from ._clock import TimedLoop, VirtualLoop
from ._report import Report, Spread, Target, options, print_table
from ._server import serving
from ._service import Service, ServiceTransport

T = TypeVar("T")
_PROJECT = "0123456789abcdef0123456789abcdef"


def _client(**where: Any) -> DliClient:
    return DliClient(project_id=_PROJECT, auth=AkSk("benchmark-ak", "benchmark-sk"), **where)


def _simulated(service: Service) -> DliClient:
    return _client(endpoint="https://dli.example.com", transport=ServiceTransport(service))


async def _export(client: DliClient, number: int) -> None:
    await client.export(_spec(number))


def _spec(number: int) -> TableExport:
    return TableExport(
        database_name="sales",
        table_name=f"orders_{number}",
        data_path=f"obs://bucket/exports/{number}",
        data_type="csv",
        compress="gzip",
        queue_name="queue1",
    )


async def _until_accepted(service: Service, count: int) -> None:
    while len(service.jobs) < count:  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(1)
    await asyncio.sleep(60)


@contextmanager
def _exports(client: DliClient, count: int) -> Iterator[None]:
    tasks = [asyncio.create_task(_export(client, number)) for number in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def memory(count: int, traced: bool) -> float:
    """Bytes of one waiting export."""
    try:
        return _in_virtual_time(lambda: _memory(count, _traced if traced else _resident))
    finally:
        tracemalloc.stop()  # it would slow down what is measured next in the same process


async def _memory(count: int, used: Callable[[], int]) -> float:
    warm_up = 50
    service = Service(asyncio.get_running_loop().time, median=1e7)
    async with _simulated(service) as client:
        # What is loaded and set up once is not the matter of each export.
        with _exports(client, warm_up):
            await _until_accepted(service, warm_up)
        await asyncio.sleep(1)
        before = used()
        with _exports(client, count):
            await _until_accepted(service, warm_up + count)
            return (used() - before - _of_service(service)) / count


def _of_service(service: Service) -> int:
    return sum(map(sys.getsizeof, service.jobs)) + sys.getsizeof(service.jobs)


def _traced() -> int:
    gc.collect()
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def looks(count: int, seconds: float) -> list[float]:
    """CPU seconds of each look at so many waiting jobs."""
    return _in_virtual_time(lambda: _looks(count, seconds))


async def _looks(count: int, seconds: float) -> list[float]:
    service = _Metered(asyncio.get_running_loop().time)
    async with _simulated(service) as client:
        with _exports(client, count):
            await _until_accepted(service, count)
            service.looked.clear()
            await asyncio.sleep(seconds)
        return service.looked


class _Metered(Service):
    """Notes the CPU of its client between two looks, which begin with the list of running jobs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.looked: list[float] = []
        self._began = 0.0

    def handle(self, method: bytes, target: bytes, body: bytes) -> bytes:
        came = time.process_time()
        if b"job-status=RUNNING" in target:
            self.looked.append(came - self._began)
            self._began = came
        answer = super().handle(method, target, body)
        self._began += time.process_time() - came
        return answer


async def _run_by_bulk(client: DliClient, count: int) -> None:
    async with client.export_many(_spec(number) for number in range(count)) as outcomes:
        async for outcome in outcomes:
            assert outcome.ok


async def _run_by_tasks(client: DliClient, count: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(_export(client, number))


_RUNS = {"by export_many": _run_by_bulk, "by tasks at once": _run_by_tasks}


def holds(url: str, run: str, count: int, polling: PollPolicy, collecting: bool) -> float:
    """Seconds for which the loop was held at the longest."""
    with asyncio.Runner(loop_factory=TimedLoop) as runner:
        return runner.run(_holds(url, run, count, polling, collecting))


async def _holds(url: str, run: str, count: int, polling: PollPolicy, collecting: bool) -> float:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TimedLoop)
    async with _client(endpoint=url, polling=polling) as client:
        await _export(client, count)
        loop.holds.clear()
        if not collecting:
            gc.disable()
        await _RUNS[run](client, count)
        gc.enable()
        # CPU, since the machine may be shared; the loop's thread waits for nothing in between.
        return max(cpu for _, cpu in loop.holds)


def _in_virtual_time(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


def _fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    args = options(__doc__).parse_args(arguments)
    many, few, repeats = (20, 2, 1) if args.quick else (10_000, 1_000, 3)
    polling = PollPolicy(initial_delay=0.01, wait_initial=0.01) if args.quick else PollPolicy()
    median = 0.01 if args.quick else 1.0
    call = (lambda function, *given: function(*given)) if args.quick else _fresh
    report = Report("footprint")

    traced = Spread.of([call(memory, many, True)])
    resident = Spread.of(call(memory, many, False) for _ in range(repeats))
    look = Spread.of(call(looks, *((300, 20) if args.quick else (many, 600))))
    with serving("simulated", slots=200, median=median, launch=0.05) as url:
        held = {
            (run, collecting): Spread.of(
                call(holds, url, run, few, polling, collecting) for _ in range(repeats)
            )
            for run in _RUNS
            for collecting in (True, False)
        }

    rows = [
        (f"memory of one of {many:,} waiting exports, tracemalloc", traced.text(2, 1e-3), "kB"),
        (f"memory of one of {many:,} waiting exports, resident", resident.text(2, 1e-3), "kB"),
        (f"CPU of a look at {many:,} waiting jobs", look.text(1, 1e3), "ms"),
    ]
    for (run, collecting), hold in held.items():
        what = f"longest hold of the loop in {few:,} exports {run}"
        without = "" if collecting else ", without the garbage collector"
        rows.append((what + without, hold.text(1, 1e3), "ms"))
        report.add(run=run, exports=few, collecting=collecting, hold=hold)
    print_table("Median (least - most)", ("what", "value", "unit"), rows)
    report.add(waiting=many, memory_traced=traced, memory_resident=resident, look_cpu=look)
    report.targets = [
        Target("memory of a waiting export, tracemalloc", traced.median / 1e3, 6, " kB"),
        Target("CPU of a look", look.median * 1e3, 50, " ms"),
        *(
            Target(f"longest hold of the loop, {run}", held[run, True].median * 1e3, 50, " ms")
            for run in _RUNS
        ),
    ]
    report.finish(args.output, quick=args.quick)


if __name__ == "__main__":
    main(sys.argv[1:])
