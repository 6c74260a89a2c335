"""The job table on a clock of its own: slots, ends, cancels, and work that threads do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import pytest

from dli_async.emulator._engine.engine import Exported, Staged
from dli_async.emulator._jobs.job import CANCELLED, FAILED, FINISHED, LAUNCHING, RUNNING, Fate
from dli_async.emulator._jobs.job_table import JobTable
from dli_async.emulator._protocol.specs import Spec

DONE = Exported(3, 30, (), 300)
STAGED = Staged(DONE)


def spec(path: str = "obs://b/p", *, overwrite: bool = False, queue: str = "default") -> Spec:
    mode = "Overwrite" if overwrite else "ErrorIfExists"
    return Spec(path, "csv", "db", "t", "none", queue, mode, with_column_header=False)


def table(
    work: Callable[[Spec], Staged] = lambda _: STAGED,
    *,
    slots: int = 2,
    launch: float = 1.0,
    run: float = 10.0,
    seed: int = 0,
    inline: bool = True,
) -> JobTable:
    return JobTable(
        work,
        {"default": slots, "other": 1},
        launch=launch,
        run=run,
        seed=seed,
        inline=inline,
        explain=lambda _, error: f"DLI.0999: {error}",
    )


def test_slots_are_taken_and_freed_at_exact_moments() -> None:
    """However late somebody looks, the third job starts the moment the first one ends."""
    jobs = table()
    first, second, third = (jobs.submit(spec(f"obs://b/{n}"), 100.0, "me") for n in range(3))

    jobs.advance(1_000.0)

    assert first.started_at == second.started_at == 101.0
    assert third.started_at == min(first.ended_at or 0, second.ended_at or 0)
    assert third.ended_at == pytest.approx((third.started_at or 0) + third.run_time)
    assert jobs.peak_running == 2


def test_each_queue_has_its_own_slots() -> None:
    """A full queue does not hold up another one."""
    jobs = table(slots=1)
    jobs.submit(spec("obs://b/1"), 0.0, "me")
    waiting = jobs.submit(spec("obs://b/2"), 0.0, "me")
    elsewhere = jobs.submit(spec("obs://b/3", queue="other"), 0.0, "me")

    jobs.advance(1.0)

    assert waiting.state == LAUNCHING
    assert elsewhere.state == RUNNING


def test_a_look_back_shows_the_state_of_that_moment() -> None:
    """The past of a job can be asked for, which is how lists lag."""
    jobs = table()
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1_000.0)

    assert job.state_at(0.5) == LAUNCHING
    assert job.state_at(1.5) == RUNNING
    assert job.state_at(1_000.0) == FINISHED
    assert job.seconds(0.5) == 0.5


def test_ids_and_run_times_depend_on_the_seed_alone() -> None:
    """The same seed gives the same run, another seed another one, a reset the same again."""

    def run(jobs: JobTable) -> list[tuple[str, float]]:
        made = [jobs.submit(spec(f"obs://b/{n}"), 0.0, "me") for n in range(3)]
        return [(job.job_id, job.run_time) for job in made]

    jobs = table(seed=7)
    once = run(jobs)
    jobs.reset()

    assert run(jobs) == once == run(table(seed=7))
    assert run(table(seed=8)) != once


def test_the_median_of_run_times_is_the_one_asked_for() -> None:
    """Run times spread, but around the given median."""
    jobs = table()
    times = sorted(jobs.submit(spec(f"obs://b/{n}"), 0.0, "me").run_time for n in range(2_001))

    assert times[1_000] == pytest.approx(10.0, rel=0.1)
    assert times[-1] > 2 * times[1_000]


def test_a_cancelled_job_gives_its_slot_away() -> None:
    """The next job starts at the moment of the cancel."""
    jobs = table(slots=1)
    first = jobs.submit(spec("obs://b/1"), 0.0, "me")
    second = jobs.submit(spec("obs://b/2"), 0.0, "me")
    jobs.advance(2.0)

    jobs.cancel(first, 3.0)

    assert (first.state, first.ended_at) == (CANCELLED, 3.0)
    assert (second.state, second.started_at) == (RUNNING, 3.0)


def test_a_job_cancelled_while_waiting_never_starts() -> None:
    """It neither runs nor takes a slot, also when its launch time is over."""
    jobs = table(slots=1)
    jobs.submit(spec("obs://b/1"), 0.0, "me")
    queued = jobs.submit(spec("obs://b/2"), 0.0, "me")
    jobs.advance(2.0)
    launching = jobs.submit(spec("obs://b/3"), 2.0, "me")

    jobs.cancel(queued, 2.5)
    jobs.cancel(launching, 2.5)
    jobs.advance(1_000.0)

    assert queued.started_at is launching.started_at is None
    assert (queued.state, launching.state) == (CANCELLED, CANCELLED)


def test_a_slow_cancel_may_lose_the_race() -> None:
    """A job that ends before the cancel takes effect has finished, and stays so."""
    jobs = table()
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0)

    jobs.cancel(job, 1.0, delay=100.0)
    jobs.advance(500.0)

    assert job.state == FINISHED


def test_fates_come_when_they_were_decided_to() -> None:
    """A failure may come at the end, half-way, or before the job starts; nothing is written."""
    written: list[Spec] = []

    def work(what: Spec) -> Staged:
        written.append(what)
        return STAGED

    jobs = table(work, slots=3)
    end = jobs.submit(spec("obs://b/1"), 0.0, "me", Fate(FAILED, "end"))
    half = jobs.submit(spec("obs://b/2"), 0.0, "me", Fate(CANCELLED, "half", 0.5))
    never = jobs.submit(spec("obs://b/3"), 0.0, "me", Fate(FAILED, "never", None))
    jobs.advance(1_000.0)

    assert (end.state, end.ended_at) == (FAILED, pytest.approx(1.0 + end.run_time))
    assert (half.state, half.ended_at) == (CANCELLED, pytest.approx(1.0 + half.run_time / 2))
    assert (never.state, never.started_at, never.ended_at) == (FAILED, None, 1.0)
    assert written == []


def test_the_second_of_two_concurrent_jobs_to_one_folder_fails() -> None:
    """ErrorIfExists holds while the first is still writing; Overwrite may join in."""
    jobs = table(slots=3)
    first = jobs.submit(spec(), 0.0, "me")
    second = jobs.submit(spec("s3a://b/p/"), 0.0, "me")
    third = jobs.submit(spec(overwrite=True), 0.0, "me")

    jobs.advance(1.0)
    assert (second.state, second.ended_at) == (FAILED, 1.0)
    assert jobs.has_written("obs://b/p")
    jobs.advance(1_000.0)

    assert (first.state, third.state) == (FINISHED, FINISHED)


def test_work_that_fails_fails_the_job_at_once() -> None:
    """The job does not pretend to run on once its work has failed."""

    def work(_: Spec) -> Staged:
        raise OSError("disk full")

    jobs = table(work)
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0)

    assert (job.state, job.message, job.ended_at) == (FAILED, "DLI.0999: disk full", 1.0)
    assert not jobs.has_written("obs://b/p")


def noted(said: list[str]) -> Staged:
    """Files that tell what becomes of them."""
    return Staged(DONE, lambda: said.append("published"), lambda: said.append("discarded"))


def test_files_appear_when_the_job_finishes() -> None:
    """Not before, however early they were written, and a cancel that comes then is too late."""
    said: list[str] = []
    jobs = table(lambda _: noted(said))
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0 + job.run_time / 2)
    assert (job.state, said) == (RUNNING, [])

    jobs.cancel(job, 1.0 + job.run_time)

    assert (job.state, said) == (FINISHED, ["published"])
    jobs.close()
    assert said == ["published"]


def test_a_job_cancelled_after_its_files_were_written_discards_them() -> None:
    """Written is not finished: they never appear, and are removed once."""
    said: list[str] = []
    jobs = table(lambda _: noted(said))
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0)

    jobs.cancel(job, 1.0)
    assert (job.state, said) == (CANCELLED, ["discarded"])
    jobs.advance(1_000.0)
    jobs.close()

    assert (job.state, job.exported, said) == (CANCELLED, None, ["discarded"])
    assert not jobs.has_written("obs://b/p")


def test_a_cancel_and_the_end_at_the_same_time_leave_one_winner() -> None:
    """Whoever comes first of two threads: finished with its files, or cancelled without."""
    said: dict[str, list[str]] = {f"obs://b/{n}": [] for n in range(200)}
    jobs = table(lambda what: noted(said[what.data_path]), slots=200, launch=0.0)
    barrier = threading.Barrier(2)

    def end() -> None:
        for job in made:
            barrier.wait()
            jobs.advance(job.due)

    thread = threading.Thread(target=end)
    made = sorted((jobs.submit(spec(path), 0.0, "me") for path in said), key=lambda job: job.due)
    assert {job.state for job in made} == {RUNNING}
    thread.start()
    for job in made:
        barrier.wait()
        jobs.cancel(job, job.due - 1e-6)
    thread.join()

    for job in made:
        won = "published" if job.state == FINISHED else "discarded"
        assert said[job.spec.data_path] == [won]
        assert (job.exported == DONE) is (job.state == FINISHED)


def test_files_that_cannot_appear_fail_the_job() -> None:
    """The job does not pretend to have finished."""

    def publish() -> None:
        raise OSError("the folder has gone")

    jobs = table(lambda _: Staged(DONE, publish))
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1_000.0)

    assert (job.state, job.message) == (FAILED, "DLI.0999: the folder has gone")
    assert job.exported is None
    assert not jobs.has_written("obs://b/p")


def test_time_never_runs_backwards() -> None:
    """A clock that is set back does not upset the order of jobs."""
    jobs = table()
    first = jobs.submit(spec("obs://b/1"), 100.0, "me")
    second = jobs.submit(spec("obs://b/2"), 50.0, "me")

    assert second.created_at == first.created_at == 100.0


class Gate:
    """Work that waits until the test lets it pass; `said` is what became of its files."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.open = threading.Event()
        self.begun = threading.Semaphore(0)

    def __call__(self, _: Spec) -> Staged:
        self.begun.release()
        assert self.open.wait(30)
        return noted(self.said)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_a_job_does_not_end_before_its_files_are_complete(gate: Gate) -> None:
    """Long after the planned end the job is RUNNING, until its thread is done."""
    jobs = table(gate, inline=False, run=1.0)
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1_000.0)
    assert job.state == RUNNING

    gate.open.set()
    jobs.settle()
    jobs.advance(1_001.0)

    assert job.state == FINISHED
    assert job.exported == DONE
    assert job.ended_at is not None
    assert 1_000.0 <= job.ended_at <= 1_001.0
    jobs.close()


