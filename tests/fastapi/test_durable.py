"""Restarts, several workers on one file, and workers that die."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from dli_async import (
    AuthenticationError,
    DliError,
    ExportJob,
    InvalidResponse,
    JournalError,
    NotFound,
    PermissionDenied,
    RateLimited,
    RequestNotSent,
    StatusEvent,
    SubmitEvent,
    SubmitInDoubt,
    SubmitPolicy,
    TableExport,
)
from dli_async.bulk import export_many
from dli_async.emulator import Emulator
from dli_async.fastapi import FolderInUse
from dli_async.fastapi._runner import Runner, _may_pass
from dli_async.fastapi._store import WebJournal
from tests.conftest import REAL
from tests.journal.support import departure, until_lease_ends

from .conftest import ENDLESS, POLLING, Serve, fast_client, is_over, spec

pytestmark = pytest.mark.anyio


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: the journal has a thread."""
    return request.param


def export(number: int = 1) -> TableExport:
    return TableExport(**spec(number))


def test_a_restart_in_mid_export_loses_nothing(serve: Serve, emulator: Emulator) -> None:
    """Exports that were under way when the application stopped are given back at once, and
    finish after it has started again, as the same jobs."""
    emulator.faults.set([{"route": "status", "kind": "unknown-status"}])
    with serve(lease=3_600.0) as web:
        web.by("alice").post("/exports/bulk", json=[spec(n) for n in range(5)])
        for number in range(1, 6):
            web.until(f"/exports/{number}", lambda body: body["job_id"] is not None)
    emulator.faults.clear()
    with serve(lease=3_600.0) as web:
        for number in range(1, 6):
            assert web.until(f"/exports/{number}", is_over)["state"] == "finished"
    assert len(emulator.ledger.jobs) == 5


def test_workers_on_one_file_share_the_work(serve: Serve, emulator: Emulator) -> None:
    """Each export is submitted and polled by one worker only, and both tell the same of it."""
    seen: dict[str, list[Any]] = {"one": [], "two": []}
    with (
        serve(lease=3_600.0, client={"on_event": seen["one"].append}) as one,
        serve(lease=3_600.0, client={"on_event": seen["two"].append}) as two,
    ):
        for number in range(10):
            web = one if number % 2 else two
            assert web.by("alice").post("/exports", json=spec(number)).status_code == 202
        for number in range(1, 11):
            path = f"/exports/{number}"
            assert one.until(path, is_over) == two.until(path, is_over)
    for kind in (SubmitEvent, StatusEvent):
        ids = [{e.job_id for e in events if isinstance(e, kind)} for events in seen.values()]
        assert [len(part) for part in ids] == [5, 5]
        assert not ids[0] & ids[1]
    assert len(emulator.ledger.jobs) == 10


@ENDLESS
def test_any_worker_cancels_any_export(serve: Serve, emulator: Emulator) -> None:
    """A cancel that reaches another worker than the one that has the export is as good."""
    with serve() as one, serve() as two:
        place = one.by("alice").post("/exports", json=spec()).headers["location"]
        one.until(place, lambda body: body["status"] == "RUNNING")
        assert two.by("alice").delete(place).json()["outcome"] == "cancelled"
        assert one.until(place, is_over)["state"] == "cancelled"


async def test_exports_of_a_dead_worker_are_taken_over(
    emulator: Emulator, tmp_path: Path, journal_of: Callable[..., Any]
) -> None:
    """Another worker waits for the lease to end and then goes on from where the dead one was:
    nothing sent, a POST of unknown fate that made a job, a job that runs."""
    dead = await journal_of("dead")
    entries = await dead.accept(
        [export(1), export(2), export(3)], identity="alice", max_active=None, lease=600
    )
    async with fast_client(emulator) as client:
        await dead.departing(entries[1].id, departure())
        for entry in entries[1:]:
            job = await client.submit(entry.spec)
        await dead.departing(entries[2].id, departure())
        await dead.submitted(entries[2].id, job.job_id)
    await dead.renew(lease=0.001)
    alive = await journal_of("alive")
    async with fast_client(emulator) as client, Runner(client, alive, 0.3).serving():
        await until_ended(alive, 3)
    assert not emulator.ledger.duplicate_submissions()
    assert len(emulator.ledger.jobs) == 3
    assert {entry.owner for entry in await alive.entries()} == {"alive"}


async def unended(journal: WebJournal) -> int:
    return sum(not entry.state.is_end for entry in await journal.entries())


async def until_ended(journal: WebJournal, count: int) -> None:
    with anyio.fail_after(120):
        while await unended(journal) or len(await journal.entries()) < count:  # noqa: ASYNC110
            await anyio.sleep(0.02)


