"""`export_many` without a journal, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import anyio
import pytest

from dli_async import (
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    DliClient,
    InvalidExport,
    JobFailed,
    JobTimeout,
    NotFound,
    TableExport,
)
from dli_async.bulk import (
    BulkEvent,
    ExportEnded,
    ExportOutcome,
    ExportPlanned,
    ExportStatusChanged,
    ExportSubmitted,
    export_many,
    raise_for_failures,
)
from dli_async.emulator import Emulator, NullEngine

from ..support import Service, refused

pytestmark = pytest.mark.anyio

START = 1_767_225_600.0


def specs(count: int, **fields: Any) -> list[TableExport]:
    """Exports of t1, t2, ... of db1."""
    return [
        TableExport(
            database_name="db1", table_name=f"t{n}", data_path=f"obs://bucket/run/t{n}", **fields
        )
        for n in range(1, count + 1)
    ]


@pytest.fixture
async def emulator() -> AsyncGenerator[Emulator]:
    """An emulator whose clock is the loop's."""
    queues = {"default": 4, "queue1": 4, "queue2": 4}
    async with Emulator(
        engine=NullEngine(),
        clock=lambda: START + anyio.current_time(),
        inline=True,
        launch=1,
        run=20,
        queues=queues,
    ) as one:
        yield one


@pytest.fixture
async def client(emulator: Emulator) -> AsyncGenerator[DliClient]:
    """A client of the emulator."""
    async with emulator.client() as one:
        yield one


async def outcomes_of(client: DliClient, wanted: Any, **options: Any) -> list[ExportOutcome]:
    """All outcomes of a run."""
    async with client.export_many(wanted, **options) as outcomes:
        return [outcome async for outcome in outcomes]


async def test_every_spec_gives_one_outcome_in_order_of_completion(
    client: DliClient, emulator: Emulator
) -> None:
    """A run yields each export once, as it ends, with its job and its result."""
    ends: list[str | None] = []
    async with client.export_many(specs(20)) as outcomes:
        found = []
        async for outcome in outcomes:
            found.append(outcome)
            ends.append(outcome.job_id)
    assert {outcome.spec.table_name for outcome in found} == {f"t{n}" for n in range(1, 21)}
    assert all(outcome.ok and outcome.error is None for outcome in found)
    assert sorted(ends) == sorted(job.job_id for job in emulator.ledger.jobs)
    assert [o.spec for o in found] != specs(20)


async def test_one_failure_does_not_cancel_the_others(client: DliClient) -> None:
    """An export that is refused ends with its error; all others finish."""
    wanted = specs(5)
    wanted[2] = wanted[2].model_copy(update={"table_name": "nowhere"})
    found = await outcomes_of(client, wanted)
    assert [type(o.error) for o in found if not o.ok] == [NotFound]
    assert sum(o.ok for o in found) == 4
    with pytest.raises(ExceptionGroup, match="1 of 5 exports failed") as caught:
        raise_for_failures(found)
    assert isinstance(caught.value.exceptions[0], NotFound)
    raise_for_failures(o for o in found if o.ok)


async def test_no_more_than_max_running_are_alive_and_specs_are_read_as_needed(
    client: DliClient, emulator: Emulator
) -> None:
    """Specs are pulled one by one, so that a million of them need no million tasks."""
    pulled = 0

    def endless() -> Iterator[TableExport]:
        nonlocal pulled
        for spec in specs(30):
            pulled += 1
            yield spec

    ended = 0
    async with client.export_many(endless(), max_running=3) as outcomes:
        async for _ in outcomes:
            ended += 1
            assert pulled <= ended + 2 * 3 + 1
    assert (ended, pulled) == (30, 30)
    assert emulator.ledger.peak_running <= 3