def test_a_job_whose_files_were_early_ends_as_planned(gate: Gate) -> None:
    """Work that was quick does not shorten the job."""
    gate.open.set()
    jobs = table(gate, inline=False)
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0)
    jobs.settle()

    jobs.advance(1.0 + job.run_time / 2)
    assert job.state == RUNNING
    jobs.advance(1_000.0)

    assert job.ended_at == pytest.approx(1.0 + job.run_time)
    jobs.close()


def test_a_job_cancelled_while_its_thread_writes_stays_cancelled(gate: Gate) -> None:
    """What the thread brings home later is thrown away, before anybody waits for it to be done."""
    jobs = table(gate, inline=False)
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0)
    assert gate.begun.acquire(timeout=30)

    jobs.cancel(job, 2.0)
    gate.open.set()
    jobs.settle()
    assert gate.said == ["discarded"]
    jobs.advance(1_000.0)

    assert (job.state, job.exported) == (CANCELLED, None)
    assert gate.said == ["discarded"]
    jobs.close()


def test_a_reset_drops_work_that_has_not_begun(gate: Gate) -> None:
    """What runs is waited for, what waits for a thread is dropped, and nobody sees either."""
    jobs = table(gate, slots=20, inline=False)
    for number in range(20):
        jobs.submit(spec(f"obs://b/{number}"), 0.0, "me")
    jobs.advance(1.0)
    assert gate.begun.acquire(timeout=30)
    threading.Timer(0.01, gate.open.set).start()

    jobs.reset()
    jobs.advance(1_000.0)

    assert jobs.jobs == []
    assert jobs.peak_running == 0
    assert set(gate.said) == {"discarded"}
    jobs.close()
    jobs.close()


