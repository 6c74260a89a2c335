"""ExportJob and DliClient: submit, await, attach, cancel, resume, close."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from tenacity import wait_fixed

from dli_async import (
    AuthenticationError,
    CancelOutcome,
    ClientClosed,
    ConfigurationError,
    EndEvent,
    ExportJob,
    JobCancelled,
    JobFailed,
    JobStatus,
    JobTimeout,
    NotFound,
    PermissionDenied,
    PollPolicy,
    RequestNotSent,
    RetryPolicy,
    ServerError,
    StatusEndpoint,
    StatusEvent,
    StatusReport,
    SubmitEvent,
    SubmitInDoubt,
)

from ..support import Service, accepted, refused, report, row, spec

pytestmark = pytest.mark.anyio

ENDS = [report("LAUNCHING"), report("RUNNING"), report("FINISHED", result_count=7, input_size=99)]


async def test_awaiting_a_job_submits_it_waits_and_returns_the_result() -> None:
    """`await job` is the whole journey: one POST, looks until the end, a result."""
    service = Service(submit=accepted(), status=list(ENDS))
    async with service.client() as client:
        job = ExportJob(client, spec(queue_name="queue2"))
        result = await job
    assert (result.job_id, result.status) == ("job-1", JobStatus.FINISHED)
    assert (result.row_count, result.input_size, result.queue_name) == (7, 99, "queue2")
    assert result.data_path == "obs://home/data1/test"
    assert service.count("submit") == 1
    assert service.count("status") == 3


async def test_the_request_body_holds_all_fields_of_the_api_page() -> None:
    """Every field but a queue of None is sent, with the documented spelling and a real boolean."""
    service = Service(submit=accepted(), status=report("FINISHED"))
    async with service.client() as client:
        await client.export(
            spec(data_type="JSON", compress="GZip", export_mode="overwrite", with_column_header=1)
        )
    assert service.calls[0][3] == {
        "data_path": "obs://home/data1/test",
        "data_type": "json",
        "database_name": "db2",
        "table_name": "t2",
        "compress": "gzip",
        "export_mode": "Overwrite",
        "with_column_header": True,
    }


async def test_many_tasks_may_await_one_job_which_is_submitted_once() -> None:
    """A hundred awaiters cost one POST, and all get the same result."""
    service = Service(submit=accepted(), status=list(ENDS))
    results: list[Any] = []
    async with service.client() as client:
        job = ExportJob(client, spec())

        async def wait() -> None:
            results.append(await job)

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(wait)
    assert len({id(result.report) for result in results}) == 1
    assert len(results) == 100
    assert service.count("submit") == 1
    assert service.count("status") == 3


async def test_when_the_one_who_looks_is_cancelled_another_takes_over() -> None:
    """Losing one awaiter never costs the others their result."""
    service = Service(submit=accepted(), status=[*[report("RUNNING")] * 8, report("FINISHED")])
    async with service.client() as client:
        job = ExportJob(client, spec())
        await job.submit()

        async with anyio.create_task_group() as tasks:
            first = anyio.CancelScope()

            async def impatient() -> None:
                with first:
                    await job

            tasks.start_soon(impatient)
            await anyio.sleep(3)
            tasks.start_soon(anyio.sleep, 0)
            first.cancel()
            result = await job
    assert result.status is JobStatus.FINISHED


async def test_every_awaiter_hears_of_reports_in_its_own_task() -> None:
    """`on_report` of a follower is called too, and may be async."""
    service = Service(submit=accepted(), status=list(ENDS))
    heard: dict[str, list[str]] = {"leader": [], "follower": []}
    async with service.client() as client:
        job = ExportJob(client, spec())

        async def listen(name: str) -> None:
            async def on_report(seen: StatusReport) -> None:
                await anyio.lowlevel.checkpoint()
                heard[name].append(seen.status)

            await job.result(on_report=on_report)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen, "leader")
            tasks.start_soon(listen, "follower")
    assert heard["leader"] == ["LAUNCHING", "RUNNING", "FINISHED"]
    assert heard["follower"][-1] == "FINISHED"


@pytest.mark.parametrize("slow_one", ["first", "second"])
@pytest.mark.parametrize("own_source", [False, True])
async def test_a_slow_on_report_delays_nobody_else(slow_one: str, own_source: bool) -> None:
    """Looks go on while one awaiter thinks; it hears the latest report, and always the last."""
    looks = [*[report("RUNNING", result_count=number) for number in range(4)], report("FINISHED")]
    service = Service(submit=accepted(), status=looks)
    heard: dict[str, list[Any]] = {"first": [], "second": []}
    ended: dict[str, float] = {}
    async with service.client(polling=PollPolicy(wait=wait_fixed(10))) as client:
        source = StatusEndpoint(client) if own_source else None
        job = ExportJob(client, spec(), status_source=source)

        async def listen(name: str) -> None:
            async def on_report(seen: StatusReport) -> None:
                heard[name].append(seen.result_count if seen.status == "RUNNING" else "end")
                if name == slow_one:
                    await anyio.sleep(25)

            assert (await job.result(on_report=on_report)).status is JobStatus.FINISHED
            ended[name] = anyio.current_time()

        async with anyio.create_task_group() as tasks:
            for name in heard:
                tasks.start_soon(listen, name)
                await anyio.wait_all_tasks_blocked()
    quick = heard.pop("second" if slow_one == "first" else "first")
    slow = heard.pop(slow_one)
    assert quick == [0, 1, 2, 3, "end"]
    assert slow == [0, 2, "end"]
    assert service.times[-1] - service.times[1] == pytest.approx(40, abs=1)
    assert max(ended.values()) - min(ended.values()) == pytest.approx(35, abs=1)


async def test_the_pace_of_looks_outlives_the_one_who_looked_first() -> None:
    """Whoever goes on looking while another awaiter thinks keeps the policy's growing waits."""
    service = Service(submit=accepted(), status=[*[report("RUNNING")] * 6, report("FINISHED")])
    async with service.client() as client:
        polling = PollPolicy(wait_initial=1, wait_max=1000, wait_jitter=0)
        job = ExportJob(client, spec(), status_source=StatusEndpoint(client), polling=polling)

        async def think(seen: StatusReport) -> None:
            await anyio.sleep(1000)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(job.result, on_report=think))
            await anyio.wait_all_tasks_blocked()
            await job
    gaps = [later - sooner for sooner, later in pairwise(service.times[1:])]
    assert gaps == pytest.approx([1.5**look for look in range(6)], abs=0.1)


