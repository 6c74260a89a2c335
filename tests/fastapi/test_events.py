"""Live events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from dli_async import JournalError, StatusReport, TableExport
from dli_async.emulator import Emulator
from dli_async.fastapi import _progress, events
from dli_async.fastapi._progress import Progress
from dli_async.fastapi._store import WebJournal
from dli_async.fastapi.events import Feed, Item
from tests.conftest import REAL

from .conftest import ENDLESS, fast_client, spec

pytestmark = pytest.mark.anyio


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: the journal has a thread."""
    return request.param


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[WebJournal]:
    async with WebJournal.open(tmp_path / "exports.db", owner="me") as opened:
        assert isinstance(opened, WebJournal)
        yield opened


async def add(journal: WebJournal, *numbers: int) -> None:
    """Makes one event for each number: an export that is planned."""
    for number in numbers:
        made = TableExport(**spec(number))
        await journal.accept([made], identity="alice", max_active=None, lease=60)


async def take(items: AsyncIterator[Item], count: int) -> list[int | None]:
    with anyio.fail_after(60):
        return [(await anext(items)).seq for _ in range(count)]


async def test_listeners_get_every_event_once_and_in_order(journal: WebJournal) -> None:
    """What happened before, meanwhile and after comes in one row, from wherever one starts."""
    feed = Feed(journal, 0.01)
    await add(journal, 1, 2, 3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.serve)
        async with (
            aclosing(feed.follow(0, None)) as all_items,
            aclosing(feed.follow(2, None)) as later,
            aclosing(feed.follow(0, 5)) as fifth,
        ):
            assert await take(all_items, 2) == [1, 2]
            await add(journal, 4, 5)
            assert await take(all_items, 3) == [3, 4, 5]
            assert await take(later, 3) == [3, 4, 5]
            assert await take(fifth, 1) == [5]
            assert feed.listeners == 3
        assert feed.listeners == 0
        tasks.cancel_scope.cancel()


async def test_a_slow_listener_loses_nothing(
    journal: WebJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that falls behind what is kept in memory goes on from the journal."""
    monkeypatch.setattr(events, "_KEPT", 3)
    feed = Feed(journal, 0.01)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.serve)
        async with (
            aclosing(feed.follow(0, None)) as slow,
            aclosing(feed.follow(0, None)) as quick,
        ):
            await add(journal, 1)
            assert await take(slow, 1) == await take(quick, 1) == [1]
            for number in range(2, 12):
                await add(journal, number)
                assert await take(quick, 1) == [number]
            assert await take(slow, 10) == list(range(2, 12))
        tasks.cancel_scope.cancel()


async def test_nobody_reads_the_journal_while_nobody_listens(
    journal: WebJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without listeners the feed asks for nothing, however much happens."""
    looks = 0
    read = journal.changes

    async def counted(**options: Any) -> Any:
        nonlocal looks
        looks += 1
        return await read(**options)

    feed = Feed(journal, 0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.serve)
        async with aclosing(feed.follow(0, None)) as items:
            await add(journal, 1)
            await take(items, 1)
        await anyio.sleep(0.05)
        monkeypatch.setattr(journal, "changes", counted)
        await add(journal, *range(2, 8))
        assert looks == 0
        tasks.cancel_scope.cancel()


async def test_a_feed_outlives_trouble_with_the_journal(
    journal: WebJournal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A look that fails is logged, and the next one tells what there was."""
    feed = Feed(journal, 0.01)
    read = feed._read

    async def broken() -> bool:
        monkeypatch.setattr(feed, "_read", read)
        raise JournalError("disk on fire")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.serve)
        async with aclosing(feed.follow(0, None)) as items:
            await add(journal, 1)
            assert await take(items, 1) == [1]
            monkeypatch.setattr(feed, "_read", broken)
            await add(journal, 2)
            assert await take(items, 1) == [2]
            with anyio.fail_after(60):
                while "disk on fire" not in caplog.text:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            await add(journal, 3)
            assert await take(items, 1) == [3]
        tasks.cancel_scope.cancel()


@ENDLESS
async def test_progress_is_asked_of_all_in_turn_as_a_best_effort(
    emulator: Emulator, journal: WebJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round asks about few jobs, the next one about others; one that cannot be asked is left
    out, and what is told of the oldest is forgotten first."""
    monkeypatch.setattr(_progress, "_A_ROUND", 2)
    monkeypatch.setattr(_progress, "_REMEMBERED", 2)
    feed = Feed(journal, 0.01)
    async with fast_client(emulator) as client, anyio.create_task_group() as tasks:
        for number in range(1, 4):
            await add(journal, number)
            job = await client.submit(TableExport(**spec(number)))
            await journal.submitted(number, job.job_id or "")
            journal.saw_status(number, StatusReport(job_id="", status="RUNNING"))
        await add(journal, 4)
        await journal.submitted(4, "00000000-0000-4000-8000-000000000000")
        journal.saw_status(4, StatusReport(job_id="", status="RUNNING"))
        await journal.renew(lease=60)  # until then the statuses may still be on their way
        progress = Progress(client, journal, feed, 0.01)
        tasks.start_soon(feed.serve)
        tasks.start_soon(progress.serve)
        told: set[int] = set()
        async with aclosing(feed.follow(await journal.last_seq(), None)) as items:
            with anyio.fail_after(60):
                while told != {1, 2, 3}:
                    item = await anext(items)
                    assert item.seq is None
                    told.add(item.export_id)
                rounds = emulator.ledger.requests["progress"]
                while emulator.ledger.requests["progress"] < rounds + 6:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
        assert [number for number in range(1, 5) if progress.of(number) is None][-1] == 4
        tasks.cancel_scope.cancel()
