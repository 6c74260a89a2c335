"""Many exports at once over real HTTP, on asyncio, uvloop and trio."""

from __future__ import annotations

import gc
import selectors
import time
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from dli_async import DliClient, ExportResult, JobStatus, PollPolicy, StaticToken, TableExport
from dli_async.emulator import PROJECT_ID, TOKEN, Emulator, NullEngine
from dli_async.emulator.server import running

from ..conftest import REAL

pytestmark = pytest.mark.anyio

UVLOOP = pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")


@pytest.fixture(params=[*REAL, UVLOOP])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: there are sockets."""
    return request.param


@pytest.fixture
async def url() -> Any:
    """A server whose jobs take 50 ms."""
    engine = NullEngine({"db1": ["t1"]})
    async with running(Emulator(engine=engine, launch=0.01, run=0.05, slots=64)) as url:
        yield url


def client_of(url: str, **options: Any) -> DliClient:
    polling = PollPolicy(initial_delay=0.1, wait_initial=0.2, wait_jitter=0.1)
    return DliClient(
        endpoint=url, project_id=PROJECT_ID, auth=StaticToken(TOKEN), polling=polling, **options
    )


async def export_all(client: DliClient, count: int) -> list[ExportResult]:
    results: list[ExportResult] = []

    async def export(number: int) -> None:
        spec = TableExport(database_name="db1", table_name="t1", data_path=f"obs://bucket/{number}")
        results.append(await client.export(spec))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(export, number)
    return results


async def test_200_exports_at_once_share_a_few_connections(url: str) -> None:
    """All finish, each is posted once, and never more than `max_connections` are open."""
    async with client_of(url, max_connections=8) as client:
        results = await export_all(client, 200)
        async with httpx.AsyncClient() as reader:
            ledger = (await reader.get(f"{url}/_emulator/ledger")).json()
    assert [result.status for result in results] == [JobStatus.FINISHED] * 200
    assert ledger["requests"]["export-table"] == 200
    assert len({result.job_id for result in results}) == 200
    # One more connection than the client's: the test's own, which reads the ledger.
    assert ledger["connections_peak"] <= 8 + 1


class _HoldMeter(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Measures how much CPU the loop's thread spends between two looks at its sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self.total = 0.0
        self._since: float | None = None

    def select(self, timeout: float | None = None) -> Any:
        now = time.thread_time()
        if self._since is not None:
            self.longest = max(self.longest, now - self._since)
            self.total += now - self._since
        events = super().select(timeout)
        self._since = time.thread_time()
        return events


@pytest.mark.parametrize("anyio_backend", [REAL[0]], indirect=True)
async def test_the_event_loop_is_never_held_long(url: str) -> None:
    """In a run of 200 exports no step of the loop does a large part of the work.

    CPU time of the loop's own thread is counted, which a busy machine does not stretch, and as a
    share of the whole run, which is the same on a slow one: a quarter is 50 ms where an export
    takes 1 ms. What other tests have left on the heap is kept from the garbage collector.
    """
    import asyncio

    meter = _HoldMeter()

    async def run() -> None:
        async with client_of(url) as client:
            await export_all(client, 200)

    def metered() -> None:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(meter)) as runner:
            runner.run(run())

    gc.collect()
    gc.freeze()
    try:
        await anyio.to_thread.run_sync(metered)
    finally:
        gc.unfreeze()
    assert 0 < meter.longest < meter.total / 4
