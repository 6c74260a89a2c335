"""Submitted once: what each outcome of a POST means, and how a lost answer is settled."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from dli_async import (
    AdoptionEvent,
    AlreadyExists,
    ApiError,
    AuthenticationError,
    ExportAccepted,
    ExportJob,
    InvalidResponse,
    JobTimeout,
    NotFound,
    PermissionDenied,
    RateLimited,
    RequestNotSent,
    ResponseLost,
    ServerError,
    SubmitInDoubt,
    SubmitPolicy,
)
from dli_async._export.submit.submission import Verdict, judge

from ..support import EPOCH, Service, accepted, dated, refused, report, row, spec

pytestmark = pytest.mark.anyio

LOST: list[Any] = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("dropped"),
    httpx.WriteError("broken pipe"),
    refused(408, "", "timeout"),
    refused(500, "DLI.0999", "oops"),
    refused(400, "DLI.0999", "oops"),
    refused(400, "DLI.0019", "timeout"),
    httpx.Response(502, text="<html>Bad Gateway</html>"),
    refused(504, "APIGW.0201", "backend timeout"),
    httpx.Response(200, text='{"is_success": true, "job_id": "job'),
    httpx.Response(200, json={"is_success": True, "message": "no id"}),
    httpx.Response(200, json={"is_success": False, "message": "try again"}),
]


def api_error(kind: type[ApiError], status: int = 400, code: str = "DLI.1") -> ApiError:
    return kind("no", status_code=status, error_code=code)


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (ExportAccepted(job_id="a"), Verdict.ACCEPTED),
        (RequestNotSent("refused"), Verdict.NOT_DONE),
        (api_error(RateLimited, 429), Verdict.NOT_DONE),
        (ResponseLost("reset"), Verdict.DOUBT),
        (InvalidResponse("?", status_code=200), Verdict.DOUBT),
        (api_error(ServerError, 408), Verdict.DOUBT),
        (api_error(ServerError, 400, "DLI.0999"), Verdict.DOUBT),
        (ApiError("try again", status_code=200), Verdict.DOUBT),
        (api_error(ApiError, 200, "DLI.0001"), Verdict.REFUSED),
        (api_error(ApiError, 400, "DLI.0001"), Verdict.REFUSED),
        (api_error(NotFound), Verdict.REFUSED),
        (api_error(AuthenticationError, 401), Verdict.REFUSED),
        (api_error(AlreadyExists), Verdict.REFUSED),
    ],
)
def test_every_outcome_has_one_verdict(outcome: Any, verdict: Verdict) -> None:
    """The table of the module's docstring, line by line."""
    assert judge(outcome, doubted_before=False) is verdict


def test_already_exists_after_a_doubt_is_evidence_that_it_landed() -> None:
    """Our own lost POST may be what made the folder."""
    assert judge(api_error(AlreadyExists), doubted_before=True) is Verdict.DOUBT


def listing(*rows: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    """A job list whose server clock runs with the test's, from `EPOCH` on."""
    zero = anyio.current_time()

    def answer(request: httpx.Request) -> httpx.Response:
        now = EPOCH + timedelta(seconds=anyio.current_time() - zero)
        return dated(now, jobs=list(rows), job_count=len(rows))

    return answer


def details(**paths: str) -> Callable[[httpx.Request], httpx.Response]:
    """The details of jobs, by id with `_` for `-`."""

    def answer(request: httpx.Request) -> httpx.Response:
        job_id = request.url.path.split("/")[-2]
        path = paths[job_id.replace("-", "_")]
        return httpx.Response(200, json={"is_success": True, "job_id": job_id, "data_path": path})

    return answer


OURS = "obs://home/data1/test"


@pytest.mark.parametrize("lost", LOST)
async def test_a_lost_answer_is_settled_by_looking(lost: Any) -> None:
    """Whatever the doubt, the job that landed is found by table and folder, and adopted."""
    events: list[Any] = []
    service = Service(
        submit=lost,
        jobs=listing(row("job-7"), row("other", table_name="t9")),
        detail=details(job_7="s3a://home/data1/test/"),
        status=report("FINISHED", "job-7"),
    )
    async with service.client(on_event=events.append) as client:
        job = ExportJob(client, spec())
        assert (await job).job_id == "job-7"
        assert not job.in_doubt
    assert service.count("submit") == 1
    assert service.count("detail") == 1
    assert AdoptionEvent(spec=spec(), job_id="job-7") in events


async def test_a_submit_without_trouble_costs_exactly_one_request() -> None:
    """No look, no extra call."""
    service = Service(submit=accepted())
    async with service.client() as client:
        await client.submit(spec())
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "harmless", [httpx.ConnectError("refused"), refused(429, "APIGW.0308", "throttled")]
)
async def test_a_post_that_did_nothing_is_repeated_without_a_look(harmless: Any) -> None:
    """Never left, or throttled before DLI: posting again is safe."""
    service = Service(submit=[harmless, harmless, accepted()])
    async with service.client() as client:
        assert (await client.submit(spec())).job_id == "job-1"
    assert service.count("submit") == 3
    assert service.count("jobs") == 0


