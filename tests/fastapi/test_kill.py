"""Several workers in processes of their own, killed without warning."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from dli_async.emulator import Emulator, NullEngine

from .conftest import TABLES, spec
from .serving import Backend, emulator_url

EXPORTS = 45


@pytest.fixture(params=[0.5])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """Jobs that run as long as the parameter says."""
    engine = NullEngine({"db": TABLES})
    emulator = Emulator(engine=engine, launch=0.1, run=request.param, slots=20)
    # Some answers come late, so that workers are killed between a job and the news of it.
    late = {"route": "export-table", "when": "after", "kind": "slow-headers:0.2"}
    emulator.faults.set([{**late, "probability": 0.3}])
    with emulator_url(emulator) as url:
        yield url
    emulator.close()


@pytest.fixture
def backend(endpoint: str, tmp_path: Path) -> Iterator[Backend]:
    made = Backend(endpoint, tmp_path / "exports.db", workers=2)
    made.start()
    yield made
    made.close()


def start_exports(backend: Backend, numbers: range) -> list[str]:
    places = []
    for number in numbers:
        answer = backend.http.post("/exports", json=spec(number))
        assert answer.status_code == 202, answer.text
        places.append(answer.headers["Location"])
    return places


def states(backend: Backend) -> list[str]:
    answer = backend.http.get("/exports", params={"limit": 500})
    return [export["state"] for export in answer.json()["exports"]]


def ledger(endpoint: str) -> list[Any]:
    answer = httpx.get(f"{endpoint}/_emulator/ledger", trust_env=False)
    return list(answer.json()["jobs"])


@pytest.mark.slow
def test_killing_workers_and_the_server_loses_no_export_and_makes_no_duplicate(
    backend: Backend, endpoint: str
) -> None:
    """After SIGKILL of a worker and then of the whole server in mid-export, each export that was
    accepted is one job, and is reported as finished."""
    places = start_exports(backend, range(EXPORTS // 3))
    os.kill(backend.worker(), signal.SIGKILL)
    backend.wait_until_ready()
    places += start_exports(backend, range(EXPORTS // 3, EXPORTS))
    backend.kill()
    backend.start()
    deadline = time.monotonic() + 120
    while set(said := states(backend)) != {"finished"}:
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    assert len(said) == len(places) == EXPORTS
    jobs = ledger(endpoint)
    assert sorted(job["spec"]["table_name"] for job in jobs) == sorted(TABLES[:EXPORTS])
    known = {backend.http.get(place).json()["job_id"] for place in places}
    assert known == {job["job_id"] for job in jobs}


@pytest.mark.parametrize("endpoint", [1_000.0], indirect=True, ids=["endless"])
def test_a_server_that_is_told_to_stop_ends_its_streams_and_gives_its_exports_back(
    backend: Backend, tmp_path: Path
) -> None:
    """SIGTERM does not wait for listeners, and leaves exports that any worker may take at once."""
    start_exports(backend, range(5))
    with backend.http.stream("GET", "/exports/events") as response:
        next(response.iter_lines())
        backend.stop()
    with closing(sqlite3.connect(tmp_path / "exports.db")) as db:
        left = db.execute("SELECT owner, state FROM exports").fetchall()
    assert {owner for owner, _ in left} == {None}
    assert {state for _, state in left} <= {"planned", "submitted"}
