"""What a bulk run makes of its journal, with real threads and files, in real time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from dli_async import (
    DliClient,
    InvalidExport,
    JobCancelled,
    JobFailed,
    JobTimeout,
    JournalError,
    RequestNotSent,
    SubmitInDoubt,
)
from dli_async._export.departure import Departure
from dli_async._journal.entries import ExportState
from dli_async._journal.journal import Journal, JournalReader
from dli_async._journal.sqlite import schema as schema
from dli_async._journal.sqlite.changes import overlapping
from dli_async.bulk import ExportSubmitted
from dli_async.emulator import Emulator, NullEngine
from tests.conftest import REAL
from tests.journal.support import (
    content,
    departure,
    entries_of,
    opened,
    quick_client,
    run,
    spec,
    specs,
)

S = ExportState

UNSEEN = {"route": "*", "kind": "status-lag:1000000"}
"""Nobody can see that a job has ended."""


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: the journal has a thread."""
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal shall be."""
    return tmp_path / "run.db"


@pytest.fixture
async def emulator() -> AsyncGenerator[Emulator]:
    """An emulator whose jobs take hardly any time."""
    async with Emulator(engine=NullEngine(), inline=True, launch=0, run=0.02) as one:
        yield one


@pytest.fixture
async def client(emulator: Emulator) -> AsyncGenerator[DliClient]:
    """A client of the emulator that looks often."""
    async with quick_client(emulator) as one:
        yield one


@pytest.mark.anyio
async def test_a_file_that_cannot_be_written_is_reported_before_the_first_post(
    path: Path, client: DliClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only file and a full disk end a run before anything was submitted."""
    await run(client, path, [])
    connect = sqlite3.connect

    def read_only(target: Any, **options: Any) -> sqlite3.Connection:
        return connect(f"{Path(target).as_uri()}?mode=ro", uri=True, **options)

    def full(target: Any, **options: Any) -> sqlite3.Connection:
        db = connect(target, **options)
        db.execute("PRAGMA max_page_count = 1")
        return db

    with monkeypatch.context() as patch:
        patch.setattr(schema.sqlite3, "connect", read_only)
        with pytest.raises(JournalError, match="readonly"):
            await run(client, path, specs(3))
        patch.setattr(schema.sqlite3, "connect", full)
        with pytest.raises(JournalError, match="full"):
            await run(client, path.with_name("new.db"), specs(3))
    assert len(emulator.ledger.jobs) == 0


