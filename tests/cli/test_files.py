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
