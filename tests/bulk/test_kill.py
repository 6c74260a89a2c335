"""A bulk run in a process of its own, killed without warning again and again."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from dli_async.emulator import Emulator, NullEngine
from dli_async.emulator.server import running
from tests.conftest import REAL

pytestmark = pytest.mark.anyio

TABLES = 80

RUN = """
import sys
import anyio
from dli_async import DliClient, PollPolicy, StaticToken, SubmitPolicy, TableExport

def tell(event):
    print(type(event).__name__, flush=True)

async def main(url, journal, count):
    specs = (
        TableExport(database_name="db", table_name=f"t{n}", data_path=f"obs://bucket/run/t{n}")
        for n in range(count)
    )

    async def look(job_id):
        return await client.api.status(job_id, repeat=False)

    async with DliClient(
        endpoint=url,
        project_id="0123456789abcdef0123456789abcdef",
        auth=StaticToken("emulator-token"),
        status_source=look,
        submit=SubmitPolicy(grace=0.3),
        request_timeout=2.0,
        polling=PollPolicy(initial_delay=0.05, wait_initial=0.05, wait_max=0.2, wait_jitter=0),
    ) as client:
        run = client.export_many(specs, max_running=20, journal=journal, on_event=tell)
        async with run as outcomes:
            ends = [outcome async for outcome in outcomes]
    print(sum(outcome.ok for outcome in ends), sum(outcome.resumed for outcome in ends))

anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]), backend=sys.argv[4])
"""


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: there are processes."""
    return request.param


def start(url: str, journal: Path, backend: str) -> subprocess.Popen[str]:
    """A bulk run in a new process, which prints a line for each of its events."""
    command = [sys.executable, "-c", RUN, url, str(journal), str(TABLES), backend]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen[str], events: int) -> None:
    """Kills a run without warning when it has told so many events; blocks."""
    assert process.stdout is not None
    for _ in range(events):
        process.stdout.readline()
    process.kill()
    process.communicate()


@pytest.mark.slow
async def test_killing_a_run_loses_no_export_and_makes_no_duplicate(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    """After SIGKILL at random moments and restarts, each table was exported exactly once."""
    dice = random.Random(f"kill {anyio_backend_name}")
    journal = tmp_path / "run.db"
    engine = NullEngine({"db": [f"t{n}" for n in range(TABLES)]})
    emulator = Emulator(engine=engine, launch=0.02, run=0.1, slots=20)
    # Some answers come late, so that runs are killed between the job and the news of it.
    late = {"route": "export-table", "when": "after", "kind": "slow-headers:0.1"}
    emulator.faults.set([{**late, "probability": 0.3}])
    async with emulator, running(emulator) as url:
        for _ in range(3):
            process = start(url, journal, anyio_backend_name)
            await anyio.to_thread.run_sync(kill_after, process, dice.randint(1, 120))
        last = start(url, journal, anyio_backend_name)
        said, _ = await anyio.to_thread.run_sync(last.communicate)
        async with httpx.AsyncClient(trust_env=False) as http:
            jobs = (await http.get(f"{url}/_emulator/ledger")).json()["jobs"]
    assert last.returncode == 0
    assert int(said.splitlines()[-1].split()[0]) == TABLES
    assert sorted(job["spec"]["table_name"] for job in jobs) == sorted(
        f"t{n}" for n in range(TABLES)
    )
    assert {job["state"] for job in jobs} == {"FINISHED"}
    with sqlite3.connect(journal) as db:
        known = {row[0] for row in db.execute("SELECT job_id FROM exports")}
    db.close()
    assert known == {job["job_id"] for job in jobs}