@pytest.mark.parametrize("end", ["publish", "cancel"])
def test_files_nobody_sees_any_more_are_removed_by_another_thread(end: str) -> None:
    """The job has ended and the loop is free long before they are gone; closing waits for it."""
    may_clean, said = threading.Event(), []

    def clean() -> None:
        assert may_clean.wait(30)
        said.append(threading.current_thread())

    jobs = table(lambda _: Staged(DONE, clean=clean), inline=False)
    job = jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0)
    wait_for_writers(jobs)
    if end == "cancel":
        jobs.cancel(job, 1.0)
    jobs.advance(1_000.0)
    assert (job.state, said) == (FINISHED if end == "publish" else CANCELLED, [])
    may_clean.set()
    jobs.close()
    assert len(said) == 1
    assert said != [threading.current_thread()]


def wait_for_writers(jobs: JobTable) -> None:
    wait([job.work for job in jobs.jobs if job.work is not None])


def test_virtual_time_removes_files_on_the_spot() -> None:
    """No thread is left behind by a test's own clock."""
    said: list[str] = []
    jobs = table(lambda _: Staged(DONE, clean=lambda: said.append("cleaned")))
    jobs.submit(spec(), 0.0, "me")
    jobs.advance(1_000.0)
    assert said == ["cleaned"]


def test_a_reset_waits_until_the_files_are_removed() -> None:
    """Whoever clears the folder afterwards is alone there."""
    said: list[str] = []
    jobs = table(lambda _: Staged(DONE, clean=lambda: said.append("cleaned")), inline=False)
    jobs.submit(spec(), 0.0, "me")
    jobs.advance(1.0)
    wait_for_writers(jobs)
    jobs.reset()
    assert said == ["cleaned"]
    jobs.close()
