"""The journal: its file, its lists, its leases. Real threads and files, real time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from dli_async import ConfigurationError, JournalError, StatusReport
from dli_async._journal.entries import ExportState, dump_report
from dli_async._journal.journal import Journal
from dli_async._journal.sqlite import schema as schema
from tests.conftest import REAL
from tests.journal.support import (
    content,
    departure,
    entries_of,
    opened,
    report,
    spec,
    spoil,
    until_lease_ends,
)

pytestmark = pytest.mark.anyio

S = ExportState


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: the journal has a thread."""
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal shall be."""
    return tmp_path / "run.db"


async def test_a_journal_tells_the_life_of_an_export(path: Path) -> None:
    """Each step is in the entry, with its times, and is an event with a sequence number."""
    async with Journal.open(path, owner="me") as journal:
        planned = await journal.plan(spec())
        await journal.departing(planned.id, departure())
        [doubted] = await journal.entries(states=[S.SUBMITTING])
        await journal.submitted(planned.id, "job-1")
        journal.saw_status(planned.id, report("RUNNING"))
        end = report(start_time=1_700_000_000_000, duration=1500, result_count=7, input_size=99)
        await journal.ended(planned.id, end, None)
        entry = await journal.entry_of_job("job-1")
        events = await journal.events()
        assert await journal.events(after=events[1].seq, limit=1) == events[2:3]
        assert await journal.events(export_id=planned.id + 1) == []
    assert (planned.state, planned.owner, planned.doubted_at) == (S.PLANNED, "me", None)
    assert doubted.doubted_at is not None
    assert abs(doubted.doubted_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert entry is not None
    assert (entry.state, entry.duration, entry.row_count, entry.input_size) == (
        S.FINISHED,
        1.5,
        7,
        99,
    )
    assert entry.report == end
    assert entry.spec == spec()
    assert entry.ended_at is not None
    assert entry.created_at <= entry.updated_at
    assert [(event.state, event.status) for event in events] == [
        (S.PLANNED, None),
        (S.SUBMITTING, None),
        (S.SUBMITTED, None),
        (S.SUBMITTED, "RUNNING"),
        (S.FINISHED, "FINISHED"),
    ]
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    assert entry.as_dict()["spec"]["table_name"] == "t1"
    assert entry.as_dict()["created_at"] == entry.created_at.isoformat()
    assert events[-1].as_dict()["state"] == "finished"


async def test_exports_are_listed_by_state_identity_and_page(path: Path) -> None:
    """The lists of a command line and of a web service come from one query."""
    async with Journal.open(path, owner="me") as journal:
        for number in range(1, 7):
            identity = "alice" if number % 2 else "bob"
            await journal.add(spec(number), identity=identity, lease=60)
        first = (await journal.entries(limit=1))[0]
        await journal.refused(first.id, "no")
        assert len(await journal.entries()) == 6
        assert [e.table_name for e in await journal.entries(identity="bob")] == ["t2", "t4", "t6"]
        assert [e.error for e in await journal.entries(states=[S.FAILED, S.FINISHED])] == ["no"]
        page = await journal.entries(after=first.id, limit=2, owner="me", states=[S.PLANNED])
        assert [e.table_name for e in page] == ["t2", "t3"]
        counts = await journal.counts()
        assert (counts[S.PLANNED], counts[S.FAILED]) == (5, 1)
        assert set(counts) == set(S)
        assert (await journal.counts(identity="alice"))[S.PLANNED] == 2
        assert await journal.entry(first.id) is not None
        assert await journal.entry(99) is None
        assert await journal.entry_of_job("unknown") is None


async def test_the_same_export_again_is_another_attempt(path: Path) -> None:
    """A web service may export one table to one folder day after day."""
    async with Journal.open(path, owner="me") as journal:
        attempts = [(await journal.add(spec())).attempt for _ in range(3)]
        other = await journal.add(spec(table_name="T1"))
    assert attempts == [1, 2, 3]
    assert other.attempt == 4


async def test_changes_that_queue_up_share_a_transaction(path: Path) -> None:
    """A hundred changes at a time cost a few commits, not a hundred."""
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    async with Journal.open(path, owner="me") as journal:
        await journal._writer.run(lambda db: db.set_trace_callback(count))
        commits = 0
        blocker = threading.Event()
        journal._writer.post(lambda db: blocker.wait(10))
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(journal.plan, spec(number))
            await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            blocker.set()
        assert commits <= 3
        assert len(await journal.entries()) == 100


async def test_the_event_loop_never_waits_for_the_file(path: Path) -> None:
    """While another program holds the file, the loop goes on, and so does the change later."""
    async with Journal.open(path, owner="me") as journal:
        with opened(path) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(journal.plan, spec())
                for _ in range(100):
                    await anyio.lowlevel.checkpoint()
                other.execute("ROLLBACK")
        assert len(await journal.entries()) == 1


async def test_intents_and_ids_are_flushed_to_the_disk(path: Path) -> None:
    """What a loss of power must not undo is committed with FULL, the rest with NORMAL."""
    levels: list[str] = []

    def note(statement: str) -> None:
        if statement.startswith("PRAGMA synchronous"):
            levels.append(statement.rpartition(" ")[2])

    async with Journal.open(path, owner="me") as journal:
        await journal._writer.run(lambda db: db.set_trace_callback(note))
        entry = await journal.plan(spec())
        assert levels == []
        await journal.departing(entry.id, departure())
        assert levels == ["FULL"]
        await journal.ended(entry.id, report(), None)
        assert levels == ["FULL", "NORMAL"]
        await journal.submitted(entry.id, "job-1")
        assert levels == ["FULL", "NORMAL", "FULL"]


async def test_a_file_that_is_no_journal_is_refused(path: Path, tmp_path: Path) -> None:
    """Text, another program's database, a folder, a missing folder: each is named and untouched."""
    spoil(path)
    other = tmp_path / "other.db"
    with opened(other) as db:
        db.execute("CREATE TABLE mine (x)")
    before = [content(path), content(other)]
    for wrong in (path, other, tmp_path, tmp_path / "missing" / "run.db"):
        with pytest.raises(JournalError, match=wrong.name):
            async with Journal.open(wrong, owner="me"):
                pass
        with pytest.raises(JournalError, match=wrong.name):
            await entries_of(wrong)
    assert [content(path), content(other)] == before


