"""The shared watch: what it costs, how soon it knows, and that no wait is lost."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import anyio.abc
import pytest

from benchmarks._clock import VirtualLoop
from dli_async import (
    ApiError,
    AuthenticationError,
    ClientClosed,
    DliError,
    InvalidResponse,
    JobStatus,
    JobTimeout,
    NotFound,
    PermissionDenied,
    PollPolicy,
    ServerError,
    StatusReport,
)
from dli_async._export.watch.shared import shared_watch
from dli_async._http.api import JobPage
from tests.fake_lists import Job, Service, lives

pytestmark = pytest.mark.anyio

VIRTUAL_ASYNCIO = ("asyncio", {"loop_factory": VirtualLoop})


class Crowd:
    """Waiters of one watch, and how late each of them knew."""

    def __init__(self, service: Service, policy: PollPolicy | None = None) -> None:
        self.service = service
        self.watch = shared_watch(lambda: service.api, policy or PollPolicy())
        self.delays: dict[str, float] = {}
        self.errors: dict[str, Exception] = {}
        self.reports: dict[str, list[StatusReport]] = {}

    async def wait(self, job_id: str, *, fresh: bool = True) -> None:
        heard = self.reports.setdefault(job_id, [])

        async def seen(report: StatusReport) -> None:
            heard.append(report)

        try:
            report = await self.watch.wait(job_id, seen, fresh=fresh)
        except DliError as error:
            self.errors[job_id] = error
            return
        job = self.service.by_id[job_id]
        assert report.status == job.end
        assert heard[-1] is report
        self.delays[job_id] = self.service.now - job.ended

    async def wait_for(self, *jobs: Job, fresh: bool = True) -> None:
        """Each wait begins when its job was made."""

        async def wait_since_birth(job: Job) -> None:
            await anyio.sleep(max(0.0, job.created - self.service.now))
            await self.wait(job.job_id, fresh=fresh)

        async with anyio.create_task_group() as group:
            for job in jobs:
                group.start_soon(wait_since_birth, job)

    @property
    def mean(self) -> float:
        return math.fsum(self.delays.values()) / len(self.delays)

    def percentile(self, share: float) -> float:
        return sorted(self.delays.values())[int(share * len(self.delays))]

    def assert_at_rest(self) -> None:
        """Nothing is left over when nobody waits any more."""
        watch = self.watch
        assert watch._leader is None
        assert not watch._sleeping
        watched = watch._watched
        assert not watched.jobs
        assert not watched.running
        assert not watched.unplaced


@asynccontextmanager
async def waiting(crowd: Crowd, *jobs: Job) -> AsyncIterator[anyio.abc.TaskGroup]:
    """Waits that are under way, and have all ended at the end of the block."""
    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(crowd.wait, job.job_id)
        await anyio.wait_all_tasks_blocked()
        yield group
    crowd.assert_at_rest()


def one(name: str, ended: float, **more: Any) -> Job:
    return Job(name, 0.0, 0.5, ended, **more)


# -- what it costs and how soon it knows


async def test_a_hundred_exports_cost_few_polls_and_are_known_soon() -> None:
    """100 waiting: at most 1.5 polls per export, a mean delay of at most 2 s."""
    crowd = Crowd(Service(lives(100, 50)))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.service.calls) <= 1.5 * 100
    assert crowd.mean <= 2
    assert crowd.service.busiest_second() <= 5
    crowd.assert_at_rest()


@pytest.mark.parametrize("spacing", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("latency", [0.0, 0.1])
async def test_a_thousand_exports_cost_few_polls_and_are_known_soon(
    spacing: float, latency: float
) -> None:
    """1,000 waiting, 50 running: 1.5 polls each, 2 s mean, 6 s for 99 %, 5 requests a second.

    Where all jobs start in the same millisecond, pages tell less and it takes a little longer.
    """
    crowd = Crowd(Service(lives(1_000, 50, spacing=spacing)))
    crowd.service.latency = latency
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.service.calls) <= 1.5 * 1_000
    assert crowd.mean <= (2 if spacing else 3)
    assert crowd.percentile(0.99) <= (6 if spacing else 12)
    assert crowd.service.busiest_second() <= 5
    crowd.assert_at_rest()


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", [VIRTUAL_ASYNCIO], ids=["asyncio-virtual"])
async def test_ten_thousand_exports_cost_few_polls_and_are_known_soon() -> None:
    """The same for 10,000."""
    crowd = Crowd(Service(lives(10_000, 50)))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.service.calls) <= 1.5 * 10_000
    assert crowd.mean <= 2
    assert crowd.percentile(0.99) <= 6
    assert crowd.service.busiest_second() <= 5
    crowd.assert_at_rest()


async def test_a_steady_stream_of_exports_costs_few_polls() -> None:
    """Exports that are submitted as others end, as in a bulk run."""
    crowd = Crowd(Service(lives(400, 32, spacing=1.1)))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.service.calls) <= 1.5 * 400
    assert crowd.mean <= 2


async def test_a_lone_job_is_asked_for_by_status_with_backoff() -> None:
    """One waiter never causes a list; its waits grow as the policy says."""
    crowd = Crowd(Service([one("a", 60)]))
    await crowd.wait("a")
    assert crowd.service.count("list") == 0
    moments = [moment for moment, _ in crowd.service.calls]
    gaps = [b - a for a, b in zip([0.0, *moments], moments, strict=False)]
    assert gaps[0] == pytest.approx(1, abs=0.01)
    assert max(gaps) > 5
    assert len(moments) <= 12


async def test_a_lone_job_is_asked_for_at_the_users_own_pace() -> None:
    """A wait given in the policy is the wait of a lone job."""
    crowd = Crowd(Service([one("a", 59)]), PollPolicy(wait=lambda state: 5.0))
    await crowd.wait("a", fresh=False)
    assert len(crowd.service.calls) == 13


async def test_a_retry_after_in_a_status_is_heeded() -> None:
    """The wait of a lone job is raised to what the answer asks for."""

    class Patient(Service):
        async def status(self, job_id: str, *, repeat: bool = True) -> StatusReport:
            report = await super().status(job_id, repeat=repeat)
            return report.model_copy(update={"retry_after": 20.0})

    crowd = Crowd(Patient([one("a", 59)]))
    await crowd.wait("a", fresh=False)
    assert len(crowd.service.calls) == 4


async def test_a_young_second_job_is_looked_at_soon() -> None:
    """A job that joins while the leader sleeps for long does not wait for that to end."""
    old, young = one("old", 5_000), Job("young", 1_000, 1_000.5, 1_003)
    crowd = Crowd(Service([old, young]), PollPolicy(wait=lambda state: 600.0))
    async with anyio.create_task_group() as group:
        group.start_soon(crowd.wait_for, old, young)
    assert crowd.delays["young"] <= 3
    crowd.assert_at_rest()


async def test_a_wait_that_is_given_up_knows_when_its_job_was_seen_last() -> None:
    """Looks that show a job as before are not told one by one, but they count as having seen it."""
    crowd = Crowd(Service([one(name, 10_000) for name in "abc"]))
    told: list[float] = []
    last_seen: list[float] = []

    async def seen(report: StatusReport) -> None:
        told.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for name in "bc":
            group.start_soon(crowd.wait, name)
        with anyio.move_on_after(900):
            await crowd.watch.wait("a", seen, fresh=True, left=last_seen.append)
        assert anyio.current_time() - told[-1] > 800
        assert anyio.current_time() - last_seen[0] <= 30
        with anyio.move_on_after(0.5):
            await crowd.watch.wait("new", seen, fresh=True, left=last_seen.append)
        assert len(last_seen) == 1
        group.cancel_scope.cancel()


# -- lists that mislead


async def test_thousands_of_other_jobs_in_the_lists_do_no_harm() -> None:
    """150 jobs among 6,000 of other people, running and launching at the same time."""
    others = lives(6_000, 2_000, prefix="other", spacing=0.03, seed=2)
    mine = lives(150, 50, spacing=1.1)
    crowd = Crowd(Service([*mine, *others]))
    await crowd.wait_for(*mine)
    assert len(crowd.delays) == 150
    assert crowd.service.busiest_second() <= 5
    assert crowd.mean <= 15
    crowd.assert_at_rest()


@pytest.mark.parametrize("count", [5, 120, 600])
async def test_a_list_that_lags_delays_but_loses_nothing(count: int) -> None:
    """Lists ten seconds behind: every end is known, at most a little later than they show it."""
    crowd = Crowd(Service(lives(count, 50), lag=10))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.delays) == count
    assert crowd.mean <= 14
    crowd.assert_at_rest()


@pytest.mark.parametrize("count", [3, 60, 400])
async def test_jobs_that_no_list_shows_are_found_by_status(count: int) -> None:
    """Some jobs never appear in lists: their waits end all the same."""
    jobs = lives(count, 50)
    for job in jobs[::3]:
        job.listed = False
    crowd = Crowd(Service(jobs))
    await crowd.wait_for(*jobs)
    assert len(crowd.delays) == count
    assert crowd.service.busiest_second() <= 5
    crowd.assert_at_rest()


async def test_lists_that_show_none_of_the_jobs_are_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Useless lists are noticed, said once, and then left alone for a while."""
    jobs = lives(40, 40, median=600)
    for job in jobs:
        job.listed = False
    crowd = Crowd(Service(jobs))
    with caplog.at_level(logging.WARNING, "dli_async.watch"):
        await crowd.wait_for(*jobs)
    assert len(crowd.delays) == 40
    assert sum("shows none of the jobs" in record.message for record in caplog.records) == 1
    assert crowd.mean <= 40


