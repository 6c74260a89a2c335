"""A bulk run that kills itself at a step of its submits, and one that goes on from its journal."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from dli_async.emulator import Emulator, NullEngine
from dli_async.emulator.server import running
from tests.conftest import REAL

pytestmark = pytest.mark.anyio

TABLES = 3

RUN = """
import os, signal, sys, time

url, journal, backend, deadly, shift, count = sys.argv[1:]
real = time.time
time.time = lambda: real() + float(shift)

import anyio
from dli_async import DliClient, PollPolicy, StaticToken, SubmitPolicy, TableExport
from dli_async._http.transport import Wire
from dli_async._journal.journal import Journal

def step(name):
    if name == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

def between(kind, name, is_meant=lambda *args: True):
    whole = getattr(kind, name)
    async def stepping(self, *args):
        meant = is_meant(*args)
        if meant:
            step("before " + name)
        value = await whole(self, *args)
        if meant:
            step("after " + name)
        return value
    setattr(kind, name, stepping)

between(Journal, "departing")
between(Journal, "submitted")
between(Wire, "_exchange", lambda request: request.method == "POST")

async def main():
    specs = [
        TableExport(database_name="db", table_name=f"t{n}", data_path=f"obs://bucket/run/t{n}")
        for n in range(int(count))
    ]
    async def look(job_id):
        return await client.status(job_id)

    async with DliClient(
        endpoint=url,
        project_id="0123456789abcdef0123456789abcdef",
        auth=StaticToken("emulator-token"),
        status_source=look,
        submit=SubmitPolicy(grace=0.2),
        request_timeout=1.0,
        polling=PollPolicy(initial_delay=0.05, wait_initial=0.05, wait_max=0.1, wait_jitter=0),
    ) as client:
        async with client.export_many(specs, journal=journal) as outcomes:
            assert all([outcome.ok async for outcome in outcomes])

anyio.run(main, backend=backend)
"""

# Between note and POST, between POST and answer, and around the note of the id.
STEPS = [
    ("after departing", 600),
    ("after _exchange", 600),
    ("after _exchange", -600),
    ("before submitted", -600),
    ("after submitted", 600),
]


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: there are processes."""
    return request.param


def run(url: str, journal: Path, backend: str, deadly: str, shift: int) -> int:
    """The exit code of a run that dies at a step, by a clock that is wrong by `shift` seconds."""
    command = [sys.executable, "-c", RUN, url, str(journal), backend, deadly, str(shift)]
    return subprocess.run([*command, str(TABLES)], check=False).returncode


async def each_step_is_survived(backend: str, tmp_path: Path, steps: list[tuple[str, int]]) -> None:
    """A run dies at each step in turn, on a journal of its own, behind a pause; another goes on."""
    engine = NullEngine({"db": [f"t{n}" for n in range(TABLES)]})
    for number, (deadly, shift) in enumerate(steps):
        async with Emulator(engine=engine, launch=0, run=0.1) as emulator:
            emulator.faults.set([{"route": "export-table", "kind": "throttle:1", "nth": 2}])
            async with running(emulator) as url:
                journal = tmp_path / f"run-{number}.db"
                start = partial(run, url, journal, backend)
                died = await anyio.to_thread.run_sync(start, deadly, 0)
                assert died == -signal.SIGKILL
                assert await anyio.to_thread.run_sync(start, "none", shift) == 0
        made = Counter(job.spec.table_name for job in emulator.ledger.jobs)
        assert made == {f"t{n}": 1 for n in range(TABLES)}, (deadly, shift)


@pytest.mark.slow
async def test_a_run_that_dies_at_any_step_makes_no_duplicate(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    """Each table is exported once, though the clock is ten minutes off when the run goes on."""
    half = STEPS[anyio_backend_name == "trio" :: 2]
    await each_step_is_survived(anyio_backend_name, tmp_path, half)
