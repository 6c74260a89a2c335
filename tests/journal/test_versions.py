"""Journals of the first release, and the clock by which leases are judged."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dli_async import JournalError
from dli_async._export.departure import Departure, Moment
from dli_async._journal.entries import ExportState
from dli_async._journal.journal import Journal, JournalReader
from dli_async._journal.sqlite import clock
from tests.conftest import REAL
from tests.journal.support import departure, opened, spec, until_lease_ends

pytestmark = pytest.mark.anyio

S = ExportState
THEN = 1_767_225_600.25

# The file of version 1, as the first release made it.
FIRST_RELEASE = """
CREATE TABLE exports (
  id INTEGER PRIMARY KEY,
  database_name TEXT NOT NULL COLLATE NOCASE,
  table_name TEXT NOT NULL COLLATE NOCASE,
  data_path TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  folder TEXT NOT NULL,
  state TEXT NOT NULL,
  job_id TEXT,
  status TEXT,
  error TEXT,
  identity TEXT,
  owner TEXT,
  lease_expires_at REAL,
  doubted_at REAL,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  ended_at REAL,
  duration REAL,
  row_count INTEGER,
  input_size INTEGER,
  spec_json TEXT NOT NULL,
  report_json TEXT,
  UNIQUE (data_path, database_name, table_name, attempt)
);
CREATE INDEX exports_by_folder ON exports (folder);
CREATE INDEX exports_by_job ON exports (job_id);
CREATE INDEX exports_by_identity ON exports (identity, id);
CREATE INDEX exports_by_owner ON exports (owner, state);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  export_id INTEGER NOT NULL REFERENCES exports (id),
  at REAL NOT NULL,
  state TEXT NOT NULL,
  status TEXT,
  job_id TEXT,
  error TEXT
);
CREATE TABLE openings (
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  pid INTEGER NOT NULL,
  host TEXT NOT NULL,
  exclusive INTEGER NOT NULL,
  at REAL NOT NULL
);
CREATE TRIGGER planned AFTER INSERT ON exports
BEGIN
  INSERT INTO events (export_id, at, state, status, job_id, error)
  VALUES (new.id, new.updated_at, new.state, new.status, new.job_id, new.error);
END;
CREATE TRIGGER changed AFTER UPDATE ON exports
WHEN (new.state, new.status, new.job_id, new.error)
  IS NOT (old.state, old.status, old.job_id, old.error)
BEGIN
  INSERT INTO events (export_id, at, state, status, job_id, error)
  VALUES (new.id, new.updated_at, new.state, new.status, new.job_id, new.error);
END;
PRAGMA application_id = 0x444C4931;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""

LIVES: list[dict[str, Any]] = [
    {"state": "planned"},
    {"state": "submitting", "doubted_at": THEN},
    {"state": "submitted", "doubted_at": THEN, "job_id": "job-3", "status": "RUNNING"},
    {"state": "finished", "doubted_at": THEN, "job_id": "job-4", "status": "FINISHED"},
]


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: the journal has a thread."""
    return request.param


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal of the first release, with an export in each state, under a lease of an hour."""
    path = tmp_path / "run.db"
    with opened(path) as db:
        db.executescript(FIRST_RELEASE)
        for number, life in enumerate(LIVES, 1):
            one = spec(number)
            row = {
                "database_name": one.database_name,
                "table_name": one.table_name,
                "data_path": one.data_path,
                "attempt": 1,
                "folder": one.data_path,
                "owner": "old",
                "lease_expires_at": time.time() + 3_600,
                "created_at": THEN,
                "updated_at": THEN,
                "spec_json": json.dumps(one.body()),
            } | life
            marks = ", ".join("?" * len(row))
            db.execute(f"INSERT INTO exports ({', '.join(row)}) VALUES ({marks})", (*row.values(),))
    return path


async def test_a_reader_reads_a_journal_of_the_first_release_as_it_is(old: Path) -> None:
    """Nothing is migrated by looking; what was unknown then is None."""
    entries = await JournalReader(old).entries()
    assert [str(entry.state) for entry in entries] == [life["state"] for life in LIVES]
    assert entries[0].departure is None
    assert entries[1].departure == Departure.at(Moment(THEN))
    assert {entry.departed_at for entry in entries} == {None}
    assert len(await JournalReader(old).events()) == len(LIVES)
    with opened(old) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 1