@pytest.mark.parametrize("word", ["SCALING", "COMPUTED"])
@pytest.mark.parametrize("count", [30, 400])
async def test_jobs_in_states_beside_the_documented_ones_are_watched(count: int, word: str) -> None:
    """A running job that is called otherwise is missing from the list of running jobs."""
    jobs = lives(count, 50)
    for job in jobs:
        job.running = word
    crowd = Crowd(Service(jobs))
    await crowd.wait_for(*jobs)
    assert len(crowd.delays) == count
    assert crowd.mean <= 4
    crowd.assert_at_rest()


async def test_ends_other_than_success_are_told() -> None:
    """Failed jobs, and jobs that somebody else cancelled, end their waits by that report."""
    jobs = lives(300, 50)
    for number, job in enumerate(jobs):
        job.end = ("FINISHED", "FAILED", "CANCELLED")[number % 3]
    crowd = Crowd(Service(jobs))
    await crowd.wait_for(*jobs)
    assert len(crowd.delays) == 300


async def test_jobs_that_end_between_two_looks_are_found() -> None:
    """Among 600 waiting, each twentieth fails within half a second of its start."""
    jobs = lives(600, 20)
    for job in jobs[::20]:
        job.ended = job.started + 0.5
        job.end = "FAILED"
    crowd = Crowd(Service(jobs))
    await crowd.wait_for(*jobs)
    assert max(crowd.delays[job.job_id] for job in jobs[::20]) <= 40


