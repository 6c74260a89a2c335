"""Storms in which processes die and stall at every step of a submit, and clocks jump.

A process is a client with a wire and a store of its own making: when it is dead, nothing that is
left of it reaches either. What is durable is a token for each export, written as the record of its
submit is told to, by the owner of the export only. A failing storm prints its seed;
`STORM_SEEDS=17,23` in the environment runs chosen ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from random import Random
from typing import Any

import anyio
import httpx
import pytest

from dli_async import (
    DliClient,
    ExportJob,
    JobTimeout,
    JournalError,
    PollPolicy,
    RateLimited,
    RequestNotSent,
    SubmitInDoubt,
    SubmitPolicy,
    TableExport,
)
from dli_async._export.departure import Departure
from dli_async.emulator import Emulator, NullEngine

from .test_storm import AFTER, BEFORE, LOOKS, REQUEST_TIMEOUT, SEEDS, START, Ends
from .test_storm import check_exactly_once as check

pytestmark = pytest.mark.anyio

NEW = 3
STALL = 72.0
STEPS = (
    "before the note", "after the note", "before the handler", "after the handler",
    "before the id is recorded", "after the id is recorded",
)  # fmt: skip


def faults_of(rnd: Random) -> list[dict[str, Any]]:
    """Long pauses, lost answers, lists that lag and look badly."""

    def fault(route: str, kind: str, probability: float, when: str) -> dict[str, Any]:
        chance = {"probability": probability, "seed": rnd.randrange(10**6)}
        return {"route": route, "kind": kind, "when": when} | chance

    pauses = [f"throttle:{rnd.randint(65, 110)}" for _ in range(2)]
    mix = [fault("export-table", kind, 0.06, "before") for kind in (*pauses, rnd.choice(BEFORE))]
    mix += [fault("export-table", kind, 0.06, "after") for kind in rnd.sample(AFTER, 4)]
    mix += [fault(route, rnd.choice(LOOKS), 0.05, "before") for route in ("list-jobs", "detail")]
    mix += [
        {"route": "list-jobs", "kind": f"list-lag:{rnd.randint(0, 3)}"},
        {"route": "list-jobs", "kind": f"foreign-jobs:{rnd.randint(0, 120)}"},
    ]
    return mix


class Dead(httpx.ReadError):
    """What is left of a dead process hears nothing."""


@dataclass
class World:
    """The machine, its clock, and what is durable: who owns the exports, their tokens and ends."""

    rnd: Random
    emulator: Emulator
    skew: float
    jump: float = 0.0
    owner: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    ends: Ends = field(default_factory=dict)
    planned: int = 0
    died: list[str] = field(default_factory=list)

    def unended(self) -> list[int]:
        return [number for number in range(self.planned) if path_of(number) not in self.ends]


def path_of(number: int) -> str:
    return f"obs://bucket/{number}"


class Process(httpx.AsyncBaseTransport):
    """One process, from its start to its end, or to its death at the `dies_at`-th such step."""

    def __init__(self, world: World, number: int, deadly: str | None) -> None:
        self.world = world
        self.number = number
        self.is_dead = False
        self._deadly = deadly
        self._dies_at = world.rnd.randint(1, NEW)
        self.stalls = deadly is not None and world.rnd.random() < 0.3
        self.scope = anyio.CancelScope()
        self._inner = world.emulator.transport()

    def step(self, name: str) -> None:
        """A moment at which the process may die.

        Raises:
            Dead: it did, now or before.
        """
        self._dies_at -= name == self._deadly
        if not self.is_dead and not self._dies_at:
            self.is_dead = True
            self.world.died.append(name)
            self.scope.cancel()
        self.check_alive()

    def check_alive(self) -> None:
        if self.is_dead:
            raise Dead("dead")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_post = request.method == "POST"
        self.step("before the handler") if is_post else self.check_alive()
        response = await self._inner.handle_async_request(request)
        date = parsedate_to_datetime(response.headers["Date"]).timestamp() + self.world.skew
        response.headers["Date"] = formatdate(date, usegmt=True)
        self.step("after the handler") if is_post else self.check_alive()
        return response

    async def run(self) -> None:
        """Takes over all that has not ended, plans some more, and brings it to its end."""
        self.world.owner = self.number
        self.world.planned += NEW
        with self.scope:
            async with self._client() as client, anyio.create_task_group() as tasks:
                for number in self.world.unended():
                    tasks.start_soon(self._export, client, number)

    def _client(self) -> DliClient:
        return self.world.emulator.client(
            transport=self,
            request_timeout=REQUEST_TIMEOUT,
            polling=PollPolicy(give_up_after=3600, missing_grace=60),
            submit=SubmitPolicy(attempts=10, grace=20),
        )

    async def _export(self, client: DliClient, number: int) -> None:
        keeper = Keeper(self, number)
        job = keeper.job_of(client)
        while path_of(number) not in self.world.ends:
            try:
                result = await job
            except (SubmitInDoubt, JobTimeout, RequestNotSent, RateLimited):
                await anyio.sleep(1)
            except (JournalError, Dead):
                break
            else:
                keeper.ended(result.job_id, result.status)
                break


class Keeper:
    """Keeps the token of one export, for one process."""

    def __init__(self, process: Process, number: int) -> None:
        self._process = process
        self._world = process.world
        self._path = path_of(number)
        table = f"t{number % 3}"
        self._spec = TableExport(database_name="db1", table_name=table, data_path=self._path)

    def job_of(self, client: DliClient) -> ExportJob:
        token = self._world.tokens.get(self._path)
        if token is None:
            self._job = ExportJob(client, self._spec, record=self)
        else:
            self._job = ExportJob.resume(client, token, record=self)
        return self._job

    async def before_post(self, departure: Departure) -> None:
        self._process.step("before the note")
        if self._world.owner != self._process.number:
            raise JournalError("overtaken")
        self._world.tokens[self._path] = self._job.token
        self._process.step("after the note")
        if self._process.stalls and self._world.rnd.random() < 0.3:
            await anyio.sleep(STALL)

    async def accepted(self, job_id: str) -> None:
        self._process.step("before the id is recorded")
        self._world.tokens[self._path] = self._job.token
        self._process.step("after the id is recorded")

    def ended(self, job_id: str | None, status: Any) -> None:
        if not self._process.is_dead:
            self._world.ends[self._path] = (job_id, status)


async def live(world: World) -> None:
    """Process after process; some begin before the last one knows that it was overtaken."""
    rnd = world.rnd
    async with anyio.create_task_group() as tasks:
        for number, deadly in enumerate(rnd.sample(STEPS, len(STEPS))):
            world.jump = rnd.choice([-600.0, 0.0, 600.0])
            tasks.start_soon(Process(world, number, deadly).run)
            await anyio.sleep(rnd.choice([1.0, 30.0, STALL, 300.0]))
    world.jump = rnd.choice([-600.0, 0.0, 600.0])
    await Process(world, len(STEPS), None).run()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_storm_of_deaths_makes_every_export_exactly_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, stalled, overtaken, throttled for minutes, by clocks that jump ten minutes and a
    `Date` that is up to a minute ahead: one job each, to its true end."""
    rnd = Random(seed)
    zero = anyio.current_time()

    def clock() -> float:
        return START + anyio.current_time() - zero

    emulator = Emulator(
        engine=NullEngine({"db1": ["t0", "t1", "t2"]}),
        inline=True,
        clock=clock,
        launch=2,
        run=20,
        slots=40,
        seed=seed,
    )
    emulator.faults.set(faults_of(rnd))
    world = World(rnd, emulator, skew=rnd.choice([0.0, 30.0, 55.0]))
    monkeypatch.setattr("dli_async._export.departure.wall_clock", lambda: clock() + world.jump)
    with anyio.fail_after(6 * 3600):
        await live(world)
    print(f"seed {seed}: died {', '.join(world.died)}")
    assert world.died
    check(emulator, world.ends)