async def test_async_iterables_are_read_and_closed(client: DliClient) -> None:
    """An async generator is read lazily, and closed even when the loop is left early."""
    closed: list[bool] = []

    async def source() -> AsyncGenerator[TableExport]:
        try:
            for spec in specs(40):
                await anyio.sleep(1)
                yield spec
        finally:
            closed.append(True)

    found = await outcomes_of(client, source())
    assert len(found) == 40
    async with client.export_many(source(), max_running=2) as outcomes:
        async for _ in outcomes:
            break
    assert closed == [True, True]


async def test_a_full_queue_lets_others_pass(client: DliClient, emulator: Emulator) -> None:
    """The limit of each queue holds, and exports of other queues do not wait behind a full one."""
    slow = specs(12, queue_name="queue1")
    quick = [s.model_copy(update={"queue_name": "queue2"}) for s in specs(14)[12:]]
    submitted: list[str] = []

    def note(event: BulkEvent) -> None:
        if isinstance(event, ExportSubmitted):
            submitted.append(event.spec.table_name)

    found = await outcomes_of(
        client, slow + quick, max_running=8, max_running_per_queue=2, on_event=note
    )
    assert len(found) == 14
    assert set(submitted[:4]) == {"t1", "t2", "t13", "t14"}
    assert submitted.index("t3") > submitted.index("t14")
    assert emulator.ledger.peak_running <= 4


async def test_a_folder_is_used_once(client: DliClient, emulator: Emulator) -> None:
    """The second export into a folder is refused, however it is spelled, and never submitted."""
    first, second = specs(2)
    again = TableExport(
        database_name="db1", table_name="t2", data_path=first.data_path.replace("obs", "s3a") + "/"
    )
    found = await outcomes_of(client, [first, again, second])
    refused = [o for o in found if not o.ok]
    assert [o.spec for o in refused] == [again]
    assert isinstance(refused[0].error, InvalidExport)
    assert "data_path" in str(refused[0].error)
    assert len(emulator.ledger.jobs) == 2


@pytest.mark.parametrize("outer_first", [True, False])
async def test_folders_within_each_other_are_not_exported_to_in_one_run(
    client: DliClient, emulator: Emulator, outer_first: bool
) -> None:
    """Overwrite of the outer one would delete the files of the inner one."""
    wanted = [
        TableExport(database_name="db1", table_name=f"t{n}", data_path=path)
        for n, path in enumerate(("obs://b/q", "obs://b/q/child", "obs://b/q2"), start=1)
    ]
    found = await outcomes_of(client, wanted if outer_first else [wanted[1], wanted[0], wanted[2]])
    [refused] = [o for o in found if not o.ok]
    assert refused.spec == wanted[1 if outer_first else 0]
    assert isinstance(refused.error, InvalidExport)
    assert (refused.error.field, refused.error.value) == ("data_path", refused.spec.data_path)
    assert "contains, or lies in" in refused.error.rule
    assert len(emulator.ledger.jobs) == 2


async def test_another_attempt_never_goes_around_the_folder_of_somebody_else(
    client: DliClient, emulator: Emulator
) -> None:
    """Where another export lies in the fresh folder, the failure stands and says so."""
    emulator.faults.set([{"route": "*", "kind": "fail:DLI.0999", "match": "t1"}])
    first, second = specs(2)
    second = second.model_copy(update={"data_path": first.data_path + "-attempt-2/child"})
    found = await outcomes_of(client, [first, second], attempts=2)
    [failed] = [o for o in found if not o.ok]
    assert isinstance(failed.error, JobFailed)
    assert "no other attempt" in failed.error.__notes__[0]


async def test_events_tell_the_life_of_each_export(client: DliClient) -> None:
    """The listener hears planned, submitted, each status, and the end; its errors do no harm."""
    heard: list[BulkEvent] = []

    def note(event: BulkEvent) -> None:
        heard.append(event)
        raise RuntimeError("a careless listener")

    [outcome] = await outcomes_of(client, specs(1), on_event=note)
    assert heard[0] == ExportPlanned(spec=outcome.spec)
    assert heard[1] == ExportSubmitted(
        spec=outcome.spec, job_id=str(outcome.job_id), attempt=1, resumed=False
    )
    assert heard[-1] == ExportEnded(outcome=outcome)
    statuses = [e.status for e in heard if isinstance(e, ExportStatusChanged)]
    assert statuses[-1] == "FINISHED"
    assert len(statuses) == len(set(statuses))


