"""What the tests of the journal share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.lowlevel

from dli_async import DliClient, PollPolicy, RetryPolicy, StatusReport, SubmitPolicy, TableExport
from dli_async._export.departure import Departure, Moment
from dli_async._journal.entries import JournalEntry
from dli_async._journal.journal import JournalReader
from dli_async.bulk import ExportOutcome
from dli_async.emulator import Emulator

QUICK = PollPolicy(initial_delay=0.0, wait_initial=0.01, wait_max=0.05, wait_jitter=0)


def quick_client(emulator: Emulator, **options: Any) -> DliClient:
    """A client that looks at each job, often."""

    async def look(job_id: str) -> StatusReport:
        return await client.api.status(job_id, repeat=False)

    given: dict[str, Any] = {
        "status_source": look,
        "polling": QUICK,
        "submit": SubmitPolicy(grace=0.1),
        "retry": RetryPolicy(attempts=2, wait_initial=0.01),
    }
    client = emulator.client(**(given | options))
    return client


def spec(number: int = 1, **fields: Any) -> TableExport:
    """An export of a table of db1."""
    given = {"table_name": f"t{number}", "data_path": f"obs://bucket/run/t{number}"}
    return TableExport(database_name="db1", **(given | fields))


def departure(server: float | None = None) -> Departure:
    """A POST that leaves now."""
    return Departure.at(Moment.now(server))


def specs(count: int) -> list[TableExport]:
    """Exports of t1, t2, ... of db1."""
    return [spec(number) for number in range(1, count + 1)]


def report(status: str = "FINISHED", job_id: str = "job-1", **fields: Any) -> StatusReport:
    """A report of the service."""
    return StatusReport(job_id=job_id, status=status, **fields)  # type: ignore[arg-type]


async def run(client: DliClient, path: Path, wanted: Any, **options: Any) -> list[ExportOutcome]:
    """All outcomes of a run with a journal."""
    async with client.export_many(wanted, journal=path, **options) as outcomes:
        return [outcome async for outcome in outcomes]


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, as any program sees it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def content(path: Path) -> bytes:
    """All bytes of a file."""
    return path.read_bytes()


def spoil(path: Path) -> None:
    """Makes a file that is no database."""
    path.write_text("this is not a database, it only looks like one" * 100)


async def until_lease_ends(entry: JournalEntry) -> None:
    """Waits until others may claim an entry."""
    assert entry.lease_expires_at is not None
    while datetime.now(UTC) <= entry.lease_expires_at:
        await anyio.lowlevel.checkpoint()


async def entries_of(path: Path, **filters: Any) -> list[JournalEntry]:
    """What the journal holds."""
    return await JournalReader(path).entries(**filters)


def as_version_3(path: Path) -> None:
    """Takes from a journal what version 4 knows of the files of its exports."""
    with opened(path) as db:
        db.execute("DROP INDEX exports_by_local_folder")
        for column in ("verified_at", "verify_error", "fetched_at", "fetched_to", "fetch_error"):
            db.execute(f"ALTER TABLE exports DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 3")
