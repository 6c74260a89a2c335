"""ls, verify, fetch, and export with --verify and --fetch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dli_async.emulator import Emulator

from .conftest import Cli, Server, error_line, serving

ORDERS = ("export", "sales.orders", "obs://lake/orders", "--compress", "gzip", "--header")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for OBS."""
    return tmp_path_factory.mktemp("obs")


@pytest.fixture(scope="module")
def _lake(root: Path) -> Iterator[Server]:
    with serving(Emulator(obs_dir=root, launch=0, run=0)) as server:
        yield server


@pytest.fixture
def lake(_lake: Server) -> Server:
    """An emulator that writes files, and has written none yet."""
    _lake.reset()
    return _lake


def test_export_verifies_and_fetches(lake: Server, tmp_path: Path) -> None:
    """One document tells the rows of the job, that they are there, and where the files are."""
    told = Cli(lake).json(*ORDERS, "--verify", "--fetch", str(tmp_path / "out"))

    assert (told["row_count"], told["verified"], told["files"]) == (12_000, True, 1)
    assert told["fetched_to"] == str(tmp_path / "out")
    [file] = (tmp_path / "out").glob("part-*.csv.gz")
    assert file.stat().st_size == told["size"]


@pytest.mark.parametrize("by", ["job", "folder"])
def test_files_are_listed_checked_and_fetched(lake: Server, tmp_path: Path, by: str) -> None:
    """By the id of the job or by the folder; the second fetch has nothing to do."""
    cli = Cli(lake)
    job_id = cli.json(*ORDERS)["job_id"]
    source = job_id if by == "job" else "obs://lake/orders"

    [part] = cli.json("ls", source)
    assert (part["format"], part["codec"]) == ("csv", "gzip")
    assert part["key"] == f"orders/{part['name']}"
    found = cli.json("verify", source, "--header")
    assert (found["rows"], found["differences"], found["size"]) == (12_000, [], part["size"])
    assert found["expected_rows"] == (12_000 if by == "job" else None)
    for fetched in (1, 0):
        done = cli.json("fetch", source, str(tmp_path))
        assert (done["files"], done["fetched"]) == (1, fetched)


def test_people_see_names_and_lines_of_progress(lake: Server, tmp_path: Path) -> None:
    """Where there is no terminal, a line tells when all is there."""
    cli = Cli(lake)
    cli(*ORDERS)
    listed = cli("ls", "obs://lake/orders").stdout.splitlines()
    assert listed[0].split() == ["name", "size", "format", "codec", "last_modified"]
    assert listed[1].startswith("part-00000-")
    fetched = cli("fetch", "obs://lake/orders", str(tmp_path))
    assert fetched.exit_code == 0
    assert "fetched 1 of 1 file, " in fetched.stderr


def test_a_check_that_fails_exits_with_1(lake: Server, root: Path) -> None:
    """The line names the file and what is wrong; the document lists it."""
    cli = Cli(lake)
    job_id = cli.json("export", "sales.orders", "obs://lake/cut", "--compress", "gzip")["job_id"]
    [file] = (root / "lake" / "cut").glob("part-*")
    file.write_bytes(file.read_bytes()[:-100])

    failed = cli("verify", job_id)
    assert failed.exit_code == 1
    assert f"{file.name} ends in the middle of its gzip stream" in error_line(failed)
    told = cli.json("verify", job_id, code=1)
    assert told["error"]["type"] == "VerificationFailed"
    assert len(told["error"]["differences"]) == 1


def test_a_folder_below_a_bucket_is_asked_for(lake: Server, tmp_path: Path) -> None:
    """A bucket, and an export that is not awaited, have no files to fetch."""
    assert Cli(lake)("fetch", "obs://lake", str(tmp_path)).exit_code == 2
    refused = Cli(lake)(*ORDERS, "--no-wait", "--verify")
    assert refused.exit_code == 2
    assert "--no-wait" in error_line(refused)
    assert lake.ledger()["jobs"] == []


def test_obs_may_be_elsewhere(lake: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option wins over the variable."""
    monkeypatch.setenv("OBS_ENDPOINT", "http://127.0.0.1:1")
    cli = Cli(lake)
    cli(*ORDERS)
    assert cli.json("ls", "obs://lake/orders", "--obs-endpoint", lake.url)


BULK = ("bulk", "--database", "sales", "--tables", "orders", "--tables", "stores")


def test_bulk_verifies_and_fetches(lake: Server, tmp_path: Path) -> None:
    """Each export into its own folder; what is there is not looked at again."""
    journal, out = tmp_path / "run.db", tmp_path / "out"
    args = (*BULK, "--to", "obs://lake/day/{table}", "--journal", str(journal))
    args += ("--verify", "--fetch", str(out))
    told = Cli(lake).json(*args)

    assert (told["finished"], told["incomplete"]) == (2, 0)
    for export in told["exports"]:
        folder = out / "day" / export["table_name"]
        assert (export["verified"], export["fetched_to"]) == (True, str(folder))
        assert list(folder.glob("part-*.csv"))
    asked = lake.ledger()["requests"]["obs-get"]
    again = Cli(lake)(*args)
    assert again.exit_code == 0
    lines = dict(line.split(":", 1) for line in again.stdout.splitlines())
    assert (lines["verified"].strip(), lines["fetched"].strip()) == ("2", "2")
    assert lake.ledger()["requests"]["obs-get"] == asked


def test_bulk_exits_with_1_while_files_are_not_complete(
    lake: Server, root: Path, tmp_path: Path
) -> None:
    """The summary names the export, `runs` shows it, and the same line mends it by itself."""
    journal, out = tmp_path / "run.db", tmp_path / "out"
    args = (*BULK, "--to", "obs://lake/day/{table}", "--journal", str(journal))
    cli = Cli(lake)
    cli.json(*args)
    [file] = (root / "lake" / "day" / "orders").glob("part-*")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])

    failed = cli(*args, "--verify", "--fetch", str(out))
    assert failed.exit_code == 1
    row = next(line for line in failed.stdout.splitlines() if line.startswith("sales.orders"))
    assert row.split()[1] == "incomplete"
    assert "rows were counted" in row
    last = failed.stderr.splitlines()[-1]
    assert "the files of 1 of 2 exports are not complete, or could not be fetched" in last
    assert "the same command line goes on with what is incomplete" in last
    assert "did not finish" not in last
    told = cli.json(*args, "--verify", code=1)
    assert (told["finished"], told["incomplete"], told["failed"]) == (1, 1, 0)
    assert [one["error"]["type"] for one in told["exports"] if one["error"]] == [
        "VerificationFailed"
    ]

    shown = cli("runs", str(journal)).stdout.splitlines()
    assert "files" in shown[0].split()
    orders, stores = sorted(line for line in shown if line.startswith("sales."))
    assert "not verified" in orders
    assert "rows were counted" in orders
    assert "verified, fetched" in stores
    totals = cli.json("runs", str(journal))["totals"]
    assert (totals["verified"], totals["fetched"], totals["incomplete"]) == (1, 1, 1)

    file.write_bytes(whole)
    assert cli(*args, "--verify", "--fetch", str(out)).exit_code == 0
    assert len(lake.ledger()["jobs"]) == 2
