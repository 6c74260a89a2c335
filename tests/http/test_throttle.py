"""The budget of a client: spacing, slots, two classes, and what refusals teach."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from random import Random

import anyio
import pytest

from benchmarks._clock import VirtualLoop
from dli_async import ConfigurationError
from dli_async._http.throttle import Throttle

pytestmark = pytest.mark.anyio


def busiest_second(moments: list[float]) -> int:
    return max(bisect_left(moments, m + 1 - 1e-9) - n for n, m in enumerate(moments))


class Limited:
    """A service that refuses more than so many requests in any second."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self.served: deque[float] = deque()
        self.asked = 0
        self.refused = 0

    def ask(self) -> bool:
        now = anyio.current_time()
        self.asked += 1
        while self.served and now - self.served[0] >= 1:
            self.served.popleft()
        if len(self.served) >= self.per_second:
            self.refused += 1
            return False
        self.served.append(now)
        return True


async def run_against(throttle: Throttle, service: Limited, requests: int, tasks: int = 40) -> None:
    """So many requests by so many tasks, each repeated until it is served."""
    left = list(range(requests))

    async def worker() -> None:
        while left:
            left.pop()
            while not await exchange(throttle, service):
                pass

    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(worker)


async def exchange(throttle: Throttle, service: Limited) -> bool:
    await throttle.enter()
    started = anyio.current_time()
    try:
        await anyio.sleep(0.05)
        if service.ask():
            return True
        throttle.slow_down(started)
        return False
    finally:
        throttle.leave()


@pytest.mark.parametrize(("slots", "rate"), [(0, None), (1, 0), (1, -1), (1, float("nan"))])
def test_impossible_budgets_are_refused(slots: int, rate: float | None) -> None:
    """No slot, or a rate that is not positive, is a configuration error."""
    with pytest.raises(ConfigurationError, match=r"max_connections|requests_per_second"):
        Throttle(slots, rate)


async def test_no_second_holds_more_starts_than_the_budget() -> None:
    """Starts are evenly spaced, after a pause too, so that no burst meets a limit by the second."""
    throttle = Throttle(100, 20)
    starts: list[float] = []

    async def request() -> None:
        await throttle.enter()
        starts.append(anyio.current_time())
        throttle.leave()

    for _ in range(2):
        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(request)
        await anyio.sleep(10)
    # One more at most, where a timer fires a little late.
    assert busiest_second(starts) in (20, 21)
    assert starts[59] - starts[0] == pytest.approx(59 / 20, rel=0.01)


async def test_no_more_requests_are_under_way_than_slots() -> None:
    """A slot is given to the next only when its holder has left."""
    throttle = Throttle(3)
    inside: list[int] = []
    now_inside = 0

    async def request() -> None:
        nonlocal now_inside
        await throttle.enter()
        now_inside += 1
        inside.append(now_inside)
        await anyio.sleep(1)
        now_inside -= 1
        throttle.leave()

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(request)
    assert max(inside) == 3
    assert len(inside) == 10


async def test_nobody_holds_a_slot_while_waiting_for_a_start() -> None:
    """With one slot and a slow budget, the slot is free between two starts."""
    throttle = Throttle(1, 0.1)
    await throttle.enter()
    throttle.leave()
    async with anyio.create_task_group() as group:
        group.start_soon(throttle.enter)
        await anyio.sleep(5)
        assert throttle._free == 1
        await anyio.sleep(6)
        assert throttle._free == 0
        throttle.leave()


async def test_first_come_is_first_served() -> None:
    """Requests of one class start in the order in which they came."""
    throttle = Throttle(2, 10)
    order: list[int] = []

    async def request(number: int) -> None:
        await anyio.sleep(number / 1000)
        await throttle.enter()
        order.append(number)
        throttle.leave()

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(request, number)
    assert order == list(range(30))


async def test_submits_go_before_polls_and_do_not_starve_them() -> None:
    """While submits queue, one start in four is a poll's."""
    throttle = Throttle(16, 10)
    order: list[bool] = []

    async def request(urgent: bool) -> None:
        await throttle.enter(urgent=urgent)
        order.append(urgent)
        throttle.leave()

    await throttle.enter(urgent=False)
    throttle.leave()
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(lambda: request(False))
        for _ in range(40):
            group.start_soon(lambda: request(True))
    assert order[:12] == [True, True, True, False] * 3
    assert order.count(False) == 20


