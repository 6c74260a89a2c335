"""Corners where one party takes over from another: tokens, doubts, leads, timeouts, logins."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from dli_async import (
    AkSk,
    AuthenticationError,
    CancelOutcome,
    ClientClosed,
    DliClient,
    DliError,
    ExportJob,
    IamToken,
    JobTimeout,
    NotFound,
    PollPolicy,
    StatusEndpoint,
    StatusReport,
    SubmitInDoubt,
    SubmitPolicy,
)
from dli_async.emulator import Emulator, NullEngine

from ..support import EPOCH, PROJECT, Service, accepted, dated, refused, report, row, spec

pytestmark = pytest.mark.anyio

LOST = httpx.ReadError("lost")


def one_job(job_id: str = "job-x") -> httpx.Response:
    """A list that shows one job of the table, started half a second after `EPOCH`."""
    return dated(EPOCH + timedelta(seconds=1), jobs=[row(job_id, age=0.5)], job_count=1)


def folder(job_id: str = "job-x") -> httpx.Response:
    """The detail of a job that writes where the export wants to."""
    return dated(EPOCH, job_id=job_id, data_path=spec().data_path)


async def test_a_token_that_comes_back_with_a_job_id_is_not_posted_again() -> None:
    """What another client did with a token counts where it came from."""
    service = Service(submit=accepted("job-A"), status=report("FINISHED", "job-A"))
    async with service.client() as one, service.client() as other:
        first = ExportJob(one, spec())
        second = ExportJob.resume(other, first.token)
        await second
        third = ExportJob.resume(one, second.token)
        assert third.job_id == "job-A"
        assert first.job_id == "job-A"
        await third
    assert service.count("submit") == 1


async def test_a_token_that_comes_back_in_doubt_is_looked_for() -> None:
    """A doubt of another client is heeded where the export is known."""
    service = Service(submit=[LOST, accepted("twice")], detail=folder())
    async with service.client() as one:
        first = ExportJob(one, spec())
        async with service.client(submit=SubmitPolicy(grace=0)) as other:
            second = ExportJob.resume(other, first.token)
            service.set(jobs=refused(403, "DLI.0003"))
            with pytest.raises(SubmitInDoubt):
                await second.submit()
        service.set(jobs=one_job())
        assert await ExportJob.resume(one, second.token).submit() == "job-x"
    assert service.count("submit") == 1


@pytest.mark.parametrize("detail", [refused(404, "DLI.0002"), dated(EPOCH), refused(403, "")])
async def test_a_candidate_whose_folder_is_not_told_is_no_reason_to_post_again(
    detail: httpx.Response,
) -> None:
    """It may be ours: the doubt is raised, with the row."""
    service = Service(submit=LOST, jobs=one_job(), detail=detail)
    async with service.client() as client:
        with pytest.raises(SubmitInDoubt, match="folder") as caught:
            await client.submit(spec())
    assert [found.job_id for found in caught.value.found] == ["job-x"]
    assert service.count("submit") == 1


async def test_a_job_that_was_only_attached_by_its_id_can_be_adopted() -> None:
    """A page that lists jobs and looks at them hides none of them from a look."""
    service = Service(submit=LOST, jobs=one_job(), status=report("RUNNING"), detail=folder())
    async with service.client() as client:
        handles = [client.job(found.job_id) async for found in client.jobs()]
        for handle in handles:
            await handle.status()
        assert (await client.submit(spec())).job_id == "job-x"
    assert service.count("submit") == 1


async def test_a_resumed_doubt_is_looked_for_until_its_post_must_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A POST may land until its time is up, and lists lag behind even that."""
    zero = anyio.current_time()

    def clock() -> float:
        return EPOCH.timestamp() + anyio.current_time() - zero

    monkeypatch.setattr("dli_async._export.departure.wall_clock", clock)
    engine = NullEngine({"db2": ["t2"]})
    emulator = Emulator(engine=engine, inline=True, clock=clock, launch=2, run=20)
    slow = {"route": "export-table", "when": "before", "kind": "slow-headers:27", "nth": 1}
    emulator.faults.set([slow, {"route": "list-jobs", "kind": "list-lag:5"}])
    async with emulator.client() as one, emulator.client() as other:
        job = ExportJob(one, spec())
        with anyio.move_on_after(0.5):
            await job.submit()
        await ExportJob.resume(other, job.token).submit()
        await anyio.sleep(60)
    assert len(emulator.ledger.jobs) == 1