@pytest.mark.parametrize("own_source", [False, True])
async def test_a_wait_after_a_failed_on_report_looks_at_once(own_source: bool) -> None:
    """What a callback ended leaves no half-done pause behind for the next wait."""
    service = Service(status=[report("RUNNING"), report("FINISHED")])
    async with service.client(polling=PollPolicy(wait=wait_fixed(600))) as client:
        source = StatusEndpoint(client) if own_source else None
        job = client.job("job-1", status_source=source)
        with pytest.raises(ZeroDivisionError):
            await job.result(on_report=lambda seen: 1 / 0)
        await job
    assert service.times[1] - service.times[0] < 1


async def test_an_error_in_on_report_ends_only_that_wait() -> None:
    """Even an error that looks like the network's is the caller's own."""
    service = Service(submit=accepted(), status=list(ENDS))

    def fail(seen: StatusReport) -> None:
        raise ConnectionError("mine")

    async with service.client() as client:
        job = ExportJob(client, spec())
        with pytest.raises(ConnectionError, match="mine"):
            await job.result(on_report=fail)
        assert (await job).status is JobStatus.FINISHED


async def test_a_failed_job_raises_with_the_services_reason() -> None:
    """JobFailed carries job id, report, DLI code and the job itself."""
    message = "Please contact DLI service. DLI.0999: SparkException: boom"
    service = Service(submit=accepted(), status=report("FAILED", message=message))
    async with service.client() as client:
        with pytest.raises(JobFailed, match="SparkException") as caught:
            await client.export(spec())
    assert caught.value.job_id == "job-1"
    assert caught.value.error_code == "DLI.0999"
    assert caught.value.job is not None
    assert caught.value.report is not None
    assert caught.value.report.status is JobStatus.FAILED


async def test_a_job_cancelled_by_somebody_raises_job_cancelled() -> None:
    """CANCELLED ends the wait, whoever did it."""
    service = Service(submit=accepted(), status=report("CANCELLED"))
    async with service.client() as client:
        with pytest.raises(JobCancelled):
            await client.export(spec())


async def test_a_wait_that_times_out_is_not_a_failed_job() -> None:
    """JobTimeout is a TimeoutError, and its job can be awaited again."""
    service = Service(submit=accepted(), status=report("RUNNING"))
    async with service.client() as client:
        with pytest.raises(JobTimeout, match="job job-1 was not seen to end") as caught:
            await client.export(spec(), timeout=3600)
        assert isinstance(caught.value, TimeoutError)
        assert client.detached == [caught.value.job]
        service.set(status=report("FINISHED"))
        assert caught.value.job is not None
        assert (await caught.value.job).job_id == "job-1"
        assert client.detached == []
    assert service.count("submit") == 1