@pytest.mark.anyio
async def test_a_run_leaves_an_export_alone_that_a_worker_holds(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """An export under somebody's lease is not exported twice, and its outcome says who has it."""
    async with Journal.open(path, owner="worker-7") as journal:
        await journal.add(spec(1), lease=600)
    found = await run(client, path, specs(2))
    [left] = [outcome for outcome in found if not outcome.ok]
    assert isinstance(left.error, JournalError)
    assert "worker-7" in str(left.error)
    assert len(emulator.ledger.jobs) == 1


@pytest.mark.anyio
async def test_a_second_run_on_a_journal_is_refused_by_name(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """Two runs on one journal would do the same work: the second says who is at it."""
    emulator.faults.set([UNSEEN])
    async with client.export_many(specs(1), journal=path):
        with pytest.raises(JournalError, match=r"another bulk run: process \d+ on .+, since 20"):
            await run(client, path, specs(1))
        assert (await JournalReader(path).counts())[S.FINISHED] == 0
    emulator.faults.set([])
    assert len(await run(client, path, specs(1))) == 1


@pytest.mark.anyio
async def test_a_restart_sends_nothing_again(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """Finished exports come from the journal, with the results they had."""
    first = await run(client, path, specs(5))
    sent = emulator.ledger.requests.total()
    second = await run(client, path, specs(5))
    assert emulator.ledger.requests.total() == sent
    assert all(outcome.resumed and outcome.ok for outcome in second)
    assert not any(outcome.resumed for outcome in first)
    assert {o.spec: o.result for o in first} == {o.spec: o.result for o in second}


@pytest.mark.anyio
async def test_a_run_that_was_left_goes_on(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """After a break the same call attaches to jobs that run and submits the rest."""
    emulator.faults.set([UNSEEN])
    async with client.export_many(specs(30), journal=path, max_running=5):
        while len(emulator.ledger.jobs) < 5:
            await anyio.lowlevel.checkpoint()
    emulator.faults.set([])
    async with quick_client(emulator) as another:
        resumed: list[bool] = []

        def note(event: object) -> None:
            if isinstance(event, ExportSubmitted):
                resumed.append(event.resumed)

        found = await run(another, path, specs(30), on_event=note)
    assert all(outcome.ok for outcome in found)
    assert len(emulator.ledger.jobs) == 30
    assert emulator.ledger.duplicate_submissions() == []
    assert resumed.count(True) == 5


@pytest.mark.anyio
async def test_an_intent_without_an_id_is_looked_for(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """A run that died between POST and id adopts its job; one that died before it posts."""
    async with Journal.open(path, owner="the dead run", exclusive=True) as journal:
        for one in specs(2):
            await journal.departing((await journal.plan(one)).id, departure())
    landed = await client.submit(spec(1))
    async with quick_client(emulator, request_timeout=1.0) as another:
        found = await run(another, path, specs(2))
    by_table = {outcome.spec.table_name: outcome for outcome in found}
    assert by_table["t1"].job_id == landed.job_id
    assert by_table["t2"].ok
    assert len(emulator.ledger.jobs) == 2


@pytest.mark.anyio
async def test_jobs_of_the_journal_are_never_adopted(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """A job that belongs to another export of the journal is not the one that is looked for."""
    async with Journal.open(path, owner="the dead run", exclusive=True) as journal:
        other = await journal.plan(spec(2))
        lost = await journal.plan(spec(1))
        await journal.departing(lost.id, departure())
        taken = await client.submit(spec(1))
        await journal.submitted(other.id, str(taken.job_id))
    emulator.faults.set([])
    async with quick_client(emulator, request_timeout=1.0) as another:
        [outcome] = await run(another, path, specs(1))
    assert outcome.job_id != taken.job_id
    assert len(emulator.ledger.jobs) == 2


@pytest.mark.anyio
async def test_an_interrupted_post_is_in_the_journal_with_its_id(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """Leaving a run waits for the answer to a POST that has left, and keeps its id."""
    slow = {"route": "export-table", "when": "after", "kind": "slow-headers:0.3"}
    emulator.faults.set([slow, UNSEEN])
    async with client.export_many(specs(3), journal=path):
        while len(emulator.ledger.jobs) < 3:
            await anyio.lowlevel.checkpoint()
    entries = await entries_of(path)
    assert {entry.state for entry in entries} == {S.SUBMITTED}
    assert {entry.job_id for entry in entries} == {job.job_id for job in emulator.ledger.jobs}


@pytest.mark.asyncio
@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_native_cancellation_keeps_the_ids(path: Path, cancels: int) -> None:
    """However often a task is cancelled while its POST is out, no export is lost or doubled."""
    async with Emulator(engine=NullEngine(), inline=True, launch=0, run=0.02) as emulator:
        emulator.faults.set(
            [{"route": "export-table", "when": "after", "kind": "slow-headers:0.2"}]
        )
        async with quick_client(emulator) as client:
            task = asyncio.create_task(run(client, path, specs(3)))
            while len(emulator.ledger.jobs) < 3:
                await anyio.lowlevel.checkpoint()
            for _ in range(cancels):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
        async with quick_client(emulator) as another:
            found = await run(another, path, specs(3))
        assert all(outcome.ok for outcome in found)
        assert len(emulator.ledger.jobs) == 3


@pytest.mark.anyio
async def test_an_interrupted_intent_is_taken_back(
    path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export whose POST never left is planned again, so that nobody has to look for it."""
    noted = anyio.Event()
    departing = Journal.departing

    async def held_up(journal: Journal, export_id: int, departure: Departure) -> None:
        await departing(journal, export_id, departure)
        noted.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(Journal, "departing", held_up)
    client = quick_client(emulator)
    async with client, client.export_many(specs(20), journal=path, max_running=20):
        await noted.wait()
        assert await entries_of(path, states=[S.SUBMITTING])
    assert await entries_of(path, states=[S.SUBMITTING]) == []
    assert await entries_of(path, states=[S.PLANNED]) == await entries_of(path)
    assert emulator.ledger.jobs == []


@pytest.mark.anyio
async def test_what_was_never_accepted_is_submitted_by_the_next_run(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """A night without network is made up for by starting the run again, as it is asked for then."""
    emulator.faults.set([{"route": "export-table", "when": "before", "kind": "refuse"}])
    found = await run(client, path, specs(2))
    assert all(isinstance(outcome.error, RequestNotSent) for outcome in found)
    assert {entry.state for entry in await entries_of(path)} == {S.FAILED}
    emulator.faults.set([])
    zipped = [one.model_copy(update={"compress": "gzip"}) for one in specs(2)]
    found = await run(client, path, zipped)
    assert all(outcome.ok and not outcome.resumed for outcome in found)
    assert {entry.spec for entry in await entries_of(path)} == set(zipped)


@pytest.mark.anyio
async def test_doubt_outlives_a_run(path: Path, client: DliClient, emulator: Emulator) -> None:
    """An export in doubt stays so in the journal, and the next run looks for its job."""
    emulator.faults.set(
        [
            {"route": "export-table", "when": "after", "kind": "reset"},
            {"route": "list-jobs", "when": "before", "kind": "status:403:DLI.0003"},
        ]
    )
    [outcome] = await run(client, path, specs(1))
    assert isinstance(outcome.error, SubmitInDoubt)
    [entry] = await entries_of(path)
    assert (entry.state, entry.error) == (S.SUBMITTING, str(outcome.error))
    emulator.faults.set([])
    async with quick_client(emulator) as another:
        [outcome] = await run(another, path, specs(1))
    assert outcome.ok
    assert len(emulator.ledger.jobs) == 1


@pytest.mark.anyio
async def test_a_timeout_leaves_the_job_to_the_next_run(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """An export whose time was up is still submitted in the journal, and is awaited later."""
    emulator.faults.set([UNSEEN])
    async with client.export_many(specs(1), journal=path):
        while not await entries_of(path, states=[S.SUBMITTED]):
            await anyio.lowlevel.checkpoint()
    [outcome] = await run(client, path, specs(1), timeout=0.1)
    assert isinstance(outcome.error, JobTimeout)
    [entry] = await entries_of(path)
    assert (entry.state, entry.job_id) == (S.SUBMITTED, outcome.job_id)
    assert "0.1 s" in str(entry.error)
    emulator.faults.set([])
    [later] = await run(client, path, specs(1))
    assert (later.ok, later.job_id) == (True, outcome.job_id)


@pytest.mark.anyio
async def test_failures_are_kept_and_tried_again_only_if_attempts_are_left(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """A failed export is reported by every later run, until one allows another attempt."""
    emulator.faults.set([{"route": "*", "kind": "fail:DLI.0999", "times": 1}])
    [outcome] = await run(client, path, specs(1))
    assert isinstance(outcome.error, JobFailed)
    [again] = await run(client, path, specs(1))
    assert (again.resumed, str(again.error)) == (True, str(outcome.error))
    assert isinstance(again.error, JobFailed)
    assert again.error.error_code == "DLI.0999"
    [third] = await run(client, path, specs(1), attempts=2)
    assert third.result is not None
    assert third.result.data_path == "obs://bucket/run/t1-attempt-2"
    [fourth] = await run(client, path, specs(1), attempts=2)
    assert (fourth.resumed, fourth.attempts, fourth.result) == (True, 2, third.result)
    assert len(emulator.ledger.jobs) == 2
    assert [entry.attempt for entry in await entries_of(path)] == [1, 2]


@pytest.mark.anyio
async def test_a_cancelled_export_is_not_tried_again(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """Somebody wanted it to end; more attempts do not change that."""
    emulator.faults.set([{"route": "*", "kind": "cancelled-by-other"}])
    for resumed in (False, True):
        [outcome] = await run(client, path, specs(1), attempts=3)
        assert isinstance(outcome.error, JobCancelled)
        assert outcome.resumed is resumed
    assert len(emulator.ledger.jobs) == 1


@pytest.mark.anyio
async def test_other_options_for_a_known_export_are_refused(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """What was exported as CSV is not passed off as the JSON that is asked for now."""
    await run(client, path, specs(1))
    [outcome] = await run(client, path, [spec(1, data_type="json")])
    assert isinstance(outcome.error, InvalidExport)
    assert "data_type='json'" in str(outcome.error)
    assert len(emulator.ledger.jobs) == 1


@pytest.mark.anyio
async def test_a_folder_of_the_journal_is_not_given_to_another_table(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """The rule of one folder for one export holds across restarts, and for fresh folders."""
    emulator.faults.set([{"route": "*", "kind": "fail:DLI.0999", "match": "t[14]"}])
    await run(client, path, specs(1), attempts=2)
    for taken in ("t1", "t1-attempt-2"):
        [outcome] = await run(client, path, [spec(2, data_path=f"obs://bucket/run/{taken}")])
        assert isinstance(outcome.error, InvalidExport)
        assert "db1.t1" in str(outcome.error)
    await run(client, path, [spec(3, data_path="obs://bucket/run/t4-attempt-2")])
    [outcome] = await run(client, path, [spec(4)], attempts=2)
    assert isinstance(outcome.error, JobFailed)
    assert "no other attempt" in outcome.error.__notes__[0]


@pytest.mark.anyio
async def test_folders_within_each_other_are_not_exported_to_across_restarts(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """Names that wildcards or another case would match are folders of their own."""
    await run(client, path, [spec(1, data_path="obs://bucket/a_b/t1")])
    for number, folder in enumerate(("a_b", "a_b/t1/child/deep"), start=2):
        [outcome] = await run(client, path, [spec(number, data_path=f"obs://bucket/{folder}")])
        assert isinstance(outcome.error, InvalidExport)
        assert outcome.error.field == "data_path"
        assert "obs://bucket/a_b/t1" in outcome.error.rule
        assert "db1.t1" in outcome.error.rule
    others = [
        spec(number, data_path=f"obs://bucket/{folder}")
        for number, folder in enumerate(("axb", "a_b/t10", "a_b/T1/x", "a_b/t1-attempt-2"), start=2)
    ]
    assert all(outcome.ok for outcome in await run(client, path, others))
    [again] = await run(client, path, [spec(1, data_path="obs://bucket/a_b/t1")])
    assert again.resumed


@pytest.mark.anyio
async def test_overlapping_folders_are_found_by_an_index(path: Path, client: DliClient) -> None:
    """A journal of many thousands of exports is not read for each one."""
    await run(client, path, [])
    rule, values = overlapping("obs://bucket/run/t1")
    with opened(path) as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM exports WHERE {rule}", values)
        steps = [row[-1] for row in plan]
    assert any("exports_by_folder" in step for step in steps)
    assert not any(step.startswith("SCAN") for step in steps)


@pytest.mark.anyio
async def test_a_run_ends_when_its_journal_can_no_longer_be_written(
    path: Path, client: DliClient, emulator: Emulator
) -> None:
    """Without a record nothing more is submitted: the run raises and sends no POST."""
    await run(client, path, [])
    with opened(path) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON exports WHEN new.state = 'submitting' "
            "AND (SELECT count(*) FROM exports WHERE state = 'finished') >= 3 "
            "BEGIN SELECT raise(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(JournalError, match="disk is full"):
        await run(client, path, specs(20), max_running=2)
    assert 3 <= len(emulator.ledger.jobs) <= 5


@pytest.mark.anyio
async def test_secrets_are_not_in_the_journal(path: Path, client: DliClient) -> None:
    """The token of the client is nowhere in the file."""
    await run(client, path, specs(2))
    assert b"emulator-token" not in content(path)
