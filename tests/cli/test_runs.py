"""`dli-async runs`: what a journal holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from dli_async._journal.journal import Journal
from tests.journal.support import departure, report, spec, spoil

from .conftest import Cli, error_line


async def _fill(journal: Journal) -> None:
    finished, failed, running, _ = [await journal.add(spec(number)) for number in range(1, 5)]
    for entry in (finished, failed, running):
        await journal.departing(entry.id, departure())
        await journal.submitted(entry.id, f"job-{entry.id}")
    fields: dict[str, Any] = {"duration": 1500, "result_count": 12_345, "input_size": 2_500_000}
    await journal.ended(finished.id, report(job_id="job-1", **fields), None)
    await journal.ended(failed.id, report("FAILED", "job-2"), "DLI.0999: no disk")


async def _with(path: Path, work: Callable[[Journal], Awaitable[None]]) -> None:
    async with Journal.open(path, owner="a test", exclusive=True) as journal:
        await work(journal)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Four exports: one finished, one failed, one submitted, one planned."""
    path = tmp_path / "run.db"
    anyio.run(_with, path, _fill)
    return path


def test_it_lists_every_export_and_the_totals(journal: Path) -> None:
    """States, job ids, durations, rows, sizes and reasons, and how much it is in all."""
    result = Cli()("runs", str(journal))
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[1] == [
        *("db1.t1", "finished", "1", "job-1", "1.5", "s", "12,345", "2.5", "MB", "-"),
    ]
    assert lines[2][:4] == ["db1.t2", "failed", "1", "job-2"]
    assert result.stdout.splitlines()[2].endswith("DLI.0999: no disk")
    assert result.stdout.splitlines()[-1] == (
        "4 exports: 1 planned, 1 submitted, 1 finished, 1 failed; 12,345 rows, 2.5 MB"
    )


def test_it_lists_only_the_states_that_are_asked_for(journal: Path) -> None:
    """Several states may be named; totals are those of what is listed."""
    document = Cli().json("runs", str(journal), "--state", "FAILED", "--state", "planned")
    assert [export["state"] for export in document["exports"]] == ["failed", "planned"]
    assert document["totals"]["exports"] == 2
    assert document["totals"]["finished"] == 0
    assert Cli().json("runs", str(journal), "--state", "cancelled")["exports"] == []


def test_its_document_tells_all_that_is_known(journal: Path) -> None:
    """One object: the exports as the journal has them, and the totals."""
    document = Cli().json("runs", str(journal))
    first, second, *_ = document["exports"]
    assert first["job_id"] == "job-1"
    assert (first["row_count"], first["input_size"], first["duration"]) == (12_345, 2_500_000, 1.5)
    assert first["spec"]["data_path"] == first["data_path"]
    assert second["error"] == "DLI.0999: no disk"
    totals = document["totals"]
    assert totals["created_at"] <= totals["ended_at"]
    assert (totals["row_count"], totals["input_size"]) == (12_345, 2_500_000)


def test_it_reads_a_journal_that_is_in_use(journal: Path) -> None:
    """A run that writes, and holds its lock, does not keep anybody from looking."""

    async def look(_: Journal) -> None:
        result = await anyio.to_thread.run_sync(partial(Cli().json, "runs", str(journal)))
        assert result["totals"]["exports"] == 4

    anyio.run(_with, journal, look)


def test_a_file_that_is_not_there_is_one_line_and_stays_so(tmp_path: Path) -> None:
    """Looking never makes a file."""
    path = tmp_path / "none.db"
    result = Cli()("runs", str(path))
    assert result.exit_code == 2
    assert f"'{path}' does not exist" in error_line(result)
    assert not path.exists()


def test_a_file_that_is_no_journal_is_one_line(tmp_path: Path) -> None:
    """It is named as what it is."""
    path = tmp_path / "run.db"
    spoil(path)
    result = Cli()("runs", str(path))
    assert result.exit_code == 4
    assert "run.db: file is not a database" in error_line(result)