@pytest.mark.parametrize("own_source", [False, True])
async def test_a_timeout_tells_what_was_last_seen_and_when(own_source: bool) -> None:
    """The error claims no more than looks have shown, however the job is looked at."""
    service = Service(submit=accepted(), status=[report("LAUNCHING"), report("RUNNING")])
    polling = PollPolicy(initial_delay=0, wait=wait_fixed(10))
    async with service.client(polling=polling) as client:
        source = StatusEndpoint(client) if own_source else None
        job = ExportJob(client, spec(), status_source=source)
        with pytest.raises(JobTimeout) as caught:
            await job.result(timeout=47)
    words = "job job-1 was not seen to end within 47 s; its last known status is RUNNING, seen 7."
    assert str(caught.value).startswith(words)
    assert caught.value.report is job.report


async def test_a_timeout_before_the_first_look_does_not_guess() -> None:
    """A job of which nothing was heard is not said to run."""
    service = Service(submit=accepted(), status=report("RUNNING"))
    async with service.client() as client:
        with pytest.raises(JobTimeout, match="its status is not known yet"):
            await client.export(spec(), timeout=0.5)
    assert service.count("status") == 0


@pytest.mark.parametrize("own_source", [False, True])
async def test_a_timeout_of_zero_asks_nothing_and_gives_what_is_known(own_source: bool) -> None:
    """The result of a job that is known to have ended; else JobTimeout, and nothing is sent."""
    service = Service(status=report("FINISHED"))
    async with service.client() as client:
        source = StatusEndpoint(client) if own_source else None
        job = client.job("job-1", status_source=source)
        with pytest.raises(JobTimeout, match="not known yet"):
            await job.result(timeout=0)
        assert service.calls == []
        await job.status()
        assert (await job.result(timeout=0)).status is JobStatus.FINISHED
        with pytest.raises(JobTimeout, match="was not submitted within 0 s"):
            await client.export(spec(), timeout=0)
    assert len(service.calls) == 1


async def test_a_timeout_before_the_submit_says_what_kept_it() -> None:
    """Who gave up on a service that cannot be reached learns that, and not only the time."""
    service = Service(submit=httpx.ConnectError("connection refused"))
    async with service.client(retry=RetryPolicy(attempts=1000)) as client:
        with pytest.raises(JobTimeout, match=r"not submitted within 5 s: .*refused") as caught:
            await client.export(spec(), timeout=5)
    assert isinstance(caught.value.__cause__, RequestNotSent)


async def test_the_timeout_cuts_a_look_in_flight() -> None:
    """A status request that hangs does not stretch the wait."""

    async def hang(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(math.inf)
        raise AssertionError

    service = Service(submit=accepted(), status=hang)
    async with service.client(request_timeout=1000) as client:
        started = anyio.current_time()
        with pytest.raises(JobTimeout):
            await client.export(spec(), timeout=50)
        assert anyio.current_time() - started == pytest.approx(50, abs=1)


async def test_on_timeout_cancel_cancels_the_job_and_confirms() -> None:
    """The explicit wish cancels the job at the service; the error says what came of it."""
    service = Service(submit=accepted(), status=report("RUNNING"))

    def cancel(request: httpx.Request) -> httpx.Response:
        service.set(status=report("CANCELLED"))
        return httpx.Response(200, json={"is_success": True, "message": ""})

    service.set(cancel=cancel)
    async with service.client() as client:
        with pytest.raises(JobTimeout, match="cancelled") as caught:
            await client.export(spec(), timeout=10, on_timeout="cancel")
    assert caught.value.report is not None
    assert caught.value.report.status is JobStatus.CANCELLED


async def test_on_timeout_cancel_that_loses_the_race_gives_the_result() -> None:
    """A job that finished before the cancel reached it is a success."""
    service = Service(submit=accepted(), status=report("RUNNING"))

    def cancel(request: httpx.Request) -> httpx.Response:
        service.set(status=report("FINISHED", result_count=1))
        return refused(400, "DLI.0001", "job has ended")

    service.set(cancel=cancel)
    async with service.client() as client:
        result = await client.export(spec(), timeout=10, on_timeout="cancel")
    assert result.row_count == 1


async def test_on_timeout_cancel_that_finds_a_failed_job_raises_job_failed() -> None:
    """What the job came to by itself is told, not that the wait was over."""
    service = Service(submit=accepted(), status=report("RUNNING"))

    def cancel(request: httpx.Request) -> httpx.Response:
        service.set(status=report("FAILED", message="boom"))
        return refused(400, "DLI.0001", "job has ended")

    service.set(cancel=cancel)
    async with service.client() as client:
        with pytest.raises(JobFailed, match="boom"):
            await client.export(spec(), timeout=10, on_timeout="cancel")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(403, "DLI.0003", "not yours"), r"could not be cancelled \(.*not yours.*RUNNING"),
        (httpx.Response(200, json={"is_success": True}), "asked for and not confirmed.*RUNNING"),
    ],
)
async def test_on_timeout_cancel_that_does_not_work_says_so(
    answer: httpx.Response, words: str
) -> None:
    """The error of the wait tells what became of the wish, and how the job was seen last."""
    service = Service(submit=accepted(), status=report("RUNNING"), cancel=answer)
    async with service.client() as client:
        with pytest.raises(JobTimeout, match=words):
            await client.export(spec(), timeout=10, on_timeout="cancel")