async def test_a_stuck_queue_does_not_hide_the_others() -> None:
    """Old jobs that never start stand before all others in the list of launching jobs."""
    stuck = [Job(f"stuck-{n}", 0.0, 50_000, 50_100) for n in range(150)]
    mine = lives(300, 20, begin=1.0)
    for job in mine[::10]:
        job.ended = job.started + 0.5
    crowd = Crowd(Service([*stuck, *mine]))
    async with waiting(crowd, *stuck) as group:
        await crowd.wait_for(*mine)
        assert crowd.mean <= 30
        group.cancel_scope.cancel()


async def test_a_stuck_job_among_few_costs_little() -> None:
    """A job that launches for a day is looked at every 30 s at most by then."""
    crowd = Crowd(Service([Job("a", 0, 86_400, 86_401), Job("b", 0, 86_400, 86_402)]))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.service.calls) <= 2 * 86_400 / 30


async def test_a_count_of_the_page_only_costs_no_more_looks() -> None:
    """Where `job_count` counts the rows of one page, it is not taken for jobs that are missing."""

    class Narrow(Service):
        async def list_jobs(self, params: Any, *, page: int = 1, repeat: bool = True) -> JobPage:
            found = await super().list_jobs(params, page=page, repeat=repeat)
            return dataclasses.replace(found, job_count=len(found.rows))

    crowd = Crowd(Narrow(lives(800, 20)))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.service.calls) <= 1.5 * 800
    assert crowd.mean <= 3