async def test_a_definite_refusal_is_raised_and_never_repeated() -> None:
    """A 400 that says why is final."""
    service = Service(submit=refused(400, "DLI.0002", "There is no table named t2"))
    async with service.client() as client:
        with pytest.raises(NotFound, match="no table"):
            await client.submit(spec())
        assert client.detached == []
    assert len(service.calls) == 1


async def test_looks_go_on_through_the_grace_window_before_another_post() -> None:
    """Lists lag: the job that shows up late is adopted, not made twice."""
    empty = listing()
    service = Service(submit=[httpx.ReadError("reset"), accepted("second")])
    async with service.client() as client:

        def late(request: httpx.Request) -> httpx.Response:
            shown = service.times[-1] - service.times[0] > 12
            return (listing(row("job-7")) if shown else empty)(request)

        service.set(jobs=late, detail=details(job_7=OURS))
        job = await client.submit(spec())
    assert job.job_id == "job-7"
    assert service.count("submit") == 1
    assert service.count("jobs") > 3


async def test_after_a_grace_without_a_trace_the_export_is_posted_again() -> None:
    """A POST that provably made nothing within 30 s is repeated."""
    service = Service(submit=[httpx.ReadError("reset"), accepted("second")])
    async with service.client() as client:
        service.set(jobs=listing())
        job = await client.submit(spec())
    assert job.job_id == "second"
    assert service.count("submit") == 2
    assert service.times[-1] - service.times[0] >= 30


async def test_after_the_last_attempt_the_doubt_is_raised() -> None:
    """`SubmitPolicy.attempts` bounds the POSTs; the error carries spec and job."""
    service = Service(submit=httpx.ReadError("reset"))
    async with service.client(submit=SubmitPolicy(attempts=2, grace=4)) as client:
        service.set(jobs=listing())
        with pytest.raises(SubmitInDoubt, match="no job of it was found") as caught:
            await client.submit(spec())
        assert client.detached == [caught.value.job]
    assert service.count("submit") == 2
    assert caught.value.spec == spec()
    assert caught.value.found == ()
    assert "departure" in json.loads(client.detached[0].token)


async def test_when_looking_is_impossible_nothing_is_posted_again() -> None:
    """Without a look there is no safe second POST."""
    service = Service(submit=httpx.ReadError("reset"), jobs=refused(403, "DLI.0003", "not yours"))
    async with service.client() as client:
        with pytest.raises(SubmitInDoubt, match="looking for its job failed") as caught:
            await client.submit(spec())
    assert service.count("submit") == 1
    assert isinstance(caught.value.__cause__, ApiError)


async def test_a_doubt_can_be_settled_by_awaiting_the_job_again() -> None:
    """The job that is in doubt looks first, and so does its token in another process."""
    service = Service(submit=httpx.ReadError("reset"), jobs=refused(403, "DLI.0003", "no"))
    async with service.client() as client:
        with pytest.raises(SubmitInDoubt) as caught:
            await client.submit(spec())
        job = caught.value.job
        assert job is not None
        service.set(
            jobs=listing(row("job-7")), detail=details(job_7=OURS), status=report("FINISHED")
        )
        resumed = ExportJob.resume(service.client(), job.token)
        assert resumed.in_doubt
        assert (await job).job_id == "job-1"
        assert job.job_id == "job-7"
    async with service.client() as other:
        resumed = ExportJob.resume(other, caught.value.job.token if caught.value.job else "")
        assert await resumed.submit() == "job-7"
    assert service.count("submit") == 1


async def test_a_token_in_doubt_looks_before_it_posts() -> None:
    """A process that died in mid-POST leaves a token from which the job is found."""
    service = Service(jobs=listing(row("job-7")), detail=details(job_7=OURS))
    token = ExportJob(service.client(), spec()).token
    async with service.client() as client:
        fields = json.loads(token) | {"doubted_at": 4e9}
        resumed = ExportJob.resume(client, json.dumps(fields))
        assert await resumed.submit() == "job-7"
    assert service.count("submit") == 0


async def test_jobs_of_other_exports_of_this_client_are_never_taken() -> None:
    """A job that was accepted for one export is no candidate for another."""
    service = Service(
        submit=[accepted("job-7"), httpx.ReadError("reset"), accepted("job-8")],
        detail=details(job_7=OURS),
    )
    async with service.client() as client:
        service.set(jobs=listing(row("job-7")))
        assert (await client.submit(spec())).job_id == "job-7"
        assert (await client.submit(spec())).job_id == "job-8"
    assert service.count("submit") == 3