async def test_a_cancel_whose_confirmation_cannot_be_looked_for_is_not_confirmed() -> None:
    """The cancel was accepted, and looks that keep failing afterwards do not hide that."""
    service = Service(
        cancel=httpx.Response(200, json={"is_success": True}), status=refused(503, "", "down")
    )
    async with service.client(polling=PollPolicy(give_up_after=5)) as client:
        assert await client.job("job-1").cancel() is CancelOutcome.NOT_CONFIRMED


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("CANCELLED", CancelOutcome.CANCELLED),
        ("FINISHED", CancelOutcome.ALREADY_ENDED),
        ("FAILED", CancelOutcome.ALREADY_ENDED),
        ("RUNNING", CancelOutcome.NOT_CONFIRMED),
    ],
)
@pytest.mark.parametrize("answer", [200, 400])
async def test_cancel_looks_what_became_of_the_job(
    end: str, outcome: CancelOutcome, answer: int
) -> None:
    """Whatever the service answers to a cancel, the job's state decides the outcome."""
    yes = httpx.Response(200, json={"is_success": "true", "message": ""})
    reply = yes if answer == 200 else refused(400, "DLI.0001", "the job has ended")
    service = Service(cancel=reply, status=report(end))
    async with service.client() as client:
        assert await client.job("job-1").cancel(timeout=30) is outcome
    assert service.count("cancel") == 1


@pytest.mark.parametrize("own_source", [False, True])
async def test_who_awaits_a_job_hears_at_once_what_others_saw(own_source: bool) -> None:
    """An end that `status()` or `cancel()` sees ends all waits for the job before another look."""
    yes = httpx.Response(200, json={"is_success": True, "message": ""})
    ends = {"status": "FINISHED", "cancel": "CANCELLED"}
    for look, end in ends.items():
        service = Service(submit=accepted(), status=[report("RUNNING"), report(end)], cancel=yes)
        async with service.client(polling=PollPolicy(wait=wait_fixed(600))) as client:
            source = StatusEndpoint(client) if own_source else None
            job = ExportJob(client, spec(), status_source=source)
            ended: list[JobStatus] = []

            async def wait(job: ExportJob, ended: list[JobStatus]) -> None:
                with suppress(JobCancelled):
                    await job
                assert job.report is not None
                ended.append(job.report.status)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait, job, ended)
                tasks.start_soon(wait, job, ended)
                await anyio.sleep(10)
                assert job.report is not None
                with anyio.fail_after(5):
                    await (job.status() if look == "status" else job.cancel())
                    await anyio.wait_all_tasks_blocked()
                assert ended == [end, end]
        assert service.count("status") == 2


async def test_a_cancel_that_is_not_allowed_raises() -> None:
    """Only a 400 means: look at the status."""
    service = Service(cancel=refused(403, "DLI.0003", "not yours"))
    async with service.client() as client:
        with pytest.raises(PermissionDenied):
            await client.job("job-1").cancel()


async def test_what_needs_a_job_id_says_that_there_is_none() -> None:
    """Status, cancel, detail and progress of an export that was not submitted send nothing."""
    service = Service()
    async with service.client() as client:
        job = ExportJob(client, spec())
        for call in (job.status, job.cancel, job.detail, job.progress):
            with pytest.raises(ConfigurationError, match="not submitted"):
                await call()
    assert service.calls == []


async def test_what_needs_a_job_id_does_not_deny_a_submit_in_doubt() -> None:
    """An export whose answer was lost is not said to be unsubmitted."""
    service = Service(submit=httpx.ReadTimeout("slow"), jobs=refused(403, "DLI.0003", "no"))
    async with service.client() as client:
        job = ExportJob(client, spec())
        with pytest.raises(SubmitInDoubt):
            await job
        with pytest.raises(ConfigurationError, match="may or may not have been accepted"):
            await job.cancel()