@pytest.mark.parametrize("count", [20, 1_000])
async def test_jobs_attached_by_id_are_found_by_pages(count: int) -> None:
    """Jobs of unknown age, many of which ended long ago."""
    jobs = lives(count, 50)
    crowd = Crowd(Service(jobs))
    await anyio.sleep(count / 2)
    await crowd.wait_for(*jobs, fresh=False)
    assert len(crowd.delays) == count
    assert len(crowd.service.calls) <= 20 + 1.2 * count
    crowd.assert_at_rest()


async def test_a_row_from_before_does_not_undo_what_is_known() -> None:
    """A lagging list that shows a running job as launching is no news."""
    jobs = [Job(name, 0.0, 3.0, 60.0) for name in "ab"]
    crowd = Crowd(Service(jobs, lag=20))
    async with waiting(crowd, *jobs):
        pass
    for heard in crowd.reports.values():
        words = [report.status for report in heard]
        assert JobStatus.LAUNCHING not in words[words.index(JobStatus.RUNNING) :]


# -- trouble


async def test_a_refused_list_is_said_once_and_replaced_by_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A 403 for the list: jobs are asked for one by one, and the list is left alone."""

    def refuse(call: str) -> DliError | None:
        return PermissionDenied("no", status_code=403) if call == "list" else None

    crowd = Crowd(Service(lives(300, 50), fault=refuse))
    with caplog.at_level(logging.WARNING, "dli_async.watch"):
        await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.delays) == 300
    assert crowd.service.count("list") == 1
    assert [record.message for record in caplog.records if "was refused" in record.message]
    assert len(caplog.records) == 1
    assert crowd.mean <= 60
    crowd.assert_at_rest()


async def test_a_list_that_keeps_failing_rests_and_is_tried_again() -> None:
    """Unreadable pages for a while: status answers meanwhile, then lists again."""
    crowd = Crowd(Service([]))

    def garble(call: str) -> DliError | None:
        if call == "list" and crowd.service.now < 100:
            return InvalidResponse("not JSON", status_code=200)
        return None

    crowd = Crowd(Service(lives(100, 20), fault=garble))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.delays) == 100
    early = [call for moment, call in crowd.service.calls if moment < 60]
    assert early.count("list") == 3
    assert crowd.service.count("list") > 10


@pytest.mark.parametrize("count", [1, 30, 300])
async def test_noise_does_not_end_waits(count: int) -> None:
    """A third of all answers is server trouble: every end is known in the end."""
    dice = Random(3)

    def noise(call: str) -> DliError | None:
        return ServerError("busy", status_code=503) if dice.random() < 1 / 3 else None

    crowd = Crowd(Service(lives(count, 50), fault=noise))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.delays) == count
    crowd.assert_at_rest()


@pytest.mark.parametrize("count", [1, 3, 300])
async def test_looks_that_keep_failing_end_all_waits_with_the_job_id(count: int) -> None:
    """After `give_up_after` each waiter gets a `JobTimeout` of its own."""
    service = Service(
        lives(count, 1, median=1e6), fault=lambda call: ServerError("down", status_code=503)
    )
    crowd = Crowd(service, PollPolicy(give_up_after=120))
    await crowd.wait_for(*service.jobs)
    assert crowd.errors.keys() == service.by_id.keys()
    assert len(set(map(id, crowd.errors.values()))) == count
    for job_id, error in crowd.errors.items():
        assert isinstance(error, JobTimeout)
        assert error.job_id == job_id
        assert isinstance(error.__cause__, ServerError)
    assert 120 <= service.now <= 200
    crowd.assert_at_rest()


async def test_trouble_that_passes_in_time_is_forgotten() -> None:
    """Two outages, each shorter than `give_up_after`, end no wait."""
    crowd = Crowd(Service([]))

    def outages(call: str) -> DliError | None:
        down = 10 < crowd.service.now < 80 or 130 < crowd.service.now < 200
        return ServerError("down", status_code=502) if down else None

    crowd = Crowd(Service(lives(10, 10, median=200), fault=outages), PollPolicy(give_up_after=100))
    await crowd.wait_for(*crowd.service.jobs)
    assert len(crowd.delays) == 10


class Picky(Service):
    """A service that answers for some jobs with an error of their own."""

    failing: dict[str, Callable[[], DliError]]

    async def status(self, job_id: str, *, repeat: bool = True) -> StatusReport:
        report = await super().status(job_id, repeat=repeat)
        if job_id in self.failing:
            raise self.failing[job_id]()
        return report


async def test_a_job_that_does_not_exist_ends_only_its_own_wait() -> None:
    """After the grace `NotFound` reaches that job's waiters, with the id; the others wait on."""
    crowd = Crowd(Service(lives(5, 5, median=200)))
    async with anyio.create_task_group() as group:
        group.start_soon(crowd.wait, "nobody")
        await crowd.wait_for(*crowd.service.jobs)
    error = crowd.errors.pop("nobody")
    assert isinstance(error, NotFound)
    assert error.job_id == "nobody"
    assert error.__notes__ == ["while waiting for job nobody"]
    assert not crowd.errors
    assert len(crowd.delays) == 5
    crowd.assert_at_rest()


