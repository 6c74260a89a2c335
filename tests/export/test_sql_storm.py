"""A storm over submit-job, in virtual time: answers are lost, lists lag, exports look alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import anyio
import pytest

from dli_async import ExportJob, ExportSpec, QueryExport, SubmitPolicy, TableExport
from dli_async.emulator import Emulator, NullEngine

pytestmark = pytest.mark.anyio

START = 1_767_225_600.0
LOST = ["reset", "timeout", "truncate", "status:502:html", "status:400:DLI.0999", "broken-json"]
COUNT = 40


async def absent(path: str) -> bool:
    return False


def alike(count: int) -> list[ExportSpec]:
    """One query and one table, over and over, each to a folder of its own."""
    query = QueryExport("SELECT id FROM db1.t0", "obs://bucket/x")
    table = TableExport(database_name="db1", table_name="t0", data_path="obs://bucket/x")
    return [
        (table if number % 2 else query).model_copy(update={"data_path": f"obs://bucket/{number}"})
        for number in range(count)
    ]


def tables(count: int) -> list[ExportSpec]:
    """One table, over and over."""
    return [
        TableExport(database_name="db1", table_name="t0", data_path=f"obs://bucket/{number}")
        for number in range(count)
    ]


class Storm:
    """An emulator that loses half of all answers to submits after the job exists."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, route: str, **options: Any) -> None:
        zero = anyio.current_time()

        def clock() -> float:
            return START + anyio.current_time() - zero

        monkeypatch.setattr("dli_async._export.departure.wall_clock", clock)
        engine = NullEngine({"db1": ["t0"]})
        self.emulator = Emulator(
            engine=engine, inline=True, clock=clock, launch=1, run=5, slots=40, **options
        )
        chances = [
            {"route": route, "when": "after", "kind": kind, "probability": 0.11, "seed": seed}
            for seed, kind in enumerate(LOST)
        ]
        lag = {"route": "list-jobs", "kind": "list-lag:2"}
        self.emulator.faults.set([*chances, lag, {"route": "list-jobs", "kind": "foreign-jobs:20"}])

    async def export(self, specs: Sequence[ExportSpec], **options: Any) -> dict[str, str]:
        """Exports all at once, some by way of a token; the jobs by folder."""
        found: dict[str, str] = {}
        submit = SubmitPolicy(attempts=10, grace=20)
        client = self.emulator.client(submit=submit, request_timeout=20, **options)
        dice = Random(7)

        async def one(spec: ExportSpec) -> None:
            job = ExportJob(client, spec)
            if dice.random() < 0.3:
                with anyio.move_on_after(0.5):
                    await job
                job = client.resume(job.token)
            found[spec.data_path] = (await job.result()).job_id

        async with client, anyio.create_task_group() as group:
            for spec in specs:
                group.start_soon(one, spec)
        return found

    def folders(self) -> dict[str, str]:
        """The jobs that were made, by folder; one for each."""
        jobs = self.emulator.ledger.as_dict()["jobs"]
        folders = Counter(job["spec"]["data_path"] for job in jobs)
        assert {path: count for path, count in folders.items() if count > 1} == {}
        return {job["spec"]["data_path"]: job["job_id"] for job in jobs}

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(self.emulator.ledger.requests.values())


async def test_exports_that_look_alike_are_made_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """By SQL alone, and each export knows its own job, though statements differ by folder only."""
    storm = Storm(monkeypatch, "submit-job", without=["export-table"])
    found = await storm.export(alike(COUNT), folder_check=absent)
    assert found == storm.folders()
    assert len(found) == COUNT


@pytest.mark.parametrize("is_calm", [True, False])
async def test_sql_takes_no_more_requests_than_the_call(
    is_calm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In calm as many, in a storm fewer: the key tells what takes a look at each job else."""
    requests = []
    for route, options in (("export-table", {}), ("submit-job", {"table_exports": "sql"})):
        storm = Storm(monkeypatch, route)
        if is_calm:
            storm.emulator.faults.clear()
        await storm.export(tables(COUNT), folder_check=absent, **options)
        assert len(storm.folders()) == COUNT
        requests.append(storm.requests)
    by_call, by_sql = requests
    assert by_sql == by_call if is_calm else by_sql < by_call
