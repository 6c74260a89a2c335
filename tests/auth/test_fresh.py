"""A value with a life: one flight for all, early, handed on, and never hammered."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import anyio.lowlevel
import pytest

from dli_async._auth.fresh import Fresh
from dli_async._auth.steps import LoginAnswer, LoginCall, Steps, ask
from dli_async._values.errors import AuthenticationError, ConfigurationError

from .conftest import Clock

pytestmark = pytest.mark.anyio

CALL = LoginCall("a test", "GET", "https://h/")


class Service:
    """Gives 1, 2, 3, ... with a life each, or the failures it is told."""

    def __init__(self, life: float | None = 100.0) -> None:
        self.life = life
        self.asked = 0
        self.failure: Exception | None = None
        self.gate = anyio.Event()
        self.gate.set()

    def steps(self) -> Steps[tuple[int, float | None]]:
        yield from ask(CALL)
        if self.failure:
            raise self.failure
        return self.asked, self.life

    async def drive(self, calls: AsyncGenerator[LoginCall, LoginAnswer]) -> None:
        async with aclosing(calls):
            async for _ in calls:
                self.asked += 1
                await self.gate.wait()
                await anyio.lowlevel.checkpoint()
                with pytest.raises(StopAsyncIteration):
                    await calls.asend(LoginAnswer(200, {}, b""))


@pytest.fixture
def fresh(clock: Clock) -> Fresh[int]:
    return Fresh("a test", clock, share=lambda: 0.5)


async def many(service: Service, fresh: Fresh[int], tasks: int = 500) -> list[object]:
    """Let many tasks ask at once; returns what each one got."""
    results: list[object] = []

    async def one() -> None:
        try:
            await service.drive(fresh.renew(service.steps))
            results.append(fresh.value)
        except Exception as error:
            results.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(one)
    return results


async def test_every_renewal_is_one_flight(fresh: Fresh[int], clock: Clock) -> None:
    """However many tasks ask, there is one request per life; all get its value."""
    service = Service(life=2.0)
    for generation in range(1, 11):
        assert await many(service, fresh) == [generation] * 500
        assert service.asked == generation
        clock.time += 2.0


async def test_early_renewal_lets_the_others_go_on(fresh: Fresh[int], clock: Clock) -> None:
    """From half of the life on one task renews; the others use the old value meanwhile."""
    service = Service()
    await many(service, fresh, 1)
    clock.time += 49.9
    assert not fresh.due()
    clock.time += 0.1
    assert fresh.due()
    service.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(many, service, fresh, 1)
        await anyio.wait_all_tasks_blocked()
        assert await many(service, fresh) == [1] * 500
        service.gate.set()
    assert (fresh.value, service.asked) == (2, 2)


async def test_the_early_moment_is_random(clock: Clock) -> None:
    """Many holders come back spread over the time from half to 80 % of the life."""
    start, moments = clock.time, []
    for _ in range(200):
        fresh: Fresh[int] = Fresh("a test", clock)
        service = Service(life=100.0)
        await many(service, fresh, 1)
        clock.time = start + 49.99
        assert not fresh.due()
        while not fresh.due():
            clock.time += 1.0
        moments.append(clock.time - start)
        clock.time = start
    assert 49.9 < min(moments) < 55.0
    assert 75.0 < max(moments) < 81.0


async def test_a_value_for_ever_is_asked_for_once(fresh: Fresh[int], clock: Clock) -> None:
    """A life of None never ends."""
    service = Service(life=None)
    await many(service, fresh)
    clock.time += 1e9
    await many(service, fresh)
    assert service.asked == 1


async def test_a_cancelled_flight_is_taken_over(fresh: Fresh[int]) -> None:
    """If the task that renews is cancelled, the next one that waits asks instead."""
    service, results = Service(), []
    service.gate = anyio.Event()

    async def waiter() -> None:
        results.extend(await many(service, fresh))

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as first:
                first.start_soon(many, service, fresh, 1)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(waiter)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        await anyio.wait_all_tasks_blocked()
        service.gate.set()
    assert service.asked == 2
    assert results == [2] * 500


async def test_a_failure_is_shared_by_those_who_waited(fresh: Fresh[int]) -> None:
    """A failed flight is not repeated by each of its waiters; who comes later asks again."""
    service = Service()
    service.failure = RuntimeError("no")
    assert await many(service, fresh) == [service.failure] * 500
    assert service.asked == 1
    service.failure = None
    assert await many(service, fresh, 3) == [2] * 3


@pytest.mark.parametrize(
    "failure", [AuthenticationError("no", status_code=401), ConfigurationError("no")], ids=repr
)
async def test_a_refusal_is_remembered(fresh: Fresh[int], clock: Clock, failure: Exception) -> None:
    """After a refusal nobody asks for five seconds: wrong passwords lock the user."""
    service = Service()
    service.failure = failure
    for _ in range(3):
        assert await many(service, fresh, 1) == [failure]
    assert service.asked == 1
    clock.time += 5.0
    service.failure = None
    assert await many(service, fresh, 1) == [2]


async def test_the_old_value_serves_while_renewal_fails(
    fresh: Fresh[int], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Failed renewals are logged and spaced by a tenth of the life; at its end they are errors."""
    service = Service()
    await many(service, fresh, 1)
    service.failure = RuntimeError("down")
    clock.time += 50.0
    for second in range(50):
        assert await many(service, fresh, 1) == [1], second
        clock.time += 1.0
    assert service.asked == 1 + 5
    assert "down" in caplog.text
    assert await many(service, fresh, 1) == [service.failure]


async def test_an_abandoned_renewal_is_not_repeated_at_once(
    fresh: Fresh[int], clock: Clock
) -> None:
    """A request that dies while it renews early leaves the old value in use for a while."""
    service = Service()
    await many(service, fresh, 1)
    clock.time += 50.0
    calls = fresh.renew(service.steps)
    await anext(calls)
    await calls.aclose()
    assert not fresh.due()
    clock.time += 10.0
    assert fresh.due()


async def test_a_refused_value_is_dropped_once(fresh: Fresh[int]) -> None:
    """Discarding a value that was replaced meanwhile changes nothing."""
    service = Service()
    await many(service, fresh, 1)
    old = fresh.value
    fresh.discard(old)
    assert not fresh.usable()
    await many(service, fresh, 1)
    fresh.discard(old)
    assert fresh.value == 2


async def test_very_short_lives_do_not_hammer(fresh: Fresh[int], clock: Clock) -> None:
    """A life that is over on arrival, by a wrong clock, still serves for half a second."""
    service = Service(life=-3600.0)
    await many(service, fresh, 1)
    clock.time += 0.4
    await many(service, fresh)
    assert service.asked == 1
