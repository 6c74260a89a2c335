"""Storms in virtual time: many exports, random faults, random cancellations, and the invariants.

A failing storm prints its seed; `STORM_SEEDS=17,23` in the environment runs chosen ones.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio
import pytest

from dli_async import (
    ClientClosed,
    DliClient,
    DliError,
    ExportJob,
    ExportResult,
    JobCancelled,
    JobError,
    JobFailed,
    JobStatus,
    JobTimeout,
    PollPolicy,
    SubmitInDoubt,
    SubmitPolicy,
    TableExport,
)
from dli_async.emulator import Emulator, NullEngine

pytestmark = pytest.mark.anyio

SEEDS = [int(seed) for seed in os.environ.get("STORM_SEEDS", "1,2,3,4").split(",")]
START = 1_767_225_600.0
REQUEST_TIMEOUT = 20.0

# The answer is lost after the job exists.
AFTER = [
    "reset", "timeout", "truncate", "status:502:html", "status:408", "status:500",
    "broken-json", "is-success-false", "status:504:gateway", "status:400:DLI.0999",
]  # fmt: skip
# Nothing was done yet.
BEFORE = [
    "refuse", "reset", "throttle:2", "throttle:date", "throttle", "status:503",
    "status:502:html", "status:500:gateway", "slow-headers:3",
]  # fmt: skip
LOOKS = ["reset", "status:503", "status:502:html", "throttle:1", "broken-json", "truncate"]
STATES = ["finish", "scaling", "string-booleans", "unknown-status", "shifting-pages"]


def faults_of(rnd: Random) -> list[dict[str, Any]]:
    """A random mix; half of all submits lose their answer, lists lag by up to 3 s."""

    def fault(route: str, kind: str, probability: float, **more: Any) -> dict[str, Any]:
        chance = {"probability": probability, "seed": rnd.randrange(10**6)}
        return {"route": route, "kind": kind} | chance | more

    mix = [fault("export-table", kind, 0.06, when="after") for kind in rnd.sample(AFTER, 8)]
    mix += [fault("export-table", kind, 0.04, when="before") for kind in rnd.sample(BEFORE, 4)]
    mix += [
        fault(route, kind, 0.02, when="before")
        for route in ("status", "list-jobs", "detail", "cancel")
        for kind in rnd.sample(LOOKS, 3)
    ]
    mix += [{"route": "*", "kind": kind} for kind in rnd.sample(STATES, 2)]
    mix += [
        {"route": "list-jobs", "kind": f"list-lag:{rnd.randint(0, 3)}"},
        {"route": "list-jobs", "kind": f"foreign-jobs:{rnd.randint(0, 150)}"},
        {"route": "status", "kind": "status-lag:2"},
        fault("export-table", "fail:DLI.0999", 0.05),
        fault("export-table", "cancelled-by-other", 0.03),
    ]
    return mix


Ends = dict[str, tuple[str | None, JobStatus]]


def check_exactly_once(emulator: Emulator, ends: Ends) -> None:
    """The invariants of every storm: one job for each export, its own, to its true end."""
    made = {job["job_id"]: job for job in emulator.ledger.as_dict()["jobs"]}
    per_path = Counter(job["spec"]["data_path"] for job in made.values())
    assert {path: n for path, n in per_path.items() if n > 1} == {}, "made twice"
    assert set(per_path) == set(ends), "lost, or made for nobody"
    for path, (job_id, status) in ends.items():
        job = made[str(job_id)]
        assert job["spec"]["data_path"] == path, "somebody else's job"
        assert job["state"] == status, "not the job's true end"


@dataclass
class Storm:
    """One run: what was asked for, and what came of it."""

    seed: int
    emulator: Emulator
    client: DliClient
    rnd: Random
    ends: Ends = field(default_factory=dict)
    jobs: dict[str, ExportJob] = field(default_factory=dict)

    async def export(self, number: int) -> None:
        """One export, awaited, cancelled and resumed at random until it has ended."""
        path = f"obs://bucket/{self.seed}/{number}"
        mode = self.rnd.choice(["Overwrite", "ErrorIfExists"])
        spec = TableExport(
            database_name="db1",
            table_name=f"t{number % 7}",
            data_path=path,
            export_mode=mode,
        )
        job = ExportJob(self.client, spec)
        self.jobs[path] = job
        while path not in self.ends:
            job = self.jobs[path] = await self._bear(job)

    async def _bear(self, job: ExportJob) -> ExportJob:
        """Waits as some user would, and returns the handle to go on with."""
        assert job.spec is not None
        way = self.rnd.random()
        patience = self.rnd.choice([0.5, 2.0, 8.0, 30.0, 90.0])
        with anyio.move_on_after(patience if way < 0.35 else None) as scope:
            try:
                result = await self._wait(job, patience if way > 0.65 else None)
            except JobTimeout:
                return job
            except (JobFailed, JobCancelled) as error:
                assert error.report is not None
                self.ends[job.spec.data_path] = (error.job_id, error.report.status)
            except SubmitInDoubt as error:
                assert error.job is job
            except DliError as error:
                assert error.__class__.__name__ in ("RequestNotSent", "RateLimited"), error
            else:
                self.ends[job.spec.data_path] = (result.job_id, result.status)
        if scope.cancelled_caught and self.rnd.random() < 0.5:
            return ExportJob.resume(self.client, job.token)
        return job

    async def _wait(self, job: ExportJob, timeout: float | None) -> ExportResult:
        started = anyio.current_time()
        try:
            return await job.result(timeout=timeout)
        finally:
            spent = anyio.current_time() - started
            limit = float("inf") if timeout is None else timeout
            assert spent <= limit + REQUEST_TIMEOUT + 1, f"a wait of {limit} s took {spent} s"


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_storm_makes_every_export_exactly_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is lost, delayed, cancelled or resumed: one job each, true ends, nothing left."""
    rnd = Random(seed)
    zero = anyio.current_time()

    def clock() -> float:
        return START + anyio.current_time() - zero

    monkeypatch.setattr("dli_async._export.departure.wall_clock", clock)
    emulator = Emulator(
        engine=NullEngine({"db1": [f"t{n}" for n in range(7)]}),
        inline=True,
        clock=clock,
        launch=2,
        run=20,
        slots=40,
        seed=seed,
    )
    emulator.faults.set(faults_of(rnd))
    client = emulator.client(
        request_timeout=REQUEST_TIMEOUT,
        polling=PollPolicy(give_up_after=3600, missing_grace=60),
        submit=SubmitPolicy(attempts=10, grace=20),
    )
    async with client:
        storm = Storm(seed, emulator, client, rnd)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(storm.export, number)
        assert client.detached == []
    check_exactly_once(emulator, storm.ends)
    assert len(client._tasks) == 0
    assert client._waits == set()