async def test_an_old_doubt_of_a_dead_process_costs_one_look() -> None:
    """Its POST has had its time: a crash of yesterday delays nobody today."""
    service = Service(submit=accepted("new"), jobs=dated(EPOCH, jobs=[], job_count=0))
    token = json.dumps({"v": 1, "spec": spec().body(), "doubted_at": 1e9})
    async with service.client() as client:
        started = anyio.current_time()
        assert await ExportJob.resume(client, token).submit() == "new"
        assert anyio.current_time() - started < 1
    assert service.count("jobs") == 1


async def test_a_token_in_a_second_post_leads_back_to_the_first() -> None:
    """Either of them may have landed."""

    async def slow(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(20)
        return accepted("job-2")

    service = Service(submit=[LOST, slow], jobs=dated(EPOCH, jobs=[], job_count=0))
    tokens: list[dict[str, Any]] = []
    async with service.client(submit=SubmitPolicy(grace=10)) as client:
        job = ExportJob(client, spec())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(job.submit)
            for moment in (5, 15):
                await anyio.sleep(moment)
                tokens.append(json.loads(job.token)["departure"])
    first, second = tokens
    assert service.count("submit") == 2
    assert first["earliest"] == second["earliest"] == first["latest"]
    assert second["latest"]["wall"] > first["latest"]["wall"]


async def test_the_job_of_an_abandoned_post_is_not_given_to_an_equal_export() -> None:
    """Its POST is under way, and its answer will say whose it is."""
    seen = 0

    async def submit(request: httpx.Request) -> httpx.Response:
        nonlocal seen
        seen += 1
        if seen == 1:
            await anyio.sleep(20)
            return accepted("job-A")
        if seen == 2:
            raise LOST
        return accepted("job-B")

    jobs = dated(EPOCH, jobs=[row("job-A")], job_count=1)
    service = Service(submit=submit, jobs=jobs, detail=folder("job-A"))
    async with service.client() as client:
        one, other = ExportJob(client, spec()), ExportJob(client, spec())
        with anyio.move_on_after(1):
            await one.submit()
        await other.submit()
        await one.submit()
    assert (one.job_id, other.job_id) == ("job-A", "job-B")


@pytest.mark.parametrize("error", [NotFound("gone", status_code=404), httpx.ConnectError("down")])
async def test_what_ends_a_wait_reaches_every_awaiter_of_an_own_source(error: Exception) -> None:
    """Nobody starts to be patient anew; each gets an error of its own."""
    ends: list[tuple[float, BaseException]] = []

    async def source(job_id: str) -> StatusReport:
        raise error

    async with Service().client() as client:
        polling = PollPolicy(give_up_after=100)
        job = client.job("job-1", status_source=source, polling=polling)
        started = anyio.current_time()

        async def wait() -> None:
            with pytest.raises((NotFound, JobTimeout)) as caught:
                await job
            ends.append((anyio.current_time() - started, caught.value))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(wait)
    assert max(spent for spent, _ in ends) < 150
    assert len({id(end) for _, end in ends}) == 4


async def test_an_exception_of_a_users_own_source_ends_all_waits_as_it_is() -> None:
    """It is no noise of the network: the source is not asked again, and nothing wraps its error."""
    bug = KeyError("bug")
    asked: list[str] = []
    caught: list[BaseException] = []

    async def source(job_id: str) -> StatusReport:
        asked.append(job_id)
        await anyio.sleep(1)
        raise bug

    async with Service().client() as client:
        job = client.job("job-1", status_source=source)

        async def wait() -> None:
            with pytest.raises(KeyError) as error:
                await job
            caught.append(error.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            tasks.start_soon(wait)
    assert caught == [bug, bug]
    assert asked == ["job-1"]


async def test_when_the_one_who_asks_an_own_source_is_cancelled_another_takes_over() -> None:
    """Be it in mid-look or between two looks, the others wait on, and look at once."""
    asked: list[float] = []

    async def source(job_id: str) -> StatusReport:
        asked.append(anyio.current_time())
        await anyio.sleep(10)
        return StatusReport(job_id=job_id, status="FINISHED" if len(asked) > 3 else "RUNNING")

    async with Service().client() as client:
        polling = PollPolicy(wait_initial=600, wait_max=600)
        job = client.job("job-1", status_source=source, polling=polling)
        began = anyio.current_time()

        async def wait(patience: float) -> None:
            with anyio.move_on_after(patience):
                await job

        async with anyio.create_task_group() as tasks:
            for patience in (5, 100, 5000):
                tasks.start_soon(wait, patience)
                await anyio.wait_all_tasks_blocked()
        assert job.ended
    assert [moment - began for moment in asked[:2]] == pytest.approx([0, 5], abs=0.1)
    assert len(asked) == 4


async def test_closing_ends_a_wait_whose_look_stands_at_a_paused_throttle() -> None:
    """`Retry-After` holds up requests, not the end of the client."""
    throttled = refused(429, "APIGW.0308", **{"Retry-After": "100"})
    service = Service(status=throttled, jobs=throttled)
    ends: list[float] = []
    async with anyio.create_task_group() as tasks:
        client = service.client()
        await client.__aenter__()

        async def wait(job_id: str) -> None:
            with pytest.raises(ClientClosed):
                await client.job(job_id)
            ends.append(anyio.current_time())

        tasks.start_soon(wait, "job-1")
        await anyio.sleep(0.5)
        tasks.start_soon(wait, "job-2")
        await anyio.sleep(5)
        closed = anyio.current_time()
        await client.__aexit__(None, None, None)
    assert [end - closed < 1 for end in ends] == [True, True]


async def test_a_single_look_asks_the_clients_own_source() -> None:
    """`job.status()` and `await job` ask the same one."""
    asked: list[str] = []

    async def source(job_id: str) -> StatusReport:
        asked.append(job_id)
        return StatusReport(job_id=job_id, status="RUNNING")

    service = Service()
    async with service.client(status_source=source) as client:
        await client.job("job-1").status()
    assert asked == ["job-1"]
    assert service.calls == []


def iam(reply: Callable[[httpx.Request, int], httpx.Response]) -> httpx.MockTransport:
    """A service whose IAM answers by the number of the question."""
    asked = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        if request.url.path.startswith("/v3/"):
            asked += 1
            return reply(request, asked)
        return accepted() if request.method == "POST" else report("RUNNING")

    return httpx.MockTransport(handle)


@pytest.mark.parametrize("trouble", [503, 429])
async def test_trouble_at_iam_before_the_post_is_no_doubt_of_the_post(trouble: int) -> None:
    """Nothing has left: the submit is repeated, not failed and not looked for."""

    def reply(request: httpx.Request, number: int) -> httpx.Response:
        if number == 1:
            return httpx.Response(trouble, json={"error": {"code": trouble, "message": "busy"}})
        token = {"token": {"project": {"id": PROJECT}}}
        return httpx.Response(201, headers={"X-Subject-Token": "t" * 9}, json=token)

    auth = IamToken("u", "p", "d", iam_endpoint="https://iam.test")
    options: dict[str, Any] = {"endpoint": "https://dli.test", "project_id": PROJECT}
    async with DliClient(auth=auth, transport=iam(reply), **options) as client:
        assert (await client.submit(spec())).job_id == "job-1"


async def test_trouble_in_finding_the_project_is_no_doubt_of_the_post() -> None:
    """The lookup at IAM is repeated with the submit."""

    def reply(request: httpx.Request, number: int) -> httpx.Response:
        if number == 1:
            return httpx.Response(503, text="busy")
        return httpx.Response(200, json={"projects": [{"id": PROJECT}]})

    auth = AkSk("ak", "sk")
    async with DliClient(region="cn-north-4", auth=auth, transport=iam(reply)) as client:
        assert (await client.submit(spec())).job_id == "job-1"


async def test_a_password_that_a_proxy_echoes_does_not_show() -> None:
    """Errors may quote an answer, but not the secrets that it quotes."""
    password = 'pw-"secret"'

    def reply(request: httpx.Request, number: int) -> httpx.Response:
        return httpx.Response(502, text="Bad gateway; it was: " + request.content.decode())

    auth = IamToken("u", password, "d", iam_endpoint="https://iam.test")
    options: dict[str, Any] = {"endpoint": "https://dli.test", "project_id": PROJECT}
    async with DliClient(auth=auth, transport=iam(reply), **options) as client:
        with pytest.raises(DliError) as caught:
            await client.submit(spec())
    shown = repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    assert "Bad gateway" in shown
    assert "secret" not in shown


async def test_each_wait_that_a_refused_login_ends_has_its_own_job_id() -> None:
    """One refusal is shared by all, but not the error that tells it."""

    def reply(request: httpx.Request, number: int) -> httpx.Response:
        return httpx.Response(401, json={"error": {"code": 401, "message": "wrong password"}})

    auth = IamToken("u", "wrong", "d", iam_endpoint="https://iam.test")
    options: dict[str, Any] = {"endpoint": "https://dli.test", "project_id": PROJECT}
    errors: dict[str, AuthenticationError] = {}
    async with DliClient(auth=auth, transport=iam(reply), **options) as client:

        async def wait(job_id: str) -> None:
            with pytest.raises(AuthenticationError) as caught:
                await client.job(job_id, status_source=StatusEndpoint(client))
            errors[job_id] = caught.value

        async with anyio.create_task_group() as tasks:
            for job_id in "abc":
                tasks.start_soon(wait, job_id)
    assert {job_id: error.job_id for job_id, error in errors.items()} == {i: i for i in "abc"}
    assert [len(error.__notes__) for error in errors.values()] == [1, 1, 1]


async def test_a_job_known_to_have_finished_is_a_result_even_if_time_is_up() -> None:
    """Time that `on_report` took does not turn an end into a timeout."""
    service = Service(submit=accepted(), status=report("FINISHED"))

    async def slow(seen: StatusReport) -> None:
        await anyio.sleep(100)

    async with service.client() as client:
        result = await ExportJob(client, spec()).result(timeout=10, on_report=slow)
    assert result.job_id == "job-1"


async def test_a_cancel_that_fails_leaves_the_timeout_a_timeout() -> None:
    """The wish to cancel failed, and the error says so and carries the id."""
    service = Service(submit=accepted(), status=report("RUNNING"), cancel=refused(500, ""))
    async with service.client() as client:
        with pytest.raises(JobTimeout, match="could not be cancelled") as caught:
            await client.export(spec(), timeout=10, on_timeout="cancel")
    assert caught.value.job_id == "job-1"


async def test_a_cancel_looks_through_noise() -> None:
    """After a 400 the status decides, and one bad look is not the last."""
    looks = 0

    async def source(job_id: str) -> StatusReport:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise httpx.ReadError("noise")
        return StatusReport(job_id=job_id, status="CANCELLED")

    service = Service(cancel=refused(400, "DLI.0001"))
    async with service.client() as client:
        job = client.job("job-1", status_source=source)
        assert await job.cancel() is CancelOutcome.CANCELLED


async def test_a_finished_job_is_freed_without_the_garbage_collector() -> None:
    """Services that export for months make no circles."""
    service = Service(submit=accepted(), status=report("FINISHED"))
    async with service.client() as client:
        job = ExportJob(client, spec())
        await job
        gc.collect()
        gc.disable()
        try:
            freed = weakref.ref(job)
            del job
            assert freed() is None
        finally:
            gc.enable()


async def test_the_list_of_detached_jobs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that lets go of jobs for months does not grow for ever; the latest are kept."""
    monkeypatch.setattr("dli_async._export.detached.MOST_DETACHED", 3)
    service = Service(status=report("RUNNING"), jobs=dated(EPOCH, jobs=[], job_count=0))
    async with service.client() as client:
        handles = [client.job(f"job-{number}") for number in range(5)]
        for job in handles:
            with pytest.raises(JobTimeout):
                await job.result(timeout=0.5)
        assert client.detached == handles[2:]