@pytest.fixture
async def journal_of(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Opens the same file for workers of different names."""
    opened: list[Any] = []

    async def open_for(owner: str) -> WebJournal:
        opening = WebJournal.open(tmp_path / "shared.db", owner=owner)
        journal = await opening.__aenter__()
        opened.append(opening)
        assert isinstance(journal, WebJournal)
        return journal

    yield open_for
    for opening in reversed(opened):
        await opening.__aexit__(None, None, None)


async def test_a_worker_that_was_overtaken_sends_nothing(journal_of: Callable[..., Any]) -> None:
    """A worker that was held up longer than its lease may no longer post, nor say that nothing
    was sent; what it learnt of a job still counts, and keeps the other one from posting."""
    slow, quick = await journal_of("slow"), await journal_of("quick")
    (entry,) = await slow.accept([export()], identity=None, max_active=None, lease=600)
    left = departure()
    await slow.departing(entry.id, left)
    await slow.renew(lease=0.001)
    await until_lease_ends(await slow.entry(entry.id))
    (claimed,) = await quick.claim(lease=60)
    assert claimed.id == entry.id
    with pytest.raises(JournalError, match="not for slow"):
        await slow.departing(entry.id, departure())
    await slow.not_sent(entry.id, left)
    await slow.refused(entry.id, "no")
    assert (await quick.entry(entry.id)).state == "submitting"
    await slow.submitted(entry.id, "job-1")
    with pytest.raises(JournalError, match="not for quick"):
        await quick.departing(entry.id, departure())


async def test_an_end_is_never_undone(journal_of: Callable[..., Any]) -> None:
    """What comes after the end changes nothing and makes no event, so each end is told once."""
    journal = await journal_of("me")
    (entry,) = await journal.accept([export()], identity=None, max_active=None, lease=60)
    assert (await journal.cancel_planned(entry.id)).state == "cancelled"
    assert await journal.cancel_planned(entry.id) is None
    seq = await journal.last_seq()
    await journal.submitted(entry.id, "job-1")
    await journal.trouble(entry.id, "late")
    with pytest.raises(JournalError):
        await journal.departing(entry.id, departure())
    assert await journal.last_seq() == seq


@ENDLESS
async def test_a_worker_lets_go_of_what_others_have_taken(
    emulator: Emulator, tmp_path: Path, journal_of: Callable[..., Any]
) -> None:
    """When another worker holds an export, this one stops polling it, and its job runs on."""
    journal, other = await journal_of("me"), await journal_of("other")
    async with fast_client(emulator) as client:
        runner = Runner(client, journal, 0.3)
        async with runner.serving():
            for entry in await journal.accept([export()], identity=None, max_active=None, lease=60):
                runner.start(entry)
            with anyio.fail_after(60):
                while (await journal.entry(entry.id)).status != "RUNNING":  # noqa: ASYNC110
                    await anyio.sleep(0.01)
                with closing(sqlite3.connect(tmp_path / "shared.db", timeout=10)) as db, db:
                    lease = "lease_expires_at = lease_expires_at + 3600"
                    db.execute(f"UPDATE exports SET owner = 'other', {lease}")
                while runner._running:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
        taken = await other.entry(entry.id)
    assert (taken.owner, taken.state) == ("other", "submitted")
    assert [job.state for job in emulator.ledger.jobs] == ["RUNNING"]


async def test_an_export_that_was_forgotten_is_found_again(
    emulator: Emulator, journal_of: Callable[..., Any]
) -> None:
    """An export that was accepted by a request which was cut off right then is started by the
    next look into the journal, and so is one whose task broke."""
    journal = await journal_of("me")
    async with fast_client(emulator) as client:
        runner = Runner(client, journal, 0.2)
        async with runner.serving():
            await journal.accept([export()], identity=None, max_active=None, lease=60)
            await until_ended(journal, 1)
    assert len(emulator.ledger.jobs) == 1


async def test_trouble_with_the_journal_passes(
    emulator: Emulator,
    journal_of: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A tick or an export that fails is logged and tried again."""
    journal = await journal_of("me")
    renew, other_jobs = journal.renew, journal.other_jobs
    failures = iter([JournalError("disk full"), RuntimeError("a bug"), None, None, None])

    async def failing_renew(*, lease: float) -> int:
        monkeypatch.setattr(journal, "renew", renew)
        raise JournalError("cannot renew")

    async def failing(entry: Any) -> Any:
        if (error := next(failures)) is not None:
            raise error
        return await other_jobs(entry)

    monkeypatch.setattr(journal, "renew", failing_renew)
    monkeypatch.setattr(journal, "other_jobs", failing)
    async with fast_client(emulator) as client:
        runner = Runner(client, journal, 0.1)
        async with runner.serving():
            await journal.accept([export()], identity=None, max_active=None, lease=60)
            await until_ended(journal, 1)
    for words in ("cannot renew", "disk full", "a bug"):
        assert words in caplog.text


async def test_polls_that_fail_do_not_end_an_export(
    emulator: Emulator, journal_of: Callable[..., Any]
) -> None:
    """While the job cannot be seen the export says why, and it ends as its job did."""
    journal = await journal_of("me")
    emulator.faults.set([{"route": "status", "when": "before", "kind": "status:403", "times": 3}])
    async with fast_client(emulator) as client:
        runner = Runner(client, journal, 5)
        async with runner.serving():
            made = await journal.accept([export()], identity=None, max_active=None, lease=60)
            runner.start(made[0])
            await until_ended(journal, 1)
    (entry,) = await journal.entries()
    assert (entry.state, entry.error) == ("finished", None)
    assert any(event.error for event in await journal.events())


@pytest.mark.parametrize(
    ("error", "job_id", "passes"),
    [
        (RequestNotSent("no route"), None, True),
        (RateLimited("slow", status_code=429), None, True),
        (InvalidResponse("?", status_code=200), None, False),
        (PermissionDenied("no", status_code=403), None, False),
        (AuthenticationError("no", status_code=401), "job-1", True),
        (NotFound("no table", status_code=404), None, False),
        (SubmitInDoubt("?", spec=export()), None, False),
    ],
)
def test_only_errors_that_may_pass_are_waited_out(
    error: DliError, job_id: str | None, passes: bool, emulator: Emulator
) -> None:
    """A refusal is an end, an outage is not; a job that was accepted is given up only when the
    service knows it no more."""
    client = emulator.client()
    job = ExportJob.attach(client, job_id) if job_id else ExportJob(client, export())
    assert _may_pass(job, error) is passes


def test_a_doubt_is_waited_out_while_looking_fails(emulator: Emulator) -> None:
    """Whether an export was accepted is not given up for an outage."""
    job = ExportJob(emulator.client(), export())
    doubt = SubmitInDoubt("?", spec=export())
    doubt.__cause__ = RequestNotSent("no route")
    assert _may_pass(job, doubt)


async def test_a_job_that_the_service_has_forgotten_is_lost(
    emulator: Emulator, journal_of: Callable[..., Any]
) -> None:
    """An export whose job is gone ends, with the service's words."""
    journal = await journal_of("me")
    impatient = replace(POLLING, missing_grace=0.0)
    async with fast_client(emulator, polling=impatient) as client:
        runner = Runner(client, journal, 5)
        (entry,) = await journal.accept([export()], identity=None, max_active=None, lease=60)
        await journal.submitted(entry.id, "00000000-0000-4000-8000-000000000000")
        async with runner.serving():
            for claimed in await journal.claim(entry.id, lease=60):
                runner.start(claimed)
            await until_ended(journal, 1)
    (ended,) = await journal.entries()
    assert ended.state == "lost"
    assert ended.error


async def test_a_bulk_run_keeps_off_exports_of_the_web(
    emulator: Emulator, journal_of: Callable[..., Any], tmp_path: Path
) -> None:
    """Both may use one file: what a worker holds is not submitted by a bulk run as well."""
    journal = await journal_of("web")
    await journal.accept([export()], identity=None, max_active=None, lease=60)
    async with (
        fast_client(emulator) as client,
        export_many(client, [export()], journal=tmp_path / "shared.db") as outcomes,
    ):
        (outcome,) = [one async for one in outcomes]
    assert isinstance(outcome.error, JournalError)
    assert not emulator.ledger.jobs


async def test_what_stays_in_doubt_keeps_its_folder(
    emulator: Emulator, journal_of: Callable[..., Any]
) -> None:
    """The job of a lost answer may run: nobody else gets the folder, and a bulk run looks again."""
    lost_answer = {"route": "export-table", "when": "after", "kind": "reset", "nth": 1}
    hidden = {"route": "detail", "when": "before", "kind": "status:403"}
    emulator.faults.set([lost_answer, hidden])
    journal = await journal_of("me")
    client = fast_client(emulator, submit=SubmitPolicy(grace=0.1))
    async with client, Runner(client, journal, 5).serving():
        await journal.accept([export()], identity=None, max_active=None, lease=60)
        await journal.release([1])
        await until_ended(journal, 1)
    (given_up,) = await journal.entries()
    assert (given_up.state, given_up.job_id) == ("lost", None)
    assert given_up.departure is not None
    with pytest.raises(FolderInUse):
        await journal.accept([export()], identity="other", max_active=None, lease=60)
    assert (await journal.plan(export())).state == "submitting"