async def test_a_newer_journal_is_refused(path: Path) -> None:
    """A journal of a later release says so, to writers and readers."""
    async with Journal.open(path, owner="me"):
        pass
    with opened(path) as db:
        db.execute("PRAGMA user_version = 99")
    for reading in (entries_of(path), Journal.open(path, owner="me").__aenter__()):
        with pytest.raises(JournalError, match="version 99"):
            await reading


async def test_a_closed_journal_says_so(path: Path) -> None:
    """A change after the end is an error, not a silence."""
    async with Journal.open(path, owner="me") as journal:
        pass
    with pytest.raises(JournalError, match="closed"):
        await journal.plan(spec())


async def test_a_change_that_fails_is_reported_and_leaves_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed change raises where it is awaited, is logged where not, and undoes its batch."""

    def wreck(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM exports")
        raise ZeroDivisionError("a bug")

    async with Journal.open(path, owner="me") as journal:
        await journal.plan(spec())
        with pytest.raises(JournalError, match="a bug"):
            await journal._writer.run(wreck)
        journal._writer.post(wreck)
        assert len(await journal.entries()) == 1
    assert "a change was not recorded" in caplog.text


async def test_many_workers_may_open_a_new_journal_at_once(path: Path) -> None:
    """A web service starts all its workers together; none of them trips over the others."""
    opened_by: list[str] = []

    async def work(owner: str) -> None:
        async with Journal.open(path, owner=owner) as journal:
            await journal.add(spec(), lease=60)
            opened_by.append(owner)

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(work, f"worker {number}")
    assert len(opened_by) == 12
    assert len(await entries_of(path)) == 12


async def test_giving_up_the_opening_closes_the_file(path: Path) -> None:
    """A cancelled opening leaves no lock behind."""
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with anyio.move_on_after(0.05) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_open_once, path)
                tasks.start_soon(_roll_back_when_cancelled, other)
        assert scope.cancelled_caught
    await _open_once(path)


async def _open_once(path: Path) -> None:
    async with Journal.open(path, owner="me", exclusive=True):
        pass


async def _roll_back_when_cancelled(db: sqlite3.Connection) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        db.execute("ROLLBACK")


def test_a_loop_that_was_torn_down_does_not_hang_the_process(path: Path) -> None:
    """A program that never closed its journal still ends."""
    program = """
import asyncio, sys
from dli_async._journal.journal import Journal

loop = asyncio.new_event_loop()
opening = Journal.open(sys.argv[1], owner="me")
journal = loop.run_until_complete(opening.__aenter__())
journal._writer.post(lambda db: None)
loop.close()
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], timeout=30, check=False)
    assert done.returncode == 0