async def test_no_such_job_is_not_believed_within_the_grace() -> None:
    """A job that `/status` does not know for 20 s is waited for."""
    crowd = Crowd(Service([Job("late", 20.0, 21.0, 25.0)]))
    await crowd.wait("late")
    assert "late" in crowd.delays


async def test_a_job_of_somebody_else_ends_only_its_own_wait() -> None:
    """One 403 is about one job, if others can be asked for."""
    service = Picky(lives(4, 4, median=100))
    service.by_id["theirs"] = service.by_id["job-0"]
    service.failing = {"theirs": lambda: PermissionDenied("not yours", status_code=403)}
    crowd = Crowd(service)
    async with anyio.create_task_group() as group:
        group.start_soon(crowd.wait, "theirs")
        await crowd.wait_for(*service.jobs)
    assert isinstance(crowd.errors.pop("theirs"), PermissionDenied)
    assert len(crowd.delays) == 4


async def test_a_job_whose_status_is_unreadable_ends_only_its_own_wait() -> None:
    """If only one job's answer stays unreadable, its wait alone is given up."""
    service = Picky(lives(4, 4, median=900))
    service.by_id["odd"] = service.by_id["job-0"]
    service.failing = {"odd": lambda: InvalidResponse("not JSON", status_code=200)}
    crowd = Crowd(service, PollPolicy(give_up_after=60))
    async with anyio.create_task_group() as group:
        group.start_soon(crowd.wait, "odd")
        await crowd.wait_for(*service.jobs)
    assert isinstance(crowd.errors.pop("odd"), JobTimeout)
    assert len(crowd.delays) == 4
    assert crowd.mean <= 30


@pytest.mark.parametrize("count", [1, 2, 50, 300])
@pytest.mark.parametrize("kind", [AuthenticationError, PermissionDenied])
async def test_refused_credentials_end_all_waits(count: int, kind: type[ApiError]) -> None:
    """When every call is refused, all waiters hear it soon, each with its own job id."""
    service = Service(lives(count, 50), fault=lambda call: kind("no", status_code=403))
    crowd = Crowd(service)
    await crowd.wait_for(*service.jobs)
    assert crowd.errors.keys() == service.by_id.keys()
    for job_id, error in crowd.errors.items():
        assert type(error) is kind
        assert error.job_id == job_id
    assert service.now < 30
    crowd.assert_at_rest()


async def test_an_error_of_the_client_reaches_every_waiter() -> None:
    """A closed client, or anything unforeseen, ends all waits instead of leaving them to hang."""
    service = Service(lives(20, 20))
    closed = False

    def api() -> Any:
        if closed:
            raise ClientClosed("closed")
        return service.api

    crowd = Crowd(service)
    crowd.watch = shared_watch(api, PollPolicy())
    async with waiting(crowd, *service.jobs):
        await anyio.sleep(5)
        closed = True
    assert len(crowd.errors) == 20
    assert all(isinstance(error, ClientClosed) for error in crowd.errors.values())