async def test_attaching_by_id_does_no_io_and_can_be_awaited() -> None:
    """`client.job(id)` is a handle; its first look comes at once and its result has no spec."""
    service = Service(status=list(ENDS))
    async with service.client() as client:
        job = client.job("job-1")
        assert service.calls == []
        started = anyio.current_time()
        result = await job
        assert service.times[0] == pytest.approx(started, abs=0.5)
    assert (result.spec, result.data_path, result.row_count) == (None, None, 7)


@pytest.mark.parametrize("job_id", ["", None, 5])
async def test_a_job_id_must_be_text(job_id: Any) -> None:
    """Nonsense is refused before anything is sent."""
    async with Service().client() as client:
        with pytest.raises(ConfigurationError, match="job_id"):
            client.job(job_id)


async def test_a_spec_must_be_a_spec() -> None:
    """A dictionary is refused with a word about what is wanted."""
    async with Service().client() as client:
        with pytest.raises(ConfigurationError, match="TableExport"):
            ExportJob(client, {"database_name": "db2"})  # type: ignore[arg-type]


async def test_a_token_resumes_a_submitted_job_without_a_second_submit() -> None:
    """The token holds id and spec as text, and no secret."""
    service = Service(submit=accepted(), status=report("FINISHED"))
    async with service.client() as client:
        job = await client.submit(spec())
        token = job.token
    assert "a-secret-token" not in token
    assert json.loads(token)["v"] == 2
    async with service.client(transport=httpx.MockTransport(service.handle)) as client:
        again = ExportJob.resume(client, token)
        assert again.job_id == "job-1"
        assert (await again).spec == spec()
    assert service.count("submit") == 1


async def test_a_token_of_an_unsubmitted_job_submits_it() -> None:
    """Nothing was sent, so the resumed job is new."""
    service = Service(submit=accepted(), status=report("FINISHED"))
    async with service.client() as client:
        job = ExportJob.resume(client, ExportJob(client, spec()).token)
        assert job.job_id is None
        await job
    assert service.count("submit") == 1


@pytest.mark.parametrize(
    "token",
    ["", "{}", "[]", "job-1", '{"v": 2}', '{"v": 1}', '{"v": 1, "job_id": 5}',
     '{"v": 1, "job_id": "a", "doubted_at": "x"}'],
)  # fmt: skip
async def test_what_is_no_token_is_refused(token: str) -> None:
    """A clear error, and nothing is sent."""
    async with Service().client() as client:
        with pytest.raises(ConfigurationError, match="token"):
            ExportJob.resume(client, token)


async def test_a_token_must_be_text() -> None:
    """Passing a method instead of its value is a TypeError that says so."""
    async with Service().client() as client:
        with pytest.raises(TypeError, match=r"ExportJob\.token"):
            ExportJob.resume(client, client.job)  # type: ignore[arg-type]


async def test_a_plain_async_function_is_a_status_source() -> None:
    """The user's own endpoint is asked, with the user's own tenacity wait, and nothing else."""
    service = Service(submit=accepted())
    asked: list[tuple[str, float]] = []

    async def source(job_id: str) -> StatusReport:
        asked.append((job_id, anyio.current_time()))
        return StatusReport(job_id=job_id, status="FINISHED" if len(asked) >= 4 else "RUNNING")

    async with service.client() as client:
        polling = PollPolicy(initial_delay=0, wait=wait_fixed(7))
        job = ExportJob(client, spec(), status_source=source, polling=polling)
        result = await job
        assert (await job.status()).status is JobStatus.FINISHED
    assert result.status is JobStatus.FINISHED
    gaps = [later[1] - sooner[1] for sooner, later in pairwise(asked[:4])]
    assert gaps == pytest.approx([7, 7, 7], abs=0.5)
    assert [method for method, *_ in service.calls] == ["POST"]


async def test_a_client_wide_status_source_answers_for_its_jobs() -> None:
    """A `StatusSource` given to the client replaces the service's endpoint."""

    async def source(job_id: str) -> StatusReport:
        return StatusReport(job_id=job_id, status="FINISHED")

    service = Service(submit=accepted())
    async with service.client(status_source=source) as client:
        assert (await client.export(spec())).status is JobStatus.FINISHED
    assert service.count("status") == 0


async def test_a_status_endpoint_of_the_users_own_gateway() -> None:
    """`StatusEndpoint(client, path=...)` asks any path of the same shape, logged in alike."""
    service = Service(submit=accepted(), state=report("FINISHED"))
    async with service.client() as client:
        source = StatusEndpoint(client, "/gateway/{job_id}/state")
        await ExportJob(client, spec(), status_source=source)
    assert service.calls[-1][:2] == ("GET", "/gateway/job-1/state")


@pytest.mark.parametrize("path", ["gateway/{job_id}", "/gateway/state", "https://x/{job_id}"])
async def test_a_status_path_must_be_a_path_with_a_job_id(path: str) -> None:
    """Credentials never go to another host by a slip."""
    async with Service().client() as client:
        with pytest.raises(ConfigurationError, match="job_id"):
            StatusEndpoint(client, path)


