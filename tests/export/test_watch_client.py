"""The watch and the budget behind a client, against the emulator in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from benchmarks._clock import VirtualLoop
from dli_async import (
    ClientClosed,
    DliClient,
    ExportJob,
    JobCancelled,
    JobTimeout,
    PollPolicy,
    StatusReport,
    TableExport,
)
from dli_async.emulator import Emulator, NullEngine

pytestmark = pytest.mark.anyio

VIRTUAL_ASYNCIO = ("asyncio", {"loop_factory": VirtualLoop})


def virtual_clock() -> Callable[[], float]:
    zero = anyio.current_time()
    return lambda: 1_767_225_600.0 + anyio.current_time() - zero


def make_emulator(*faults: dict[str, Any], slots: int = 50) -> Emulator:
    emulator = Emulator(
        engine=NullEngine({"db1": ["t1"]}),
        inline=True,
        clock=virtual_clock(),
        launch=0.2,
        run=30,
        slots=slots,
    )
    emulator.faults.set(list(faults))
    return emulator


def spec(number: int) -> TableExport:
    return TableExport(database_name="db1", table_name="t1", data_path=f"obs://bucket/run/{number}")


def requests_by_route(emulator: Emulator) -> dict[str, int]:
    counts: dict[str, int] = emulator.ledger.as_dict()["requests"]
    return counts


async def export_all(client: DliClient, count: int, most: int) -> None:
    slots = anyio.Semaphore(most)

    async def export(number: int) -> None:
        async with slots:
            await client.export(spec(number))

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(export, number)


async def test_unrelated_awaits_share_their_looks() -> None:
    """Fifty tasks that each await a job of their own cost a look each second or so, together."""
    emulator = make_emulator()
    async with emulator, emulator.client() as client:
        await export_all(client, 50, 50)
    counts = requests_by_route(emulator)
    assert counts["list-jobs"] + counts.get("status", 0) <= 75


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_ASYNCIO], ids=["asyncio-virtual"])
async def test_a_budget_below_the_limit_is_not_refused() -> None:
    """Hundreds of exports at 20 requests a second against a limit of 25: none fails."""
    emulator = make_emulator({"route": "*", "kind": "rate-limit:25"}, slots=100)
    async with emulator, emulator.client(requests_per_second=20) as client:
        await export_all(client, 400, 100)
    counts = requests_by_route(emulator)
    assert counts["export-table"] == 400
    assert emulator.faults.count["rate-limit"] <= 0.01 * sum(counts.values())


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_ASYNCIO], ids=["asyncio-virtual"])
async def test_without_a_budget_the_limit_is_learned_and_no_export_fails() -> None:
    """With no budget at all the client adapts to the limit of 25 by itself."""
    emulator = make_emulator({"route": "*", "kind": "rate-limit:25"}, slots=100)
    async with emulator, emulator.client() as client:
        await export_all(client, 400, 100)
    counts = requests_by_route(emulator)
    assert len(emulator.jobs.jobs) == 400
    assert emulator.faults.count["rate-limit"] <= 0.05 * sum(counts.values())


async def test_closing_the_client_ends_all_waits() -> None:
    """Leader and sleepers alike hear `ClientClosed`, and nothing is left in the watch."""
    emulator = make_emulator()
    ended: list[int] = []

    async def wait(client: DliClient, number: int) -> None:
        with pytest.raises(ClientClosed):
            await client.export(spec(number))
        ended.append(number)

    async with anyio.create_task_group() as group, emulator.client() as client:
        for number in range(20):
            group.start_soon(wait, client, number)
        await anyio.sleep(5)
    assert sorted(ended) == list(range(20))
    watch = client.job_context.watch
    assert watch is not None
    assert watch._leader is None
    assert not watch._sleeping
    assert not watch._watched.jobs


async def test_a_wait_that_times_out_leaves_the_others() -> None:
    """The leader's time is up: the rest of the exports end as they should."""
    emulator = make_emulator()
    async with emulator, emulator.client() as client:
        job = ExportJob(client, spec(0))

        async def give_up() -> None:
            with pytest.raises(JobTimeout):
                await job.result(timeout=3)

        async with anyio.create_task_group() as group:
            group.start_soon(give_up)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(client.export, spec(1))
            group.start_soon(client.export, spec(2))
        result = await job
    assert result.status == "FINISHED"


async def test_a_cancel_in_a_crowd_is_confirmed_soon() -> None:
    """A job that has not started yet is looked at by whoever cancels it, and its awaiter hears."""
    emulator = make_emulator(slots=1)
    async with emulator, emulator.client() as client, anyio.create_task_group() as group:
        jobs = [await client.submit(spec(number)) for number in range(260)]
        for job in jobs[:-1]:
            group.start_soon(job.result)
        await anyio.sleep(20)
        with anyio.fail_after(10):
            group.start_soon(jobs[-1].cancel)
            with pytest.raises(JobCancelled):
                await jobs[-1]
        group.cancel_scope.cancel()


async def test_a_timeout_in_a_crowd_tells_when_its_job_was_last_seen() -> None:
    """Jobs that only launch tell their waiters nothing in a crowd, and yet were seen."""
    emulator = make_emulator(slots=1)
    told: list[str] = []

    async def give_up(client: DliClient, number: int) -> None:
        try:
            await client.export(spec(number), timeout=60)
        except JobTimeout as error:
            told.append(str(error))

    async with emulator, emulator.client() as client, anyio.create_task_group() as group:
        for number in range(260):
            group.start_soon(give_up, client, number)
    assert any("it had not ended when it was last seen, " in words for words in told)


async def test_refused_lists_are_replaced_by_status() -> None:
    """The fault `list-refused` delays exports and fails none."""
    emulator = make_emulator({"route": "list-jobs", "kind": "list-refused"})
    async with emulator, emulator.client() as client:
        await export_all(client, 30, 30)
    assert requests_by_route(emulator)["list-jobs"] == 1


@pytest.mark.parametrize("own", ["client's source", "job's source", "job's policy"])
async def test_a_status_source_or_policy_of_ones_own_keeps_its_own_loop(own: str) -> None:
    """Jobs that are to be asked for in a way of their own are not left to the watch."""
    emulator = make_emulator()

    async def source(job_id: str) -> StatusReport:
        return await client.api.status(job_id, repeat=False)

    client = emulator.client(status_source=source if own == "client's source" else None)
    options: dict[str, Any] = {
        "status_source": source if own == "job's source" else None,
        "polling": PollPolicy() if own == "job's policy" else None,
    }
    async with emulator, client, anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(ExportJob(client, spec(number), **options).result)
    assert "list-jobs" not in requests_by_route(emulator)