async def test_two_exports_of_one_table_in_doubt_find_their_own_jobs() -> None:
    """The folder tells them apart."""
    paths = {"job_a": "obs://home/a", "job_b": "obs://home/b"}
    service = Service(submit=httpx.ReadError("reset"), detail=details(**paths))
    found: dict[str, str] = {}
    async with service.client() as client:
        service.set(jobs=listing(row("job-a"), row("job-b")))

        async def submit(path: str) -> None:
            job = await client.submit(spec(data_path=path))
            found[path] = str(job.job_id)

        async with anyio.create_task_group() as tasks:
            for path in paths.values():
                tasks.start_soon(submit, path)
    assert found == {"obs://home/a": "job-a", "obs://home/b": "job-b"}


async def test_jobs_that_started_before_the_attempt_are_not_taken() -> None:
    """Yesterday's export of the same table to the same folder is another one.

    Clocks of gateway and service may be a minute apart.
    """
    service = Service(submit=[httpx.ReadError("reset"), accepted("new")], detail=details(old=OURS))
    async with service.client() as client:
        service.set(jobs=listing(row("old", age=-90)))
        assert (await client.submit(spec())).job_id == "new"
    assert service.count("detail") == 0


async def test_the_only_live_job_among_several_is_taken() -> None:
    """An ended job of somebody else does not hide ours."""
    service = Service(submit=httpx.ReadError("reset"), detail=details(dead=OURS, live=OURS))
    async with service.client() as client:
        service.set(jobs=listing(row("dead", status="FAILED"), row("live")))
        assert (await client.submit(spec())).job_id == "live"


async def test_several_live_jobs_are_ambiguous() -> None:
    """Guessing is worse than asking: the error lists what was found."""
    service = Service(submit=httpx.ReadError("reset"), detail=details(one=OURS, two=OURS))
    async with service.client() as client:
        service.set(jobs=listing(row("one"), row("two")))
        with pytest.raises(SubmitInDoubt, match="2 jobs could be it") as caught:
            await client.submit(spec())
    assert [found.job_id for found in caught.value.found] == ["one", "two"]


async def test_a_look_reads_all_pages_since_the_attempt() -> None:
    """A busy project fills the newest page with other people's jobs."""
    crowd = [row(f"other-{n}", table_name="t9") for n in range(250)]
    service = Service(submit=httpx.ReadError("reset"), detail=details(ours=OURS))
    async with service.client() as client:

        def pages(request: httpx.Request) -> httpx.Response:
            rows = [*crowd, row("ours")]
            if "start" not in request.url.params:
                return listing(*rows[:100])(request)
            page = int(request.url.params["current-page"])
            return listing(*rows[100 * page - 100 : 100 * page])(request)

        service.set(jobs=pages)
        assert (await client.submit(spec())).job_id == "ours"


async def test_rows_without_table_names_are_asked_for_their_detail() -> None:
    """Names are optional in the list; the folder decides."""
    nameless = row("job-7", database_name=None, table_name=None)
    service = Service(submit=httpx.ReadError("reset"), detail=details(job_7=OURS))
    async with service.client() as client:
        service.set(jobs=listing(nameless))
        assert (await client.submit(spec())).job_id == "job-7"


async def test_already_exists_after_a_lost_post_adopts_the_job() -> None:
    """The second POST's refusal is evidence; the job is looked for and never posted again."""
    exists = refused(400, "DLI.0006", f"path {OURS} already exists")
    service = Service(submit=[httpx.ReadError("reset"), exists], detail=details(job_7=OURS))
    async with service.client(submit=SubmitPolicy(grace=1)) as client:

        def late(request: httpx.Request) -> httpx.Response:
            rows = [row("job-7")] if service.count("submit") == 2 else []
            return listing(*rows)(request)

        service.set(jobs=late)
        assert (await client.submit(spec())).job_id == "job-7"


async def test_already_exists_without_a_trace_is_a_doubt() -> None:
    """Something made the folder, perhaps our lost POST: not posted a third time."""
    exists = refused(400, "DLI.0006", f"path {OURS} already exists")
    service = Service(submit=[httpx.ReadError("reset"), exists])
    async with service.client(submit=SubmitPolicy(grace=1, attempts=5)) as client:
        service.set(jobs=listing())
        with pytest.raises(SubmitInDoubt):
            await client.submit(spec())
    assert service.count("submit") == 2


async def test_already_exists_at_once_is_a_refusal() -> None:
    """Without a doubt of our own the folder is somebody else's."""
    exists = refused(400, "DLI.0006", f"path {OURS} already exists")
    service = Service(submit=exists)
    async with service.client() as client:
        with pytest.raises(AlreadyExists):
            await client.submit(spec())