async def test_a_status_source_must_return_a_report() -> None:
    """A dictionary ends the wait with a word about what is wanted."""

    async def source(job_id: str) -> Any:
        return {"status": "FINISHED"}

    async with Service().client() as client:
        job = ExportJob.attach(client, "job-1", status_source=source)
        with pytest.raises(ConfigurationError, match="StatusReport"):
            await job


async def test_a_status_source_may_know_the_job_by_another_name() -> None:
    """The job keeps its own id, and a source that is not async is refused by name."""

    async def source(job_id: str) -> StatusReport:
        return StatusReport(job_id="other", status="FINISHED")

    async with Service().client() as client:
        assert (await ExportJob.attach(client, "job-1", status_source=source)).job_id == "job-1"
        plain: Any = lambda job_id: StatusReport(job_id=job_id, status="FINISHED")  # noqa: E731
        with pytest.raises(ConfigurationError, match="async def"):
            await ExportJob.attach(client, "job-1", status_source=plain)


UNKNOWN_JOB = refused(400, "DLI.0002", "There is no job of that name")
NOISE = [
    UNKNOWN_JOB,
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("dropped"),
    refused(408, "", "timeout"),
    refused(429, "APIGW.0308", "throttled"),
    refused(500, "DLI.0999", "oops"),
    refused(400, "DLI.0999", "oops"),
    refused(400, "DLI.0012", "busy"),
    httpx.Response(502, text="<html>Bad Gateway</html>"),
    httpx.Response(200, text='{"is_success": true, "job_id": "job-1", "sta'),
]


async def test_polling_survives_noise() -> None:
    """No answer, throttling, server trouble, broken JSON and a job too new to be known pass."""
    service = Service(submit=accepted(), status=[*NOISE, report("RUNNING"), report("FINISHED")])
    async with service.client() as client:
        result = await client.export(spec())
    assert result.status is JobStatus.FINISHED
    assert service.count("status") == len(NOISE) + 2


async def test_a_retry_after_raises_the_delay_of_the_next_look() -> None:
    """The service's wish is honoured."""
    busy = refused(429, "APIGW.0308", **{"Retry-After": "90"})
    service = Service(submit=accepted(), status=[busy, report("FINISHED")])
    async with service.client() as client:
        await client.export(spec())
    assert service.times[-1] - service.times[-2] >= 90


async def test_looks_that_keep_failing_end_the_wait_with_the_job_id() -> None:
    """After `give_up_after` the wait ends as a timeout: the job may still run."""
    service = Service(submit=accepted(), status=refused(503, "", "down"))
    async with service.client(polling=PollPolicy(give_up_after=60)) as client:
        started = anyio.current_time()
        with pytest.raises(JobTimeout, match="60 s") as caught:
            await client.export(spec())
        assert 60 <= anyio.current_time() - started < 90
    assert caught.value.job_id == "job-1"
    assert isinstance(caught.value.__cause__, ServerError)


async def test_one_good_look_makes_the_waiter_patient_again() -> None:
    """Only looks that *keep* failing count, however long the job takes."""
    bumpy = [refused(503, "", "down"), report("RUNNING")] * 30
    service = Service(submit=accepted(), status=[*bumpy, report("FINISHED")])
    async with service.client(polling=PollPolicy(give_up_after=20)) as client:
        assert (await client.export(spec())).status is JobStatus.FINISHED


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(401, "APIGW.0301", "no"), AuthenticationError),
        (refused(403, "DLI.0003", "no"), PermissionDenied),
    ],
)
async def test_facts_end_the_wait_at_once_with_the_job_id(
    answer: httpx.Response, kind: type[PermissionDenied]
) -> None:
    """A refused login or a missing right does not get better by polling."""
    service = Service(submit=accepted(), status=answer)
    async with service.client() as client:
        with pytest.raises(kind) as caught:
            await client.export(spec())
        assert client.detached[0].job_id == "job-1"
    assert caught.value.job_id == "job-1"
    assert service.count("status") == 1


async def test_a_job_that_stays_unknown_ends_the_wait_after_the_grace() -> None:
    """ "No such job" is not believed for 30 s, and then it is a fact."""
    service = Service(submit=accepted(), status=UNKNOWN_JOB)
    async with service.client() as client:
        started = anyio.current_time()
        with pytest.raises(NotFound) as caught:
            await client.export(spec())
        assert 30 <= anyio.current_time() - started < 60
        assert [job.job_id for job in client.detached] == ["job-1"]
    assert caught.value.job_id == "job-1"