async def test_a_pause_stops_all_starts() -> None:
    """What the service asks for holds for every request, those that already wait included."""
    throttle = Throttle(4, 100)
    began = anyio.current_time()
    starts: list[float] = []

    async def request() -> None:
        await throttle.enter()
        starts.append(anyio.current_time() - began)
        throttle.leave()

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(request)
        await anyio.sleep(0.045)
        throttle.pause(30)
        throttle.pause(10)
    assert sum(start < 1 for start in starts) == 5
    assert min(start for start in starts if start > 1) >= 30


async def test_a_cancelled_waiter_gives_its_place_back() -> None:
    """A hundred that gave up cost those behind them nothing."""
    throttle = Throttle(1, 1)
    await throttle.enter()
    throttle.leave()
    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(throttle.enter)
        await anyio.sleep(0.5)
        group.cancel_scope.cancel()
    await throttle.enter()
    assert anyio.current_time() - began == pytest.approx(1, rel=0.01)
    throttle.leave()


async def test_cancellations_lose_no_slot_and_wake_the_next() -> None:
    """After random cancellations at every stage all slots are there and everybody was served."""
    throttle = Throttle(3, 50)
    dice = Random(5)
    served = 0

    async def request(patience: float) -> None:
        nonlocal served
        with anyio.move_on_after(patience):
            await throttle.enter(urgent=dice.random() < 0.5)
            try:
                await anyio.sleep(dice.random() / 10)
                served += 1
            finally:
                throttle.leave()

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(request, dice.choice([0, 0.02, 0.5, 2, 1000]))
    assert throttle._free == 3
    assert not throttle._urgent
    assert not throttle._polls
    assert throttle._timer is None
    assert served > 50


def test_native_cancellation_loses_no_slot() -> None:
    """`Task.cancel()` on asyncio, even of somebody who was just let in, gives the slot back."""

    async def main() -> None:
        throttle = Throttle(1)
        await throttle.enter()
        tasks = [asyncio.create_task(throttle.enter()) for _ in range(3)]
        await asyncio.sleep(1)
        throttle.leave()  # lets the first in, which has not run yet
        tasks[0].cancel()
        await asyncio.sleep(1)
        assert tasks[0].cancelled()
        assert tasks[1].done()
        throttle.leave()
        await tasks[2]
        throttle.leave()
        assert throttle._free == 1

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


async def test_a_refusal_cuts_the_rate_which_recovers_to_the_budget() -> None:
    """After a 429 there is a pause and a slower rate; in time the budget is reached again."""
    throttle = Throttle(16, 20)
    for _ in range(20):
        await throttle.enter()
        throttle.leave()
    before = anyio.current_time()
    throttle.slow_down(before)
    slower = throttle.rate()
    assert slower < 15
    await throttle.enter()
    assert anyio.current_time() - before >= 1 - 1e-9
    throttle.leave()
    await anyio.sleep(20)
    assert slower < throttle.rate() < 20
    await anyio.sleep(60)
    assert throttle.rate() == 20


async def test_refusals_of_requests_from_before_a_cut_count_once() -> None:
    """A dozen 429 from one burst cut the rate once."""
    throttle = Throttle(16, 20)
    started = anyio.current_time()
    await throttle.enter()
    await anyio.sleep(0.5)
    throttle.slow_down(started)
    once = throttle.rate()
    for _ in range(11):
        throttle.slow_down(started)
    assert throttle.rate() == pytest.approx(once, rel=0.001)


async def test_a_budget_below_the_limit_is_never_refused() -> None:
    """20 requests a second against a limit of 25: no refusal at all."""
    service = Limited(25)
    await run_against(Throttle(16, 20), service, 1000)
    assert service.refused == 0


@pytest.mark.parametrize("limit", [5, 25])
async def test_without_a_budget_the_limit_is_learned(limit: int) -> None:
    """After the first burst, few requests are refused, and most of the limit is used."""
    service, throttle = Limited(limit), Throttle(16)
    await run_against(throttle, service, 20 * limit)
    asked, refused, began = service.asked, service.refused, anyio.current_time()
    await run_against(throttle, service, 200 * limit)
    assert service.refused - refused <= 0.02 * (service.asked - asked)
    assert anyio.current_time() - began <= 200 / 0.6


async def test_a_limit_far_below_the_start_is_found() -> None:
    """From 100 requests a second down to 1: refusals become few all the same."""
    service, throttle = Limited(1), Throttle(100)
    await run_against(throttle, service, 100)
    asked, refused = service.asked, service.refused
    await run_against(throttle, service, 300)
    assert service.refused - refused <= 0.15 * (service.asked - asked)
