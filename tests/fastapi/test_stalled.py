"""Two workers on one journal, one of which is stopped while its submits wait at the throttle."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from dli_async.emulator import Emulator, NullEngine

from .serving import emulator_url

EXPORTS = 4

WORKER = """
import sys
import anyio
from dli_async import DliClient, PollPolicy, StaticToken, SubmitPolicy, TableExport
from dli_async.fastapi._runner import Runner
from dli_async.fastapi._store import WebJournal

name, url, path, count = sys.argv[1:]
LEASE = 2.0

def tell(event):
    print(getattr(event, "status_code", ""), flush=True)

async def main():
    specs = [
        TableExport(database_name="db", table_name=f"t{n}", data_path=f"obs://bucket/run/t{n}")
        for n in range(int(count))
    ]
    client = DliClient(
        endpoint=url,
        project_id="0123456789abcdef0123456789abcdef",
        auth=StaticToken("emulator-token"),
        submit=SubmitPolicy(grace=0.2),
        polling=PollPolicy(initial_delay=0.1, wait_initial=0.1, wait_max=0.2),
        request_timeout=1.0,
        on_event=tell,
    )
    async with WebJournal.open(path, owner=name) as journal, client:
        async with Runner(client, journal, LEASE).serving():
            if specs:
                await journal.accept(specs, identity=None, max_active=None, lease=LEASE)
            while True:
                states = [entry.state for entry in await journal.entries()]
                if states and all(state.is_end for state in states):
                    return
                await anyio.sleep(0.1)

anyio.run(main)
"""


def start(name: str, url: str, journal: Path, count: int) -> subprocess.Popen[str]:
    """A worker that ends when all exports have; it prints the status of each answer."""
    command = [sys.executable, "-c", WORKER, name, url, str(journal), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_worker_that_is_stopped_past_its_lease_posts_nothing_when_it_wakes(
    tmp_path: Path,
) -> None:
    """Another one takes its exports over meanwhile and brings them to their end: one job each."""
    journal = tmp_path / "shared.db"
    emulator = Emulator(engine=NullEngine({"db": [f"t{n}" for n in range(EXPORTS)]}), run=0.1)
    emulator.faults.set([{"route": "export-table", "kind": "throttle:4", "times": 1}])
    with emulator_url(emulator) as url:
        stalled = start("stalled", url, journal, EXPORTS)
        assert stalled.stdout is not None
        assert any("429" in line for line in stalled.stdout)
        with closing(sqlite3.connect(journal, timeout=60, isolation_level=None)) as db:
            # Stopped within a transaction, it would keep the file from everybody.
            db.execute("BEGIN IMMEDIATE")
            os.kill(stalled.pid, signal.SIGSTOP)
            db.execute("ROLLBACK")
        try:
            other = start("other", url, journal, 0)
            other.communicate(timeout=100)
        finally:
            os.kill(stalled.pid, signal.SIGCONT)
        stalled.communicate(timeout=100)
    made = Counter(job.spec.table_name for job in emulator.ledger.jobs)
    emulator.close()
    assert (other.returncode, stalled.returncode) == (0, 0)
    assert made == {f"t{n}": 1 for n in range(EXPORTS)}
