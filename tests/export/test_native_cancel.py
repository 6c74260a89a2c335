"""Native cancellation on asyncio, which no anyio scope can stop."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from dli_async import ConfigurationError, DliClient, ExportJob, ExportResult

from ..support import Service, accepted, report, spec

pytestmark = pytest.mark.asyncio


class HeldService(Service):
    """A service whose answer to a submit comes when `release` is set."""

    def __init__(self, **scripts: Any) -> None:
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        super().__init__(submit=self.hold, **scripts)

    async def hold(self, request: httpx.Request) -> httpx.Response:
        self.arrived.set()
        await self.release.wait()
        return accepted()


async def _export(job: ExportJob) -> ExportResult:
    return await job


async def _cancel_twice(task: asyncio.Task[Any]) -> None:
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)


async def test_a_task_cancelled_twice_in_mid_post_leaves_the_post_alone() -> None:
    """`Task.cancel()` ends the wait at once; the POST runs on and its id is kept."""
    service = HeldService(status=report("FINISHED"))
    async with service.client() as client:
        job = ExportJob(client, spec())
        task = asyncio.create_task(_export(job))
        await service.arrived.wait()
        await _cancel_twice(task)
        with pytest.raises(asyncio.CancelledError):
            await task
        service.release.set()
        assert await job.submit() == "job-1"
    assert service.count("submit") == 1


async def test_closing_that_is_cancelled_twice_still_waits_for_the_post() -> None:
    """The id is learned first, and then the cancellation is raised."""
    service = HeldService()
    client = service.client()
    await client.__aenter__()
    job = ExportJob(client, spec())
    task = asyncio.create_task(_export(job))
    await service.arrived.wait()
    await _cancel_twice(task)
    closing = asyncio.create_task(client.__aexit__(None, None, None))
    await asyncio.sleep(0)
    await _cancel_twice(closing)
    assert not closing.done()
    service.release.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(asyncio.CancelledError):
        await task
    assert job.job_id == "job-1"
    assert client.detached == [job]


async def test_wait_for_detaches_from_the_job() -> None:
    """`asyncio.wait_for` cancels natively; the job runs on and is listed."""
    service = Service(submit=accepted(), status=report("RUNNING"))
    async with service.client() as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.export(spec()), 0.05)
        assert [job.job_id for job in client.detached] == ["job-1"]
    assert service.count("cancel") == 0


async def test_a_client_of_another_loop_is_refused() -> None:
    """A client belongs to the event loop that it was opened on."""
    service = Service(submit=accepted())

    async def submit(client: DliClient) -> None:
        await client.submit(spec())

    async def wait(client: DliClient) -> None:
        await client.job("job-1")

    async with service.client() as client:
        for elsewhere in (submit, wait):
            with pytest.raises(ConfigurationError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, elsewhere(client))
    assert service.calls == []


async def test_no_task_is_left_behind() -> None:
    """After `async with` only the test's own task lives."""
    service = Service(submit=accepted(), status=report("FINISHED"))
    async with service.client() as client:
        await asyncio.gather(*(client.export(spec(data_path=f"obs://b/{n}")) for n in range(50)))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
