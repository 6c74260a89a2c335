"""What files cost: fetching beside bare obstore, verifying beside zcat and wc, and memory.

    python -m benchmarks.files

The emulator serves from a process of its own. Both fetches bring the same parts from it to the
same disk, eight at a time, in turns, after one turn that is not counted; client and store are open
before. obstore is read as a stream, and its pieces are written as they come.
"""

from __future__ import annotations

import asyncio
import gzip
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from obstore.store import S3Store

from dli_async import AkSk, DliClient
from dli_async.emulator import ACCESS_KEY, SECRET_KEY

from ._report import Report, Spread, Target, options, print_table

_FOLDER = "lake/exp/run1"
_DATA_PATH = f"obs://{_FOLDER}"
_PARALLEL = 8
_SERVE = """
import sys
from dli_async.emulator import Emulator, NullEngine
from dli_async.emulator.server import run_server
emulator = Emulator(obs_dir=sys.argv[1], engine=NullEngine({}))
run_server(emulator, on_ready=lambda url: print(url, flush=True))
"""
# In a process of its own, since the peak of this one would hide it.
_PEAK = """
import asyncio, sys
from pathlib import Path
from dli_async.emulator import ACCESS_KEY, SECRET_KEY
from dli_async import AkSk, DliClient

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

async def main(url, what, data_path, folder):
    auth = AkSk(ACCESS_KEY, SECRET_KEY)
    async with DliClient(endpoint=url, project_id="p", auth=auth) as client:
        await client.files.exists(data_path)
        idle = peak()
        await (client.files.fetch(data_path, folder) if what == "fetch"
               else client.files.verify(data_path))
        print(peak() - idle)

asyncio.run(main(*sys.argv[1:]))
"""


Fetch = Callable[[Path], Awaitable[None]]