async def test_reports_come_back_as_they_were() -> None:
    """A report of the service survives the journal with all it knows."""
    full = report(
        start_time=1_700_000_000_123, duration=61_001, input_row_count=3, message="DLI.0999: no"
    )
    assert StatusReport.model_validate_json(dump_report(full)) == full


async def test_a_dead_worker_is_taken_over_and_a_living_one_is_not(path: Path) -> None:
    """Only exports whose lease is over, or that nobody holds, can be claimed by others."""
    async with (
        Journal.open(path, owner="one") as one,
        Journal.open(path, owner="two") as two,
    ):
        short = await one.add(spec(1), lease=0.001)
        held = await one.add(spec(2), lease=600)
        ended = await one.add(spec(3), lease=0.001)
        await one.ended(ended.id, report(), None)
        let_go = await one.add(spec(4), lease=600)
        await one.release([let_go.id])
        of_a_run = await one.plan(spec(5))
        await until_lease_ends(ended)
        taken = await two.claim(lease=600)
        assert {entry.id for entry in taken} == {short.id, let_go.id}
        assert {entry.owner for entry in taken} == {"two"}
        assert await two.claim(held.id, lease=600) == []
        assert await two.claim(of_a_run.id, lease=600) == []
        [again] = await one.claim(held.id, lease=900)
        assert again.lease_expires_at is not None
        assert held.lease_expires_at is not None
        assert again.lease_expires_at > held.lease_expires_at
        assert (await one.renew(lease=60), await two.renew(lease=60)) == (1, 2)
        with pytest.raises(ConfigurationError, match="lease"):
            await one.renew(lease=0)


async def test_the_holder_of_a_lock_may_not_have_signed_yet(path: Path) -> None:
    """Without a readable journal the refusal still comes, without a name."""
    with schema._run_lock(path):
        for _ in range(2):
            with pytest.raises(JournalError, match=r"another bulk run$"):
                await _open_once(path)
            async with Journal.open(path, owner="a worker, no run"):
                pass


async def test_trouble_with_the_lock_file_is_not_taken_for_another_run(path: Path) -> None:
    """A lock that cannot be had for another reason gives that reason."""
    spoil(path.with_name("run.db.lock"))
    with pytest.raises(JournalError, match="not a database"):
        await _open_once(path)


def leave_without_tables(path: Path) -> None:
    """What is left of a journal whose WAL had all of its content."""
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")


@pytest.mark.parametrize(
    "lose", [lambda path: path.write_bytes(b""), leave_without_tables], ids=["bytes", "wal"]
)
async def test_a_journal_that_lost_its_content_is_not_taken_as_new(
    path: Path, lose: Callable[[Path], object]
) -> None:
    """The lock beside it knows that a run has written; the error says what to do."""
    async with Journal.open(path, owner="me", exclusive=True) as journal:
        await journal.plan(spec())
    lose(path)
    for _ in range(2):
        with pytest.raises(JournalError, match=r"is empty, but a bulk run has written to it.*-wal"):
            async with Journal.open(path, owner="me", exclusive=True):
                pytest.fail("it was taken as new")


def remove(path: Path) -> None:
    """What somebody does who wants to begin anew."""
    path.unlink()


def begin_and_die(path: Path) -> None:
    """What a run leaves that is killed before it has made its journal."""
    path.with_name(f"{path.name}.lock").write_bytes(b"")
    path.touch()


async def test_a_journal_that_was_removed_begins_anew(path: Path) -> None:
    """Nobody need know of the lock; and a run that is killed before it begins is no obstacle."""
    for _ in range(2):
        async with Journal.open(path, owner="me", exclusive=True) as journal:
            assert await journal.entries() == []
            await journal.plan(spec())
        remove(path)
    begin_and_die(path)
    async with Journal.open(path, owner="me", exclusive=True) as journal:
        assert await journal.entries() == []


async def test_a_job_that_is_known_is_not_replaced_by_another(path: Path) -> None:
    """A worker that wakes late may tell of a second job; the first one goes on being watched."""
    async with Journal.open(path, owner="me") as journal:
        entry = await journal.add(spec())
        await journal.submitted(entry.id, "job-1")
        await journal.submitted(entry.id, "job-2")
        [now] = await journal.entries()
    assert now.job_id == "job-1"


async def test_a_time_that_cannot_be_told_does_not_close_a_journal(path: Path) -> None:
    """A service with a wrong clock may have told it."""
    async with Journal.open(path, owner="me") as journal:
        entry = await journal.add(spec())
        await journal.departing(entry.id, departure(server=1e300))
        [now] = await journal.entries()
        assert now.departure is not None
