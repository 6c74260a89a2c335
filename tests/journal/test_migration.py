"""Journals of earlier releases go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dli_async import QueryExport
from dli_async._journal.journal import Journal
from tests.conftest import REAL
from tests.journal.support import opened, spec

pytestmark = pytest.mark.anyio


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time: the journal has a thread."""
    return request.param


async def test_exports_of_an_earlier_journal_get_a_key_each(tmp_path: Path) -> None:
    """The file had no keys for them; each gets one of its own, which moves along with the file."""
    path = tmp_path / "run.db"
    async with Journal.open(path, owner="me") as journal:
        for number in (1, 2, 3):
            await journal.plan(spec(number))
        await journal.submitted(3, "job-3")
    with opened(path) as db:
        db.execute("ALTER TABLE exports DROP COLUMN export_key")
        db.execute("PRAGMA user_version = 2")
    async with Journal.open(path, owner="me") as journal:
        first, second, job = await journal.entries()
        keys = {entry.export_key for entry in (first, second, job)}
        assert len(keys - {None}) == 3
        assert len({journal.export_id(entry) for entry in (first, second, job)}) == 3
        assert [entry.spec for entry in (first, second, job)] == [spec(1), spec(2), spec(3)]
        planned = await journal.plan(QueryExport("SELECT 1", "obs://bucket/q"))
    assert planned.export_key is not None
    assert (planned.label, planned.database_name, planned.table_name) == ("query SELECT 1", "", "")
    assert planned.as_dict()["spec"]["kind"] == "query"
