"""What the journal costs a bulk run: `export_many` with and without it, in turns.

    python -m benchmarks.journal

1,000 exports through a real socket to a canned server; each job is known to have ended at its first
look, so that nothing is waited for and the difference in time is the journal's. It is committed to
a file on the disk that holds the temporary folder, with a sync for each group of intents.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from dli_async import AkSk, DliClient, PollPolicy, StatusReport, TableExport

from ._clock import TimedLoop
from ._report import Report, Spread, Target, options, print_table
from ._server import serving

_PROJECT = "0123456789abcdef0123456789abcdef"


async def _ended(job_id: str) -> StatusReport:
    return StatusReport.model_validate({"job_id": job_id, "status": "FINISHED"})


def _specs(count: int) -> Iterator[TableExport]:
    for number in range(count):
        yield TableExport(
            database_name="sales",
            table_name=f"orders_{number}",
            data_path=f"obs://bucket/exports/{number}",
        )


async def _run(url: str, count: int, journal: Path | None) -> None:
    client = DliClient(
        endpoint=url,
        project_id=_PROJECT,
        auth=AkSk("benchmark-ak", "benchmark-sk"),
        status_source=_ended,
        polling=PollPolicy(initial_delay=0),
    )
    done = 0
    async with client, client.export_many(_specs(count), journal=journal) as outcomes:
        async for outcome in outcomes:
            assert outcome.error is None, outcome.error
            done += 1
    assert done == count


def measure(url: str, count: int, journal: Path | None) -> tuple[float, float, float]:
    """Wall and CPU seconds of a run, and the longest hold of the event loop."""
    with asyncio.Runner(loop_factory=TimedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, TimedLoop)
        wall, cpu = time.perf_counter(), time.process_time()
        runner.run(_run(url, count, journal))
        return (
            time.perf_counter() - wall,
            time.process_time() - cpu,
            max(held for held, _ in loop.holds),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    args = options(__doc__).parse_args(arguments)
    count, repeats = (20, 1) if args.quick else (1_000, 5)
    found: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
    with serving("canned") as url, tempfile.TemporaryDirectory() as folder:
        measure(url, count // 4, None)
        for turn in range(repeats):
            for kept in (False, True):
                path = Path(folder) / f"run-{turn}.db" if kept else None
                found[kept].append(measure(url, count, path))
    report = Report("journal")
    rows = []
    for kept, measured in found.items():
        wall, cpu, held = (Spread.of(values) for values in zip(*measured, strict=True))
        report.add(exports=count, journal=kept, wall=wall, cpu=cpu, hold=held)
        per_export = (wall.text(2, 1e3 / count), cpu.text(2, 1e3 / count))
        rows.append(("with journal" if kept else "without", *per_export, held.text(1, 1e3)))
    headers = ("run", "wall ms/export", "CPU ms/export", "longest hold ms")
    print_table(f"export_many over {count:,}, median (least - most)", headers, rows)
    pairs = zip(found[True], found[False], strict=True)
    cost = Spread.of((kept[0] - plain[0]) / count for kept, plain in pairs)
    report.add(exports=count, cost=cost)
    print(f"the journal's wall time per export: {cost.text(2, 1e3)} ms")
    report.targets.append(Target("journal, wall per export", cost.median * 1e3, 1.0, " ms"))
    report.finish(args.output, quick=args.quick)


if __name__ == "__main__":
    main(sys.argv[1:])
