"""Doubts that change hands: two handles of one export, a second POST, odd lists, slow notes."""

from __future__ import annotations

import gc
import json
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from dli_async import ExportJob, JournalError, RequestNotSent, SubmitInDoubt, SubmitPolicy
from dli_async._export.departure import Departure

from ..support import EPOCH, Service, accepted, dated, refused, report, row, spec

pytestmark = pytest.mark.anyio

LOST = httpx.ReadError("reset")
UNSENT = httpx.ConnectError("refused")
OURS = dated(EPOCH, data_path=spec().data_path)


def shown(*rows: dict[str, Any], count: int | None = None, ahead: float = 1.0) -> httpx.Response:
    """A list whose `Date` is so many seconds after `EPOCH`."""
    moment = EPOCH + timedelta(seconds=ahead)
    return dated(moment, jobs=list(rows), job_count=len(rows) if count is None else count)


@pytest.fixture(autouse=True)
def clock_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock shows `EPOCH` when a test begins."""
    started: list[float] = []

    def clock() -> float:
        now = anyio.current_time()
        if not started:
            started.append(now)
        return EPOCH.timestamp() + now - started[0]

    monkeypatch.setattr("dli_async._export.departure.wall_clock", clock)


async def token_in_doubt(service: Service) -> str:
    """The token of an export whose only POST was lost, from a process that is gone."""
    service.set(submit=LOST, jobs=refused(403, "DLI.0003"))
    async with service.client() as client:
        with pytest.raises(SubmitInDoubt) as caught:
            await client.submit(spec())
        assert caught.value.job is not None
        return caught.value.job.token


async def test_two_who_resume_one_token_at_once_find_one_job() -> None:
    """The second hears of what the first found, and posts nothing."""
    service = Service(detail=OURS)
    token = await token_in_doubt(service)
    service.set(submit=accepted("twice"), jobs=shown(row("job-7")))
    async with service.client() as client:
        jobs = [ExportJob.resume(client, token) for _ in range(2)]
        async with anyio.create_task_group() as tasks:
            for job in jobs:
                tasks.start_soon(job.submit)
    assert [job.job_id for job in jobs] == ["job-7", "job-7"]
    assert service.count("submit") == 1


async def test_a_token_taken_in_mid_post_is_remembered_after_its_job_was_let_go() -> None:
    """Who kept only the token of then gets the job, though nobody holds its handle any more."""

    async def slow(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(5)
        return accepted()

    service = Service(submit=slow, status=report("FINISHED"), jobs=shown(row("job-1")), detail=OURS)
    async with service.client() as client:
        job = ExportJob(client, spec())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(job.result)
            await anyio.sleep(1)
            token = job.token
        del job
        gc.collect()
        assert "job_id" not in json.loads(token)
        assert await ExportJob.resume(client, token).submit() == "job-1"
    assert service.count("submit") == 1


class Notes:
    """A record that may refuse, or take long."""

    def __init__(self, *delays: float, refuses: bool = False, forgets: bool = False) -> None:
        self.delays = list(delays)
        self.refuses = refuses
        self.forgets = forgets
        self.departures: list[Departure] = []
        self.jobs: list[str] = []

    async def before_post(self, departure: Departure) -> None:
        self.departures.append(departure)
        await anyio.sleep(self.delays.pop(0) if self.delays else 0.0)
        if self.refuses:
            raise JournalError("disk full")

    async def accepted(self, job_id: str) -> None:
        self.jobs.append(job_id)
        if self.forgets:
            raise JournalError("disk full")


async def test_nothing_is_posted_when_the_note_fails() -> None:
    """What could not be noted did not leave, and is not in doubt."""
    service = Service(submit=accepted())
    async with service.client() as client:
        job = ExportJob(client, spec(), record=Notes(refuses=True))
        with pytest.raises(JournalError):
            await job.submit()
        assert not job.in_doubt
    assert service.count("submit") == 0


async def test_nothing_is_posted_when_the_caller_leaves_during_the_note() -> None:
    """The note may have been written; the POST has not left."""
    service = Service(submit=accepted())
    async with service.client() as client:
        job = ExportJob(client, spec(), record=Notes(10))
        with anyio.move_on_after(1):
            await job.submit()
        assert not job.in_doubt
        await anyio.sleep(100)
    assert service.count("submit") == 0


async def test_a_departure_is_noted_anew_after_a_note_that_took_long() -> None:
    """A process that was stopped in it has perhaps been overtaken: the note tells."""
    service = Service(submit=accepted())
    notes = Notes(72)
    async with service.client() as client:
        await ExportJob(client, spec(), record=notes).submit()
    assert len(notes.departures) == 2
    assert service.count("submit") == 1


async def test_a_post_whose_notes_all_take_long_does_not_leave() -> None:
    """No note that took longer than another worker's patience is good enough."""
    service = Service(submit=accepted())
    async with service.client() as client:
        job = ExportJob(client, spec(), record=Notes(*[72.0] * 100))
        with pytest.raises(RequestNotSent, match="took too long"):
            await job.submit()
    assert service.count("submit") == 0