def slow_accept(seconds: float) -> Callable[[httpx.Request], Any]:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(seconds)
        return accepted()

    return answer


async def test_a_post_that_has_left_runs_to_its_end_when_its_caller_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The id stands on the job and in `client.detached`, and a WARNING carries id and token."""
    service = Service(submit=slow_accept(10), status=report("FINISHED"))
    async with service.client() as client:
        job = ExportJob(client, spec())
        with anyio.move_on_after(5):
            await job
        assert job.job_id is None
        assert job.in_doubt
        await anyio.sleep(6)
        assert job.job_id == "job-1"
        assert client.detached == [job]
        warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert any("job-1" in line and job.token in line for line in warned)
        assert (await job).job_id == "job-1"
        assert client.detached == []
    assert service.count("submit") == 1


async def test_another_awaiter_gets_the_id_of_a_post_whose_caller_was_cancelled() -> None:
    """The POST in flight is waited for, never repeated."""
    service = Service(submit=slow_accept(10), status=report("FINISHED"))
    async with service.client() as client:
        job = ExportJob(client, spec())
        with anyio.move_on_after(5):
            await job
        assert (await job).job_id == "job-1"
    assert service.count("submit") == 1


async def test_a_token_resumed_in_mid_post_joins_the_post() -> None:
    """In the same client a token never leads to a second POST while the first is under way."""
    service = Service(submit=slow_accept(10), status=report("FINISHED"))
    async with service.client() as client:
        job = ExportJob(client, spec())
        with anyio.move_on_after(5):
            await job
        again = ExportJob.resume(client, job.token)
        assert (await again).job_id == "job-1"
        assert client.detached == []
    assert service.count("submit") == 1
    assert service.count("jobs") == 0


async def test_a_token_taken_before_the_submit_joins_it_too() -> None:
    """However early a token was taken, its export is submitted once."""
    service = Service(submit=slow_accept(10), status=report("FINISHED"))
    async with service.client() as client:
        job = ExportJob(client, spec())
        again = ExportJob.resume(client, job.token)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(job.result)
            tasks.start_soon(again.result)
    assert service.count("submit") == 1


async def test_closing_the_client_waits_for_a_post_that_has_left() -> None:
    """The id is learned even when the client closes in mid-POST."""
    service = Service(submit=slow_accept(10))
    async with service.client() as client:
        job = ExportJob(client, spec())
        with anyio.move_on_after(5):
            await job
    assert job.job_id == "job-1"
    assert client.detached == [job]


async def test_a_timeout_in_mid_post_waits_for_the_id() -> None:
    """The wait overruns by at most one `request_timeout`, and then carries the id."""
    service = Service(submit=slow_accept(10))
    async with service.client() as client:
        with pytest.raises(JobTimeout) as caught:
            await client.export(spec(), timeout=5)
    assert caught.value.job_id == "job-1"


async def test_a_timeout_in_mid_post_carries_the_doubt() -> None:
    """A POST that hangs until `request_timeout` leaves a doubt, which the error says."""
    service = Service(submit=slow_accept(1000))
    async with service.client(request_timeout=20) as client:
        started = anyio.current_time()
        with pytest.raises(SubmitInDoubt) as caught:
            await client.export(spec(), timeout=5)
        assert anyio.current_time() - started < 5 + 20 + 1
    assert caught.value.job is not None
    assert caught.value.job.in_doubt


async def test_a_post_that_has_not_left_is_not_sent_after_a_cancel() -> None:
    """Waiting for a slot can be cancelled: nothing is posted for nobody."""
    service = Service(submit=slow_accept(10))
    async with service.client(max_connections=1) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.submit, spec(data_path="obs://home/first"))
            await anyio.sleep(1)
            with anyio.move_on_after(1):
                await client.submit(spec())
        assert client.detached == []
    assert service.count("submit") == 1


async def test_equal_exports_are_submitted_one_after_the_other() -> None:
    """A look can never take a job whose own POST is under way."""
    service = Service(submit=[slow_accept(5), slow_accept(5)])
    async with service.client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.submit, spec())
        tasks.start_soon(client.submit, spec())
    assert service.times[1] - service.times[0] >= 5


async def test_a_refusal_tells_nothing_of_an_earlier_post_in_doubt() -> None:
    """The second POST was refused; the first may have landed, and is looked for again."""
    lost = httpx.ReadError("reset")
    service = Service(submit=[lost, refused(403, "DLI.0003")], detail=details(job_7=OURS))
    async with service.client(submit=SubmitPolicy(grace=4)) as client:
        service.set(jobs=listing())
        job = ExportJob(client, spec())
        with pytest.raises(PermissionDenied):
            await job.submit()
        assert job.in_doubt
        service.set(jobs=listing(row("job-7")))
        assert await job.submit() == "job-7"
    assert service.count("submit") == 2