@pytest.mark.parametrize("own_source", [False, True])
async def test_a_wrong_job_id_is_let_go_of(own_source: bool) -> None:
    """An id that the service never knew is told after the grace, or by one look, as no job."""
    service = Service(status=UNKNOWN_JOB)
    async with service.client() as client:
        source = StatusEndpoint(client) if own_source else None
        job = client.job("no-such-id", status_source=source)
        started = anyio.current_time()
        with pytest.raises(NotFound) as caught:
            await job
        assert 30 <= anyio.current_time() - started < 60
        assert client.detached == []
        with pytest.raises(JobTimeout):
            await job.result(timeout=0)
        with pytest.raises(NotFound):
            await job.status()
        assert client.detached == []
    assert caught.value.job_id == "no-such-id"


async def test_a_wrong_job_id_beside_others_costs_them_nothing() -> None:
    """Where lists are read for many jobs, a wrong id ends its own wait only."""
    rows = [row("job-1"), row("job-2", status="FINISHED")]
    listed = httpx.Response(200, json={"is_success": True, "job_count": 2, "jobs": rows})

    def status(request: httpx.Request) -> httpx.Response:
        return UNKNOWN_JOB if "wrong" in request.url.path else report("FINISHED")

    service = Service(jobs=listed, status=status)
    async with service.client() as client, anyio.create_task_group() as tasks:
        for job_id in ("job-1", "job-2"):
            tasks.start_soon(client.job(job_id).result)
        with anyio.fail_after(60), pytest.raises(NotFound):
            await client.job("wrong")


@pytest.mark.parametrize("own_source", [False, True])
async def test_a_job_that_was_just_seen_is_not_lost_by_one_answer(own_source: bool) -> None:
    """However long the wait has lasted, "no such job" is believed only when it stays so."""
    looks = [*[report("RUNNING")] * 20, UNKNOWN_JOB, report("RUNNING"), UNKNOWN_JOB]
    service = Service(submit=accepted(), status=looks)
    async with service.client(polling=PollPolicy(wait=wait_fixed(10))) as client:
        source = StatusEndpoint(client) if own_source else None
        started = anyio.current_time()
        with pytest.raises(NotFound):
            await ExportJob(client, spec(), status_source=source)
        assert anyio.current_time() - started > 230
    assert service.count("status") > 23


@pytest.mark.parametrize("own_source", [False, True])
async def test_an_id_that_is_known_to_be_right_keeps_its_grace(own_source: bool) -> None:
    """What this client submitted, a token of a submit, and a job that was seen are looked for."""
    service = Service(submit=accepted(), status=[UNKNOWN_JOB, report("FINISHED")])
    async with service.client() as client:
        source = StatusEndpoint(client) if own_source else None
        job_id = await ExportJob(client, spec()).submit()
        assert (await client.job(job_id, status_source=source)).status is JobStatus.FINISHED
        token = ExportJob(client, spec(table_name="other")).token
        token = json.dumps({**json.loads(token), "job_id": "job-2"})
        service.set(status=[UNKNOWN_JOB, report("FINISHED")])
        resumed = ExportJob.resume(client, token, status_source=source)
        assert (await resumed).status is JobStatus.FINISHED
        service.set(status=[report("RUNNING"), UNKNOWN_JOB, report("FINISHED")])
        seen = client.job("job-3", status_source=source)
        assert (await seen).status is JobStatus.FINISHED