async def test_a_doubt_lasts_until_the_next_post_tells_more() -> None:
    """After a grace without a trace the second POST never left: whoever goes on looks first."""
    service = Service(submit=[LOST, UNSENT], jobs=shown(), detail=OURS)
    async with service.client(submit=SubmitPolicy(grace=2)) as client:
        job = ExportJob(client, spec())
        with pytest.raises(RequestNotSent):
            await job.submit()
        assert job.in_doubt
        token = job.token
        assert client.detached == [job]
    service.set(submit=accepted("twice"), jobs=shown(row("job-7")))
    async with service.client() as client:
        assert await ExportJob.resume(client, token).submit() == "job-7"


async def test_a_doubt_from_elsewhere_is_heeded_after_a_post_that_was_throttled() -> None:
    """What this client posted made nothing; what another one posted since may have."""
    service = Service(submit=refused(429, "APIGW.0308"), jobs=shown(row("job-7")), detail=OURS)
    async with service.client() as one:
        first = ExportJob(one, spec())
        token = first.token
        with pytest.raises(Exception, match="0308"):
            await first.submit()
        fields = json.loads(token)
        wall = EPOCH.timestamp()
        doubt = {"earliest": {"wall": wall}, "latest": {"wall": wall}}
        again = ExportJob.resume(one, json.dumps(fields | {"departure": doubt}))
        assert await again.submit() == "job-7"


async def test_a_job_whose_record_failed_is_not_posted_again() -> None:
    """An id that could not be noted is known to whoever tries again in this client."""
    service = Service(submit=accepted(), jobs=shown(row("job-1")), detail=OURS)
    async with service.client() as client:
        forgetful, good = Notes(forgets=True), Notes()
        first = ExportJob(client, spec(), record=forgetful)
        token = first.token
        with pytest.raises(JournalError):
            await first.submit()
        again = ExportJob.resume(client, token, record=good)
        assert await again.submit() == "job-1"
    assert good.jobs == ["job-1"]
    assert service.count("submit") == 1


@pytest.mark.parametrize("ahead", [-3_600.0, 3_600.0, 86_400.0 * 365])
async def test_a_date_that_is_a_lie_does_not_hide_a_job(ahead: float) -> None:
    """Where the service's clock contradicts this machine's, the look is widened by both."""
    service = Service(submit=[LOST, accepted("twice")], detail=OURS)
    service.set(jobs=shown(row("job-7", age=0.5), ahead=ahead))
    async with service.client() as client:
        assert (await client.submit(spec())).job_id == "job-7"


async def test_a_list_without_a_date_does_not_hide_a_job() -> None:
    """The clock of this machine is all that there is."""
    body = {"is_success": True, "jobs": [row("job-7", age=-30)], "job_count": 1}
    service = Service(submit=[LOST, accepted("twice")], detail=OURS)
    service.set(jobs=httpx.Response(200, json=body))
    async with service.client() as client:
        assert (await client.submit(spec())).job_id == "job-7"


async def test_pages_smaller_than_asked_for_do_not_hide_a_job() -> None:
    """A newest page that is not full is no proof that there are no others."""
    rows = [row(f"other-{n}", table_name="t9", age=n / 100) for n in range(70)]
    everything = sorted([*rows, row("job-7", age=0.001)], key=lambda one: int(one["start_time"]))

    def pages(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        order = everything if params["order"] == "start_time_asc" else everything[::-1]
        page = int(params["current-page"])
        return shown(*order[50 * page - 50 : 50 * page], count=len(everything))

    service = Service(submit=[LOST, accepted("twice")], jobs=pages, detail=OURS)
    async with service.client() as client:
        assert (await client.submit(spec())).job_id == "job-7"


async def test_a_list_that_breaks_off_is_no_proof_of_absence() -> None:
    """A later page that shows nothing of what is counted is a look that failed."""
    rows = [row(f"other-{n}", table_name="t9") for n in range(100)]

    def pages(request: httpx.Request) -> httpx.Response:
        first = request.url.params["current-page"] == "1"
        return shown(*(rows if first else ()), count=150)

    service = Service(submit=[LOST, accepted("twice")], jobs=pages, detail=OURS)
    async with service.client(submit=SubmitPolicy(grace=2)) as client:
        with pytest.raises(SubmitInDoubt, match="looking for its job failed"):
            await client.submit(spec())
    assert service.count("submit") == 1
