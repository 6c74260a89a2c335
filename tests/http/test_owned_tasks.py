"""Work of a client runs to its end whatever happens to its caller, and none is left behind."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial

import anyio
import anyio.lowlevel
import pytest
import trio

from dli_async import ClientClosed
from dli_async._http.owned_tasks import OwnedTasks

pytestmark = pytest.mark.anyio


class Job:
    """Work that a test lets go on, and that notes its end."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.go_on = anyio.Event()
        self.done = False
        self.endings = 0

    async def __call__(self) -> str:
        self.begun.set()
        await self.go_on.wait()
        self.done = True
        return "value"

    def ended(self) -> None:
        self.endings += 1


async def settle() -> None:
    """Lets everything run that can."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def test_the_caller_gets_the_value() -> None:
    """Undisturbed work returns as if it had been awaited."""
    tasks, job = OwnedTasks(), Job()
    job.go_on.set()
    assert await tasks.run(job, may_stop=False, ended=job.ended) == "value"
    assert (len(tasks), job.endings) == (0, 1)


async def test_the_caller_gets_the_error() -> None:
    """An error of the work is the caller's."""

    async def fail() -> None:
        raise ValueError("no")

    tasks = OwnedTasks()
    with pytest.raises(ValueError):
        await tasks.run(fail, may_stop=False)
    assert len(tasks) == 0


async def test_an_error_of_the_ending_is_the_callers_too() -> None:
    """What is called at the end cannot fail in silence, or bring the event loop down."""

    async def work() -> None:
        await anyio.lowlevel.checkpoint()

    def ended() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError):
        await OwnedTasks().run(work, may_stop=False, ended=ended)


async def test_work_sees_the_context_of_its_caller() -> None:
    """Trace ids and the like are kept."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("mine")

    async def look() -> str:
        return variable.get()

    assert await OwnedTasks().run(look, may_stop=False) == "mine"


async def test_a_cancelled_scope_ends_the_caller_and_not_the_work() -> None:
    """The caller leaves at once; the work goes on, and is waited for."""
    tasks, job = OwnedTasks(), Job()
    async with anyio.create_task_group() as group:

        async def call() -> None:
            await tasks.run(job, may_stop=False, ended=job.ended)

        group.start_soon(call)
        await job.begun.wait()
        group.cancel_scope.cancel()
    assert (len(tasks), job.done) == (1, False)
    job.go_on.set()
    await tasks.drain()
    assert (len(tasks), job.done, job.endings) == (0, True, 1)


async def test_draining_stops_what_may_stop() -> None:
    """A GET is cut short when its client closes; whoever waits for it learns why."""
    tasks, job = OwnedTasks(), Job()
    async with anyio.create_task_group() as group:

        async def call() -> None:
            with pytest.raises(ClientClosed):
                await tasks.run(job, may_stop=True, ended=job.ended)

        group.start_soon(call)
        await job.begun.wait()
        await tasks.drain()
    assert (len(tasks), job.done, job.endings) == (0, False, 1)


async def test_draining_waits_for_all_even_when_it_is_cancelled() -> None:
    """A scope that is cancelled around the drain takes effect after the last work has ended."""
    tasks, first, second = OwnedTasks(), Job(), Job()
    async with anyio.create_task_group() as group:
        for job in (first, second):
            group.start_soon(partial(tasks.run, job, may_stop=False))
            await job.begun.wait()
        with anyio.CancelScope() as scope:
            scope.cancel()
            first.go_on.set()
            group.start_soon(_soon, second)
            await tasks.drain()
            assert (first.done, second.done) == (True, True)
    assert len(tasks) == 0


async def _soon(job: Job) -> None:
    await settle()
    job.go_on.set()


async def test_draining_nothing_is_nothing() -> None:
    """A client without work closes at once."""
    await OwnedTasks().drain()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_native_cancel_ends_the_caller_and_not_the_work(times: int) -> None:
    """`Task.cancel()`, even a second one, leaves the work alone."""
    tasks, job, before = OwnedTasks(), Job(), asyncio.all_tasks()
    caller = asyncio.create_task(tasks.run(job, may_stop=False, ended=job.ended))
    await job.begun.wait()
    for _ in range(times):
        caller.cancel()
        await settle()
    assert caller.cancelled()
    job.go_on.set()
    await tasks.drain()
    assert (job.done, job.endings) == (True, 1)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_native_cancel_of_the_drain_is_raised_after_the_work(times: int) -> None:
    """Closing is not cut short by `Task.cancel()`, and the cancellation is not swallowed."""
    tasks, job = OwnedTasks(), Job()
    caller = asyncio.create_task(tasks.run(job, may_stop=False))
    await job.begun.wait()
    closing = asyncio.create_task(tasks.drain())
    await settle()
    for _ in range(times):
        closing.cancel()
        await settle()
    assert not closing.done()
    job.go_on.set()
    await asyncio.wait([closing])
    assert closing.cancelled()
    assert job.done
    assert await caller == "value"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("begun", [False, True])
async def test_work_that_the_loop_itself_cancels_is_ended_too(begun: bool) -> None:
    """Even if its task is cancelled before its first step, nobody waits for ever."""
    tasks, job, before = OwnedTasks(), Job(), asyncio.all_tasks()
    caller = asyncio.create_task(tasks.run(job, may_stop=False, ended=job.ended))
    if begun:
        await job.begun.wait()
    else:
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - before - {caller}:
        task.cancel()
    with pytest.raises(ClientClosed):
        await caller
    await tasks.drain()
    assert (job.begun.is_set(), job.endings, len(tasks)) == (begun, 1, 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_ending_may_use_the_event_loop() -> None:
    """What is called at the end can look at the clock and make events."""
    seen: list[float] = []

    async def work() -> None:
        await asyncio.sleep(0)

    def ended() -> None:
        anyio.Event().set()
        seen.append(anyio.current_time())

    await OwnedTasks().run(work, may_stop=False, ended=ended)
    assert seen


def test_no_task_is_left_on_trio() -> None:
    """System tasks end with the drain, before the run does."""

    async def main() -> int:
        tasks, job = OwnedTasks(), Job()
        before = trio.lowlevel.current_statistics().tasks_living
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(tasks.run, job, may_stop=False))
                await job.begun.wait()
                scope.cancel()
        job.go_on.set()
        await tasks.drain()
        await trio.lowlevel.checkpoint()
        return trio.lowlevel.current_statistics().tasks_living - before

    assert trio.run(main) == 0