async def test_an_unknown_status_is_not_terminal_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A word of the future does not end the wait, and `FINISH` means FINISHED."""
    looks = [report("SUSPENDED"), report("SUSPENDED"), report("SCALING"), report("FINISH")]
    service = Service(submit=accepted(), status=looks)
    async with service.client() as client:
        result = await client.export(spec())
    assert result.status is JobStatus.FINISHED
    assert result.report.raw_status == "FINISH"
    assert sum("SUSPENDED" in line for line in caplog.messages) == 1


async def test_a_status_with_a_broken_message_is_understood() -> None:
    """The documented success sample, with unescaped quotes in `message`, is a success."""
    sample = '{"is_success": true, "message": "{"error_code":"DLI.0999"}", "status": "FINISHED"}'
    service = Service(submit=accepted(), status=httpx.Response(200, text=sample))
    async with service.client() as client:
        result = await client.export(spec())
    assert result.status is JobStatus.FINISHED
    assert result.report.error_code == "DLI.0999"


async def test_closing_the_client_ends_its_waits_and_leaves_the_jobs() -> None:
    """A wait ends with `ClientClosed`; nothing is cancelled at the service."""
    service = Service(submit=accepted(), status=report("RUNNING"))
    caught: list[BaseException] = []
    async with anyio.create_task_group() as tasks:
        client = service.client()
        await client.__aenter__()

        async def wait() -> None:
            try:
                await client.export(spec())
            except ClientClosed as error:
                caught.append(error)

        tasks.start_soon(wait)
        await anyio.sleep(10)
        await client.__aexit__(None, None, None)
    assert len(caught) == 1
    assert service.count("cancel") == 0
    assert client.detached[0].job_id == "job-1"


async def test_a_client_says_whether_it_is_not_open_yet_or_closed() -> None:
    """Misuse is told apart, and nothing is sent."""
    service = Service()
    client = service.client()
    with pytest.raises(ClientClosed, match="not open yet"):
        await client.export(spec())
    async with client:
        pass
    with pytest.raises(ClientClosed, match="closed"):
        await client.export(spec())
    with pytest.raises(ClientClosed, match="opened once"):
        await client.__aenter__()
    assert service.calls == []


async def test_cancelling_the_awaiting_task_never_cancels_the_job() -> None:
    """The scope ends, the job runs on and is listed as detached."""
    service = Service(submit=accepted(), status=report("RUNNING"))
    async with service.client() as client:
        with anyio.move_on_after(100):
            await client.export(spec())
        assert [job.job_id for job in client.detached] == ["job-1"]
    assert service.count("cancel") == 0


async def test_events_tell_of_submit_states_and_end() -> None:
    """`on_event` gets frozen dataclasses, and its own errors never reach the client."""
    events: list[Any] = []

    def listen(event: Any) -> None:
        events.append(event)
        raise RuntimeError("a listener's own trouble")

    service = Service(submit=accepted(), status=list(ENDS))
    async with service.client(on_event=listen) as client:
        await client.export(spec())
    told = [event for event in events if isinstance(event, SubmitEvent | StatusEvent | EndEvent)]
    assert told == [
        SubmitEvent(spec=spec(), job_id="job-1"),
        StatusEvent(job_id="job-1", status=JobStatus.LAUNCHING, previous=None),
        StatusEvent(job_id="job-1", status=JobStatus.RUNNING, previous=JobStatus.LAUNCHING),
        StatusEvent(job_id="job-1", status=JobStatus.FINISHED, previous=JobStatus.RUNNING),
        EndEvent(job_id="job-1", status=JobStatus.FINISHED, error_code=None),
    ]


async def test_bad_arguments_of_result_are_named() -> None:
    """A negative timeout and an unknown wish are refused before anything is sent."""
    service = Service()
    async with service.client() as client:
        job = ExportJob(client, spec())
        for timeout in (-1, math.nan, "5"):
            with pytest.raises(ConfigurationError, match=f"timeout={timeout!r}: must be seconds"):
                await job.result(timeout=timeout)  # type: ignore[arg-type]
            with pytest.raises(ConfigurationError, match=f"timeout={timeout!r}: must be seconds"):
                await job.cancel(timeout=timeout)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="on_timeout='stop'"):
            await job.result(on_timeout="stop")  # type: ignore[arg-type]
    assert service.calls == []


async def test_a_timeout_before_anything_was_sent_says_so() -> None:
    """A client that could not even connect has submitted nothing."""
    service = Service(submit=httpx.ConnectError("refused"))
    async with service.client() as client:
        with pytest.raises(JobTimeout, match="was not submitted") as caught:
            await client.export(spec(), timeout=0.001)
        assert caught.value.job_id is None
        assert client.detached == []
        with pytest.raises(RequestNotSent):
            await client.export(spec())


async def test_detail_progress_and_status_are_single_looks() -> None:
    """Each is one request with typed fields."""
    service = Service(
        status=report("RUNNING", duration=1500),
        detail=httpx.Response(200, json={"is_success": "true", "data_path": "obs://b/a"}),
        progress=httpx.Response(200, json={"is_success": True, "status": "RUNNING", "progress": 1}),
    )
    async with service.client() as client:
        job = client.job("job-1")
        assert (await job.status()).duration == timedelta(seconds=1.5)
        assert (await job.detail()).data_path == "obs://b/a"
        assert (await job.progress()).progress == 1.0
        assert "RUNNING" in repr(job)
        assert "job-1" in repr(job)
    assert len(service.calls) == 3
    assert service.calls[-1][1].startswith("/v1/")


async def test_limits_that_mean_nothing_are_told_before_the_precheck() -> None:
    """Nothing is asked of the service for an export that could not be awaited anyway."""
    service = Service()
    async with service.client() as client:
        with pytest.raises(ConfigurationError, match="on_timeout='explode'"):
            await client.export(spec(), precheck=True, on_timeout="explode")  # type: ignore[arg-type]
    assert service.calls == []