async def test_a_writer_migrates_a_journal_of_the_first_release(old: Path) -> None:
    """All that was in it stays, also who holds what; and it works as a new one does."""
    before = await JournalReader(old).entries()
    now = Departure.at(Moment(THEN + 1, THEN + 2)).again(Moment(THEN + 3, THEN + 4))
    async with Journal.open(old, owner="new") as journal:
        entries = await journal.entries()
        assert all(entry.export_key for entry in entries)
        assert [replace(entry, export_key=None) for entry in entries] == before
        assert await journal.claim(lease=60) == []
    async with Journal.open(old, owner="old") as journal:
        for entry in before[:2]:
            await journal.departing(entry.id, now)
        entries = await journal.entries(states=[S.SUBMITTING])
        assert [entry.departure for entry in entries] == [now, now]
        with pytest.raises(JournalError):
            await journal.departing(before[2].id, now)
    assert [entry.departure for entry in await JournalReader(old).entries()][:2] == [now, now]


async def test_a_lease_is_not_moved_by_a_time_of_day_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a process that is running nor by one that starts later."""
    path = tmp_path / "run.db"
    async with Journal.open(path, owner="one") as one:
        entry = await one.add(spec(), lease=300)
        for shift in (-600.0, 600.0):
            set_by(monkeypatch, shift)
            async with Journal.open(path, owner="two") as two:
                assert await two.claim(lease=60) == []
            await one.departing(entry.id, departure())
            await one.renew(lease=300)


def set_by(monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    """Sets the time of day as whoever keeps the journal reads it."""
    real = datetime.now(UTC).timestamp
    zero, monotonic = real() + shift, time.monotonic()
    monkeypatch.setattr(time, "time", lambda: zero + time.monotonic() - monotonic)


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts the machine again: under another name, or, where it has none, with less uptime."""

    def boot(name: str, uptime: float) -> None:
        monkeypatch.setattr(clock, "_boot", lambda: name)
        monkeypatch.setattr(clock, "_uptime", lambda: uptime)

    return boot


@pytest.mark.parametrize(("name", "uptime"), [("second", 5_000.0), ("first", 10.0)])
async def test_nobody_holds_a_lease_after_another_start_of_the_machine(
    tmp_path: Path, boots: Any, name: str, uptime: float
) -> None:
    """Whoever held one is dead, however long it was to last."""
    path = tmp_path / "run.db"
    boots("first", 4_000.0)
    async with Journal.open(path, owner="one") as one:
        await one.add(spec(), lease=1e6)
        async with Journal.open(path, owner="two") as two:
            assert await two.claim(lease=60) == []
    boots(name, uptime)
    async with Journal.open(path, owner="three") as three:
        assert len(await three.claim(lease=60)) == 1


async def test_only_an_own_note_is_taken_back(tmp_path: Path) -> None:
    """A worker that was overtaken, and has the export again, knows nothing of the note of the
    other: that doubt stays."""
    path = tmp_path / "run.db"
    async with Journal.open(path, owner="one") as one, Journal.open(path, owner="two") as two:
        entry = await one.add(spec(), lease=600)
        mine, other = departure(), Departure.at(Moment(THEN))
        await one.departing(entry.id, mine)
        await one.renew(lease=0.001)
        await until_over(one, entry.id)
        await two.claim(lease=600)
        await two.departing(entry.id, other)
        await two.release([entry.id])
        await one.claim(lease=600)
        await one.not_sent(entry.id, mine)
        [left] = await one.entries()
        assert (left.state, left.departure) == (S.SUBMITTING, other)
        await one.not_sent(entry.id, other)
        [left] = await one.entries()
        assert (left.state, left.departure) == (S.PLANNED, None)


async def until_over(journal: Journal, export_id: int) -> None:
    """Waits until others may claim an export."""
    entry = await journal.entry(export_id)
    assert entry is not None
    await until_lease_ends(entry)