async def test_a_client_that_closes_in_a_storm_loses_no_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every job that was made is known to its handle or found again from its token."""
    zero = anyio.current_time()

    def clock() -> float:
        return START + anyio.current_time() - zero

    monkeypatch.setattr("dli_async._export.departure.wall_clock", clock)
    emulator = Emulator(
        engine=NullEngine({"db1": ["t0"]}), inline=True, clock=clock, launch=2, run=20, slots=40
    )
    lost = {"route": "export-table", "when": "after", "kind": "timeout", "probability": 0.5}
    emulator.faults.set([lost | {"seed": 3}])
    tokens: dict[str, str] = {}
    first = emulator.client(request_timeout=REQUEST_TIMEOUT)

    async def export(path: str) -> None:
        spec = TableExport(database_name="db1", table_name="t0", data_path=path)
        job = ExportJob(first, spec)
        with pytest.raises((ClientClosed, JobError, SubmitInDoubt)):
            await job
        tokens[path] = job.token

    async with anyio.create_task_group() as tasks:
        await first.__aenter__()
        for number in range(40):
            tasks.start_soon(export, f"obs://bucket/{number}")
        await anyio.sleep(5)
        await first.__aexit__(None, None, None)
    # The tokens were taken while POSTs were still under way: they say so.
    async with emulator.client(request_timeout=REQUEST_TIMEOUT) as second:
        for path, token in tokens.items():
            result = await ExportJob.resume(second, token)
            assert result.data_path == path
    made = Counter(job["spec"]["data_path"] for job in emulator.ledger.as_dict()["jobs"])
    assert made == dict.fromkeys(tokens, 1)