async def test_failed_exports_are_tried_again_in_a_fresh_folder(
    client: DliClient, emulator: Emulator
) -> None:
    """After a failed job the next attempt has a folder beside the first."""
    emulator.faults.set([{"route": "*", "kind": "fail:DLI.0999", "times": 1, "match": "t1"}])
    [outcome] = await outcomes_of(client, specs(1), attempts=3)
    assert outcome.result is not None
    assert outcome.attempts == 2
    assert outcome.spec.data_path == "obs://bucket/run/t1"
    assert outcome.result.data_path == "obs://bucket/run/t1-attempt-2"
    assert outcome.job_id == emulator.ledger.jobs[1].job_id


async def test_attempts_are_used_up(client: DliClient, emulator: Emulator) -> None:
    """An export that keeps failing ends with the last failure."""
    emulator.faults.set([{"route": "*", "kind": "fail:DLI.0999"}])
    [outcome] = await outcomes_of(client, specs(1), attempts=2)
    assert isinstance(outcome.error, JobFailed)
    assert (outcome.attempts, len(emulator.ledger.jobs)) == (2, 2)


async def test_another_attempt_never_takes_a_folder_of_somebody_else(
    client: DliClient, emulator: Emulator
) -> None:
    """Where the fresh folder is another export's, the failure stands and says so."""
    emulator.faults.set([{"route": "*", "kind": "fail:DLI.0999", "match": "t1"}])
    first, second = specs(2)
    second = second.model_copy(update={"data_path": first.data_path + "-attempt-2"})
    found = await outcomes_of(client, [first, second], attempts=2)
    [failed] = [o for o in found if not o.ok]
    assert isinstance(failed.error, JobFailed)
    assert "no other attempt" in failed.error.__notes__[0]
    assert len(emulator.ledger.jobs) == 2


async def test_a_timeout_is_an_outcome_and_the_job_runs_on(
    client: DliClient, emulator: Emulator
) -> None:
    """An export that takes too long ends with `JobTimeout`, which carries the job."""
    [outcome] = await outcomes_of(client, specs(1), timeout=5)
    assert isinstance(outcome.error, JobTimeout)
    assert outcome.job_id == emulator.ledger.jobs[0].job_id
    assert outcome.error.job is not None
    assert (await outcome.error.job).job_id == outcome.job_id


async def test_leaving_the_loop_leaves_nothing_running_here(
    client: DliClient, emulator: Emulator
) -> None:
    """After a break no request is sent any more, and the jobs of the service run on."""
    async with client.export_many(specs(20), max_running=5) as outcomes:
        async for _ in outcomes:
            break
    sent = emulator.ledger.requests.total()
    await anyio.sleep(600)
    assert emulator.ledger.requests.total() == sent
    assert len(client.detached) == len(emulator.ledger.jobs) - 1
    assert all(job.state == "FINISHED" for job in emulator.ledger.jobs)


async def test_an_error_in_the_body_comes_out_as_it_is(
    client: DliClient, emulator: Emulator
) -> None:
    """What the block raises is not wrapped, and ends the run."""

    async def spoil() -> None:
        async with client.export_many(specs(5)) as outcomes:
            async for _ in outcomes:
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await spoil()
    sent = emulator.ledger.requests.total()
    await anyio.sleep(600)
    assert emulator.ledger.requests.total() == sent