class Cost(NamedTuple):
    """Seconds of one run."""

    wall: float
    cpu: float


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """An emulator that serves the files below `root`."""
    command = [sys.executable, "-c", _SERVE, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def fill(root: Path, parts: int, size: int) -> None:
    """Parts of plain csv, and the mark of success."""
    folder = root / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = b"".join(b"%d,some text that repeats,%d\n" % (n, n * 7) for n in range(size // 20))
    for number in range(parts):
        (folder / f"part-{number:05d}.csv").write_bytes(text[:size])
    (folder / "_SUCCESS").touch()


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Fetch]:
    """The client, open."""
    auth = AkSk(ACCESS_KEY, SECRET_KEY)
    async with DliClient(endpoint=url, project_id="p", auth=auth) as client:

        async def fetch(folder: Path) -> None:
            await client.files.fetch(_DATA_PATH, folder, max_parallel=_PARALLEL)

        yield fetch


@asynccontextmanager
async def obstores(url: str) -> AsyncIterator[Fetch]:
    """A store, and what one would write around it."""
    bucket, _, prefix = _FOLDER.partition("/")
    store = S3Store(
        bucket,
        endpoint=url,
        region="cn-north-4",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
    )
    gate = asyncio.Semaphore(_PARALLEL)

    async def bring(path: str, folder: Path) -> None:
        async with gate:
            answer = await store.get_async(path)
            with (folder / path.rpartition("/")[2]).open("wb") as file:
                async for piece in answer.stream():
                    file.write(piece)

    async def fetch(folder: Path) -> None:
        paths = [item["path"] async for page in store.list(prefix) for item in page]
        await asyncio.gather(*(bring(path, folder) for path in paths))

    yield fetch


async def measure(run: Fetch) -> Cost:
    """One fetch into a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        await run(Path(folder))
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)


async def fetch_in_turns(url: str, turns: int) -> dict[str, list[Cost]]:
    """Both, after one turn that is not counted."""
    costs: dict[str, list[Cost]] = {"dli_async": [], "obstore": []}
    async with ours(url) as our_fetch, obstores(url) as their_fetch:
        for turn in range(turns + 1):
            for name, run in (("dli_async", our_fetch), ("obstore", their_fetch)):
                cost = await measure(run)
                if turn:
                    costs[name].append(cost)
    return costs


def compare_fetches(report: Report, url: str, size: int, turns: int) -> None:
    """Ours and obstore's in turns."""
    costs = asyncio.run(fetch_in_turns(url, turns))
    rows = []
    for name, runs in costs.items():
        wall = Spread.of(run.wall for run in runs)
        cpu = Spread.of(run.cpu for run in runs)
        rows.append((name, wall.text(2), cpu.text(2), f"{size / wall.median / 1e6:,.0f}"))
        report.add(contender=name, wall=wall, cpu=cpu)
    print_table("Fetching", ("", "wall s", "CPU s", "MB/s"), rows)
    ours, theirs = ([run.cpu for run in costs[name]] for name in costs)
    cpu_ratio = Spread.of(ours).median / Spread.of(theirs).median
    walls = [Spread.of(run.wall for run in costs[name]).median for name in costs]
    report.targets += [
        Target("CPU of a fetch, of obstore's", cpu_ratio, 1.25),
        Target("time of a fetch, of obstore's (0.8 of its throughput)", walls[0] / walls[1], 1.25),
    ]


def compare_verify(report: Report, url: str, root: Path, size: int, turns: int) -> None:
    """One gzip file: rows counted, beside `zcat | wc -l`."""
    folder = root / _FOLDER
    shutil.rmtree(folder)
    folder.mkdir()
    path = folder / "part-00000.csv.gz"
    text = b"".join(b'%d,plain,"quoted, text",%d\n' % (n, n * 7919) for n in range(size // 34))
    path.write_bytes(gzip.compress(text, 6))
    (folder / "_SUCCESS").touch()

    async def verify() -> list[float]:
        auth = AkSk(ACCESS_KEY, SECRET_KEY)
        walls = []
        async with DliClient(endpoint=url, project_id="p", auth=auth) as client:
            for _ in range(turns + 1):
                began = time.perf_counter()
                found = await client.files.verify(_DATA_PATH)
                walls.append(time.perf_counter() - began)
                assert found.rows == text.count(b"\n")
        return walls[1:]

    ours, theirs = asyncio.run(verify()), []
    for _ in range(turns):
        began = time.perf_counter()
        subprocess.run(f"zcat {path} | wc -l", shell=True, check=True, stdout=subprocess.DEVNULL)
        theirs.append(time.perf_counter() - began)
    rows = [("verify", Spread.of(ours).text(2)), ("zcat | wc -l", Spread.of(theirs).text(2))]
    print_table(f"Counting the rows of {len(text) / 1e6:,.0f} MB in gzip", ("", "wall s"), rows)
    report.add(verify=Spread.of(ours), zcat=Spread.of(theirs))
    ratio = Spread.of(ours).median / Spread.of(theirs).median
    report.targets.append(Target("time of a verify, of zcat | wc -l (0.5 of its speed)", ratio, 2))


def measure_memory(report: Report, url: str, size: int) -> None:
    """The peak above idle, in a process of its own."""
    rows = []
    for what in ("fetch", "verify"):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", _PEAK, url, what, _DATA_PATH, folder]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
        peak = float(run.stdout)
        rows.append((what, f"{peak:.0f}"))
        report.add(memory=what, peak_mb=peak)
        report.targets.append(Target(f"memory of a {what} above idle", peak, 64, " MB"))
    print_table(f"Memory with {size / 1e6:,.0f} MB", ("", "MB above idle"), rows)


def main() -> None:
    arguments = options(__doc__).parse_args()
    quick: bool = arguments.quick
    parts, size, turns = (8, 100_000, 1) if quick else (200, 1_000_000, 5)
    many = 4 if quick else 50
    report = Report("files")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        root = Path(folder)
        fill(root, parts, size)
        compare_fetches(report, url, parts * size, turns)
        fill(root, many, 20 * size)
        measure_memory(report, url, many * 20 * size)
        compare_verify(report, url, root, 100 * size, turns)
    report.finish(arguments.output, quick=quick)


if __name__ == "__main__":
    main()
