"""Queries and SQL in bulk runs: with a journal they are submitted once, by one key each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from dli_async import DliClient, ExportSpec, QueryExport, ResultExport, TableExport
from dli_async._journal.journal import Journal
from dli_async.bulk import ExportOutcome
from dli_async.emulator import Emulator, NullEngine
from tests.conftest import REAL
from tests.journal.support import departure, entries_of, quick_client, spec

pytestmark = pytest.mark.anyio


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: the journal has a thread."""
    return request.param


@pytest.fixture
async def emulator() -> AsyncGenerator[Emulator]:
    """A service without export-table, whose jobs take hardly any time."""
    engine = NullEngine()
    async with Emulator(
        engine=engine, inline=True, launch=0, run=0.02, without=["export-table"]
    ) as one:
        yield one


async def absent(path: str) -> bool:
    return False


async def run(client: DliClient, path: Path, specs: list[Any]) -> list[ExportOutcome]:
    async with client.export_many(specs, journal=path) as outcomes:
        return [outcome async for outcome in outcomes]


def query(number: int, **fields: Any) -> QueryExport:
    return QueryExport(f"SELECT {number} AS x", f"obs://bucket/q{number}", **fields)


def tags_of(report: Any) -> dict[str, str]:
    return {tag.key: tag.value for tag in report.tags or ()}


async def test_all_kinds_run_together_and_are_resumed(tmp_path: Path, emulator: Emulator) -> None:
    """Tables go by SQL where the call is gone; the next run sends nothing again."""
    path = tmp_path / "run.db"
    specs: list[ExportSpec] = [spec(1), spec(2), query(1), query(2, data_type="parquet")]
    async with quick_client(emulator, folder_check=absent) as client:
        first = await run(client, path, specs)
        assert [outcome.error for outcome in first] == [None] * 4
        again = await run(client, path, specs)
    assert {outcome.spec: outcome.job_id for outcome in again} == {
        outcome.spec: outcome.job_id for outcome in first
    }
    assert all(outcome.resumed for outcome in again)
    assert len(emulator.ledger.jobs) == 4
    keys = {entry.export_key: entry.spec for entry in await entries_of(path)}
    told = {tags_of(outcome.result.report)["dli_async"]: outcome.spec for outcome in first}  # type: ignore[union-attr]
    assert keys == told


async def test_a_query_of_unknown_fate_is_found_by_its_key(
    tmp_path: Path, emulator: Emulator
) -> None:
    """A run that died between POST and id adopts its job by the key that the journal kept."""
    path = tmp_path / "run.db"
    async with Journal.open(path, owner="the dead run", exclusive=True) as journal:
        entry = await journal.plan(query(1))
        await journal.departing(entry.id, departure())
    async with quick_client(emulator, folder_check=absent) as client:
        posting = query(1).posting("sql", str(entry.export_key))
        landed: list[Any] = []

        async def leave() -> None: ...

        await client.api.export(posting, leave, landed.append)
        [outcome] = await run(client, path, [query(1)])
    assert outcome.job_id == landed[0].job_id
    assert len(emulator.ledger.jobs) == 1


async def test_another_query_for_a_known_folder_is_refused(
    tmp_path: Path, emulator: Emulator
) -> None:
    """What the journal has as one export must not come out as another."""
    path = tmp_path / "run.db"
    async with quick_client(emulator, folder_check=absent) as client:
        await run(client, path, [query(1)])
        other = QueryExport("SELECT 2", query(1).data_path)
        table = TableExport(database_name="d", table_name="t", data_path=other.data_path)
        result = ResultExport("q-1", other.data_path)
        for wrong in (other, table, result):
            [outcome] = await run(client, path, [wrong])
            assert "journal has" in str(outcome.error)
    assert len(emulator.ledger.jobs) == 1