async def test_cancelling_ends_the_run_and_keeps_the_ids(
    client: DliClient, emulator: Emulator
) -> None:
    """A cancelled run knows every job that was accepted, also the one whose answer was due."""
    emulator.faults.set([{"route": "export-table", "when": "after", "kind": "slow-headers:10"}])
    with anyio.move_on_after(5) as scope:
        await outcomes_of(client, specs(3))
    assert scope.cancelled_caught
    known = {job.job_id for job in client.detached}
    assert known == {job.job_id for job in emulator.ledger.jobs}
    assert len(known) == 3


async def test_outcomes_wait_for_a_slow_reader(client: DliClient, emulator: Emulator) -> None:
    """A reader that stops reading stops the run after a bounded number of exports."""
    async with client.export_many(specs(50), max_running=2) as outcomes:
        await anyio.sleep(3600)
        assert len(emulator.ledger.jobs) == 4
        assert len([outcome async for outcome in outcomes]) == 50


async def test_an_error_of_the_source_ends_the_run(client: DliClient) -> None:
    """What the iterable raises comes out of the loop as it is."""

    def broken() -> Iterator[TableExport]:
        yield from specs(2)
        raise LookupError("the catalogue is gone")

    with pytest.raises(LookupError, match="the catalogue is gone"):
        await outcomes_of(client, broken(), max_running=5)


async def test_an_error_of_the_source_shows_even_if_nobody_reads(client: DliClient) -> None:
    """A run that broke says so when its block is left."""
    never_read = client.export_many(["t1"])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="such as TableExport, not 't1'"):
        async with never_read:
            await anyio.sleep(1)


async def test_any_error_of_one_export_is_its_outcome(client: DliClient) -> None:
    """Even an error that nobody foresaw stays with its export."""
    wanted = specs(2)
    async with client.export_many(wanted) as outcomes:
        client.job_context.registry.lock = _broken  # type: ignore[method-assign]
        found = [outcome async for outcome in outcomes]
    assert [str(o.error) for o in found] == ["a bug", "a bug"]


def _broken(spec: TableExport) -> anyio.Lock:
    raise ZeroDivisionError("a bug")


async def test_closing_the_client_ends_the_run(emulator: Emulator) -> None:
    """A run whose client closes raises `ClientClosed` once, not an outcome for each export."""
    client = await emulator.client().__aenter__()

    async def close_in_between() -> None:
        async with export_many(client, specs(20), max_running=5) as outcomes:
            await anyio.sleep(5)
            await client.__aexit__(None, None, None)
            async for _ in outcomes:
                pass

    with pytest.raises(ClientClosed):
        await close_in_between()


async def test_bad_arguments_are_refused_before_anything_is_sent(
    client: DliClient, emulator: Emulator
) -> None:
    """Each limit names itself and its rule."""
    bad: list[dict[str, Any]] = [
        {"max_running": 0},
        {"max_running_per_queue": 0},
        {"attempts": 0},
        {"timeout": -1},
    ]
    for options in bad:
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            await outcomes_of(client, specs(1), **options)
    with pytest.raises(ClientClosed):
        await outcomes_of(emulator.client(), specs(1))
    assert emulator.ledger.requests.total() == 0


async def test_outcomes_are_read_inside_the_block(client: DliClient) -> None:
    """Reading after the block says what is wrong."""
    async with client.export_many(specs(1)) as outcomes:
        pass
    with pytest.raises(ConfigurationError, match="inside"):
        await anext(outcomes)


async def test_no_specs_is_a_run_too(client: DliClient) -> None:
    """An empty run ends at once."""
    assert await outcomes_of(client, []) == []


async def test_a_refused_login_ends_the_run() -> None:
    """What is refused for one export is refused for all: it is raised, not repeated by each."""
    service = Service(submit=refused(401, "APIGW.0301", "verify aksk signature fail"))
    seen: list[ExportOutcome] = []

    async def run(client: DliClient) -> None:
        async with client.export_many(specs(100), max_running=4) as outcomes:
            seen.extend([outcome async for outcome in outcomes])

    async with service.client() as client:
        with pytest.raises(AuthenticationError):
            await run(client)
    assert seen == []
    assert service.count("submit") <= 4