# -- waiters come, go, and hand over


async def ignore(report: StatusReport) -> None:
    pass


async def test_the_lead_is_handed_over_when_the_leaders_job_ends() -> None:
    """Everybody whose job ended is woken before the next leader looks again."""
    jobs = [one("first", 5), one("also", 5), one("last", 300)]
    crowd = Crowd(Service(jobs))
    async with waiting(crowd, *jobs):
        pass
    assert crowd.delays["first"] == pytest.approx(crowd.delays["also"], abs=0.01)
    assert len(crowd.delays) == 3


@pytest.mark.parametrize("number", range(8))
async def test_any_waiter_may_be_cancelled_at_any_time(number: int) -> None:
    """Random time limits on waits, the leader's too: the others wait on and nothing is left."""
    dice = Random(number)
    jobs = lives(60, 10, spacing=0.5)
    crowd = Crowd(Service(jobs))
    crowd.service.latency = 0.2

    async def impatient(job: Job) -> None:
        with anyio.move_on_after(dice.uniform(0, 100)):
            await crowd.watch.wait(job.job_id, ignore, fresh=True)

    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(impatient, job)
            group.start_soon(impatient, job)
        await crowd.wait_for(*jobs[::5])
    assert len(crowd.delays) == 12
    assert crowd.mean <= 6
    crowd.assert_at_rest()


async def test_a_successor_that_leaves_unserved_passes_the_lead_on() -> None:
    """Leader and chosen successor are cancelled at the same moment: a third one leads."""
    jobs = [one(name, 40) for name in "abcd"]
    crowd = Crowd(Service(jobs))
    scopes = {job.job_id: anyio.CancelScope() for job in jobs}

    async def wait(name: str) -> None:
        with scopes[name]:
            await crowd.wait(name)

    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(wait, job.job_id)
            await anyio.wait_all_tasks_blocked()
        await anyio.sleep(0.1)
        scopes["a"].cancel()  # leads
        scopes["d"].cancel()  # would be chosen
    assert crowd.delays.keys() == {"b", "c"}
    crowd.assert_at_rest()


def test_native_cancellation_hands_the_lead_over() -> None:
    """`Task.cancel()` on the leader, and on the chosen one before it ran, leaves nobody behind."""

    async def main() -> None:
        jobs = [one(name, 40) for name in "abcd"]
        crowd = Crowd(Service(jobs))
        tasks = {job.job_id: asyncio.create_task(crowd.wait(job.job_id)) for job in jobs}
        await asyncio.sleep(0.1)
        tasks["a"].cancel()
        tasks["d"].cancel()
        await asyncio.wait(tasks.values())
        assert tasks["a"].cancelled()
        assert tasks["d"].cancelled()
        assert crowd.delays.keys() == {"b", "c"}
        crowd.assert_at_rest()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_native_cancellation_in_mid_request_hands_the_lead_over() -> None:
    """The leader is cancelled while its request is under way; the next one looks again."""

    async def main() -> None:
        jobs = [one(name, 10) for name in "ab"]
        crowd = Crowd(Service(jobs))
        crowd.service.latency = 2
        tasks = [asyncio.create_task(crowd.wait(job.job_id)) for job in jobs]
        await asyncio.sleep(2)
        assert len(crowd.service.calls) == 1
        tasks[0].cancel()
        await asyncio.wait(tasks)
        assert crowd.delays.keys() == {"b"}
        crowd.assert_at_rest()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


async def test_everybody_may_leave_at_once() -> None:
    """When all waits are cancelled together, nothing is left, and the watch can be used again."""
    jobs = lives(300, 50)
    crowd = Crowd(Service(jobs))
    async with waiting(crowd, *jobs) as group:
        await anyio.sleep(20)
        group.cancel_scope.cancel()
    await anyio.sleep(100)
    crowd.delays.clear()
    await crowd.wait_for(*jobs[-2:])
    assert len(crowd.delays) == 2
    crowd.assert_at_rest()


