"""Journals of earlier releases go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dli_async import FilesError, QueryExport
from dli_async._journal.journal import Journal
from tests.conftest import REAL
from tests.journal.support import as_version_3, entries_of, opened, report, spec

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
    as_version_3(path)
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


async def test_files_of_exports_of_an_earlier_journal_are_still_to_be_looked_at(
    tmp_path: Path,
) -> None:
    """A reader sees that nothing is known of them; a writer adds what becomes of them."""
    path = tmp_path / "run.db"
    async with Journal.open(path, owner="me") as journal:
        for number in (1, 2):
            entry = await journal.plan(spec(number))
            await journal.submitted(entry.id, f"job-{number}")
            await journal.ended(entry.id, report(job_id=f"job-{number}"), None)
    as_version_3(path)
    before = await entries_of(path)
    assert [entry.lacks(verify=True, fetch=tmp_path) for entry in before] == [True, True]
    with opened(path) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 3

    async with Journal.open(path, owner="me") as journal:
        assert await journal.entries() == before
        await journal.verified(1, None)
        await journal.fetching(1, str(tmp_path / "t1"))
        await journal.fetched(1, None)
        await journal.verified(2, "cut off")
        first, second = await journal.entries()
        with pytest.raises(FilesError, match=r"has the files of db1\.t1"):
            await journal.fetching(2, str(tmp_path / "t1"))
    assert not first.lacks(verify=True, fetch=tmp_path)
    assert first.lacks(verify=False, fetch=tmp_path / "elsewhere")
    assert first.files_error is None
    assert (second.state, second.files_error) == ("finished", "cut off")
    assert second.lacks(verify=True, fetch=None)
    assert not second.lacks(verify=False, fetch=None)


async def test_only_the_owner_of_a_finished_export_tells_of_its_files(tmp_path: Path) -> None:
    """Neither another worker nor anybody before the end."""
    path = tmp_path / "run.db"
    async with Journal.open(path, owner="me") as mine, Journal.open(path, owner="you") as yours:
        entry = await mine.plan(spec())
        await mine.verified(entry.id, None)
        await mine.submitted(entry.id, "job-1")
        await mine.ended(entry.id, report(), None)
        await yours.verified(entry.id, None)
        await yours.fetched(entry.id, "no")
        [found] = await mine.entries()
        events = await mine.events()
        await mine.verified(entry.id, None)
        assert await mine.events() == events
    assert (found.verified_at, found.files_error) == (None, None)
