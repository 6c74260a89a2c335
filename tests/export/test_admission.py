"""Admission: few get ready to submit at a time, and no one who may take long keeps others out."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from dli_async import ClientClosed, DliClient, ExportJob, JobTimeout, RetryPolicy, SubmitPolicy
from dli_async._export.departure import Departure
from dli_async._export.submit.admission import Admission, Place

from ..support import Service, accepted, spec

pytestmark = pytest.mark.anyio

MANY = 200
NOTHING = httpx.Response(200, json={"is_success": True, "job_count": 0, "jobs": []})


async def settle() -> None:
    """Lets all others run until they wait for something."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def test_no_more_than_the_places_are_inside() -> None:
    """Who comes later waits outside, and goes in first come, first served."""
    admission = Admission(2)
    inside: list[tuple[int, Place]] = []

    async def come(number: int) -> None:
        inside.append((number, await admission.enter()))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(come, number)
            await settle()
        for left in range(3):
            assert [number for number, _ in inside] == [0, 1, *range(2, 2 + left)]
            inside[left][1].leave()
            inside[left][1].leave()
            await settle()
    assert [number for number, _ in inside] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_is_cancelled_outside_keeps_no_place(when: str) -> None:
    """Whether the place was already given or not, the next one gets it."""
    admission = Admission(1)
    first = await admission.enter()
    been: list[str] = []

    async def come(name: str) -> None:
        (await admission.enter()).leave()
        been.append(name)

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as unlucky:
            unlucky.start_soon(come, "unlucky")
            await settle()
            tasks.start_soon(come, "next")
            await settle()
            if when == "after":
                first.leave()
            unlucky.cancel_scope.cancel()
        first.leave()
    assert been[-1] == "next"
    with anyio.fail_after(1):
        (await admission.enter()).leave()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(httpx.ReadError("reset"), id="in doubt"),
        pytest.param(httpx.ConnectError("refused"), id="backing off"),
    ],
)
async def test_exports_in_trouble_keep_nobody_out(trouble: Any) -> None:
    """Hundreds that look for their jobs, or back off, do not delay another one's submit."""

    def submit(request: httpx.Request) -> Any:
        return accepted("job-fine") if b"fine" in request.content else trouble

    service = Service(submit=submit, jobs=NOTHING)
    patient = RetryPolicy(attempts=100, wait_initial=1000, wait_max=1000)
    async with (
        service.client(submit=SubmitPolicy(grace=3600), retry=patient) as client,
        anyio.create_task_group() as tasks,
    ):
        for number in range(MANY):
            tasks.start_soon(client.submit, spec(data_path=f"obs://bucket/bad/{number}"))
        await anyio.sleep(5)
        assert service.count("submit") >= MANY
        with anyio.fail_after(10):
            await client.submit(spec(table_name="fine", data_path="obs://bucket/fine"))
        tasks.cancel_scope.cancel()


async def test_equal_exports_that_wait_for_each_other_keep_nobody_out() -> None:
    """They queue up behind one whose fate is not known yet; others go past them."""

    def submit(request: httpx.Request) -> Any:
        return accepted("job-fine") if b"fine" in request.content else httpx.ReadError("reset")

    service = Service(submit=submit, jobs=NOTHING)
    async with (
        service.client(submit=SubmitPolicy(grace=3600)) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(MANY):
            tasks.start_soon(ExportJob(client, spec()).submit)
        await anyio.sleep(10)
        assert service.count("submit") == 1
        with anyio.fail_after(10):
            await client.submit(spec(table_name="fine", data_path="obs://bucket/fine"))
        tasks.cancel_scope.cancel()


async def test_a_swarm_of_submits_gets_ready_a_few_at_a_time() -> None:
    """Of hundreds that start at once few stand at the throttle, with all that a request needs."""
    service = Service(submit=accepted())
    async with service.client(requests_per_second=1) as client, anyio.create_task_group() as tasks:
        for number in range(MANY):
            tasks.start_soon(client.submit, spec(data_path=f"obs://bucket/{number}/x"))
        await anyio.sleep(0.5)
        assert 10 < len(client._throttle._urgent) < 100
    assert service.count("submit") == MANY


async def test_all_who_await_an_export_hear_of_its_submit_at_once() -> None:
    """Who joins late does not stand outside behind others for a job that is there."""
    service = Service(submit=accepted())
    heard: list[float] = []

    async def submit(job: ExportJob) -> None:
        await job.submit()
        heard.append(anyio.current_time())

    async with service.client(requests_per_second=1) as client, anyio.create_task_group() as tasks:
        for number in range(MANY):
            if number == MANY // 2:
                job = ExportJob(client, spec(data_path="obs://bucket/both"))
                tasks.start_soon(submit, job)
            tasks.start_soon(client.submit, spec(data_path=f"obs://bucket/{number}/x"))
            await anyio.lowlevel.checkpoint()
        tasks.start_soon(submit, job)
    assert heard[1] - heard[0] < 1


async def test_a_record_that_takes_long_keeps_nobody_out() -> None:
    """Bulk runs wait for their journal before each POST; others submit meanwhile."""

    class Slow:
        async def before_post(self, departure: Departure) -> None:
            await anyio.sleep(3600)

        async def accepted(self, job_id: str) -> None: ...

    service = Service(submit=accepted())
    async with service.client() as client, anyio.create_task_group() as tasks:
        for number in range(MANY):
            one = spec(data_path=f"obs://bucket/{number}/x")
            tasks.start_soon(ExportJob(client, one, record=Slow()).submit)
        await anyio.sleep(1)
        with anyio.fail_after(10):
            await client.submit(spec(data_path="obs://bucket/fine"))
        tasks.cancel_scope.cancel()


async def test_closing_the_client_ends_the_wait_outside() -> None:
    """Who waits to get ready when the client closes hears of it, and nothing is submitted."""
    service = Service(submit=accepted())
    ends: list[Exception] = []

    async def submit(client: DliClient, number: int) -> None:
        try:
            await client.submit(spec(data_path=f"obs://bucket/{number}/x"))
        except ClientClosed as error:
            ends.append(error)

    async with anyio.create_task_group() as tasks, service.client(requests_per_second=1) as client:
        for number in range(MANY):
            tasks.start_soon(submit, client, number)
        await anyio.sleep(9.5)  # none is under way then
    assert len(ends) == MANY - service.count("submit") > MANY / 2


async def test_the_wait_outside_is_bounded_by_the_timeout() -> None:
    """Who never got ready to submit in time has submitted nothing, and leaves no place taken."""
    service = Service(submit=accepted())
    async with service.client(requests_per_second=1) as client, anyio.create_task_group() as tasks:
        for number in range(MANY):
            tasks.start_soon(client.submit, spec(data_path=f"obs://bucket/{number}/x"))
        await anyio.sleep(0.5)
        with anyio.fail_after(6), pytest.raises(JobTimeout, match="not submitted within 5 s"):
            await client.export(spec(data_path="obs://bucket/late"), timeout=5)
    assert service.count("submit") == MANY