async def test_an_error_in_seen_ends_only_that_wait() -> None:
    """The error of one waiter's callback is raised to that waiter, leader or not."""
    jobs = [one(name, 30) for name in "abc"]
    crowd = Crowd(Service(jobs))
    raised: list[str] = []

    async def wait_badly(name: str) -> None:
        async def seen(report: StatusReport) -> None:
            raise ValueError(name)

        with pytest.raises(ValueError, match=name):
            await crowd.watch.wait(name, seen, fresh=True)
        raised.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(wait_badly, "a")
        await anyio.wait_all_tasks_blocked()
        async with waiting(crowd, *jobs):
            group.start_soon(wait_badly, "b")
    assert sorted(raised) == ["a", "b"]
    assert len(crowd.delays) == 3


async def test_a_slow_seen_holds_nobody_up_and_gets_the_latest_report() -> None:
    """A callback that takes a minute skips reports in between and delays only its own wait."""
    slow, quick = Job("slow", 0, 5, 20), Job("quick", 0, 5, 20)
    crowd = Crowd(Service([slow, quick]))
    heard: list[JobStatus] = []

    async def seen(report: StatusReport) -> None:
        heard.append(report.status)
        await anyio.sleep(60)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: crowd.watch.wait("slow", seen, fresh=True))
        await anyio.wait_all_tasks_blocked()
        group.start_soon(crowd.wait, "quick")
    assert heard == [JobStatus.LAUNCHING, JobStatus.FINISHED]
    assert crowd.delays["quick"] <= 3
    crowd.assert_at_rest()


async def test_seen_runs_in_the_task_of_its_own_waiter() -> None:
    """A cancel scope around a wait is the scope of its callback."""
    jobs = [one(name, 30) for name in "ab"]
    crowd = Crowd(Service(jobs))
    tasks: dict[str, set[int]] = {}

    async def wait(name: str) -> None:
        own = anyio.get_current_task().id

        async def seen(report: StatusReport) -> None:
            tasks.setdefault(name, set()).add(anyio.get_current_task().id - own)

        await crowd.watch.wait(name, seen, fresh=True)

    async with anyio.create_task_group() as group:
        for name in "ab":
            group.start_soon(wait, name)
    assert tasks == {"a": {0}, "b": {0}}


async def test_several_waiters_of_one_job_share_its_entry() -> None:
    """Twenty waits for one job cost what one costs, and all get the report."""
    crowd = Crowd(Service([one("a", 30)]))
    reports: list[StatusReport] = []

    async def wait() -> None:
        reports.append(await crowd.watch.wait("a", ignore, fresh=True))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(wait)
    assert len(reports) == 20
    assert len(crowd.service.calls) <= 10
    crowd.assert_at_rest()


async def test_who_joins_late_hears_the_latest_report_at_once() -> None:
    """A second waiter of a job need not wait for the next look."""
    crowd = Crowd(Service([one("a", 500)]))
    async with waiting(crowd, *crowd.service.jobs) as group:
        await anyio.sleep(100)
        calls = len(crowd.service.calls)
        heard: list[StatusReport] = []

        async def seen(report: StatusReport) -> None:
            heard.append(report)

        group.start_soon(lambda: crowd.watch.wait("a", seen, fresh=False))
        await anyio.wait_all_tasks_blocked()
        assert [report.status for report in heard] == [JobStatus.RUNNING]
        assert len(crowd.service.calls) == calls


async def test_waiters_are_woken_only_by_news() -> None:
    """A thousand waiting jobs that do not change cause no wake-up."""
    jobs = lives(1_000, 50, median=3_000)
    crowd = Crowd(Service(jobs))
    async with waiting(crowd, *jobs) as group:
        await anyio.sleep(120)
        before = {name: len(heard) for name, heard in crowd.reports.items()}
        await anyio.sleep(30)
        after = {name: len(heard) for name, heard in crowd.reports.items()}
        assert sum(after.values()) - sum(before.values()) <= 300
        assert max(after.values()) <= 2
        group.cancel_scope.cancel()
