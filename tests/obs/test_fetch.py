"""Fetching: whole files or none, nothing twice, never parts of two versions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from dli_async import ConfigurationError, DliClient
from dli_async.obs import Fetched, FetchProgress, FileChanged, FilesError, UnsafeName

from .conftest import DATA_PATH, Lake

pytestmark = pytest.mark.anyio

LARGE = os.urandom(5 << 20)


def fill(lake: Lake, count: int = 3) -> dict[str, bytes]:
    """Small files, an empty one and a large one."""
    contents = {f"part-0000{n}.csv": f"{n}\n".encode() for n in range(count)}
    contents |= {"part-00008.csv": b"", "part-00009.csv": LARGE}
    for name, content in contents.items():
        lake.write(name, content)
    return contents


def whole(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.suffix != ".part"
    }


async def test_all_files_come_whole(lake: Lake, client: DliClient, tmp_path: Path) -> None:
    """The progress tells bytes and files, and ends where all is there."""
    contents = fill(lake)
    told: list[FetchProgress] = []

    done = await client.files.fetch(DATA_PATH, tmp_path / "a" / "out", on_progress=told.append)

    assert whole(done.folder) == contents
    assert done.files == tuple(tmp_path / "a" / "out" / name for name in contents)
    assert (done.size, done.fetched) == (sum(map(len, contents.values())), len(contents))
    assert told[-1] == FetchProgress(
        files_done=5, files_total=5, bytes_done=done.size, bytes_total=done.size
    )
    assert [one.bytes_done for one in told] == sorted(one.bytes_done for one in told)


async def test_what_is_whole_is_not_fetched_again(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """And what was replaced meanwhile is, even by something of the same size."""
    contents = fill(lake)
    await client.files.fetch(DATA_PATH, tmp_path)
    before = lake.gets()

    again = await client.files.fetch(DATA_PATH, tmp_path)
    assert (again.fetched, lake.gets()) == (0, before)

    lake.write("part-00001.csv", b"X\n")
    again = await client.files.fetch(DATA_PATH, tmp_path)
    assert (again.fetched, lake.gets()) == (1, before + 1)
    assert whole(tmp_path) == contents | {"part-00001.csv": b"X\n"}


async def test_a_local_file_that_was_cut_is_fetched_again(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """Its size tells; so does that of one that nobody fetched."""
    contents = fill(lake)
    (tmp_path / "part-00000.csv").write_bytes(b"0\n")
    await client.files.fetch(DATA_PATH, tmp_path)
    (tmp_path / "part-00009.csv").write_bytes(LARGE[:-1])

    assert (await client.files.fetch(DATA_PATH, tmp_path)).fetched == 1
    assert whole(tmp_path) == contents


class Stop(Exception):
    """Ends a fetch from within its progress."""


def stop_after(size: int) -> Any:
    def on_progress(progress: FetchProgress) -> None:
        if progress.bytes_done >= size:
            raise Stop

    return on_progress


async def test_a_fetch_goes_on_where_it_stopped(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """Only the rest is asked for, by Range; until then nothing looks whole that is not."""
    lake.write("part-00009.csv", LARGE)
    with pytest.raises(Stop):
        await client.files.fetch(DATA_PATH, tmp_path, on_progress=stop_after(1))
    assert whole(tmp_path) == {}
    assert (tmp_path / "part-00009.csv.part").read_bytes() == LARGE[: 2 << 20]

    told: list[FetchProgress] = []
    await client.files.fetch(DATA_PATH, tmp_path, on_progress=told.append)

    assert told[0].bytes_done == 2 << 20
    assert lake.gets() == 3
    assert whole(tmp_path) == {"part-00009.csv": LARGE}


async def test_the_rest_is_never_that_of_a_newer_object(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """What was begun is thrown away, and so is a longer rest of something else."""
    lake.write("part-00009.csv", LARGE)
    with pytest.raises(Stop):
        await client.files.fetch(DATA_PATH, tmp_path, on_progress=stop_after(1))
    newer = bytes(reversed(LARGE))
    lake.write("part-00009.csv", newer)
    (tmp_path / "part-00009.csv.part").write_bytes(LARGE * 2)

    await client.files.fetch(DATA_PATH, tmp_path)

    assert whole(tmp_path) == {"part-00009.csv": newer}
    assert not (tmp_path / "part-00009.csv.part").exists()


async def test_an_object_that_is_replaced_on_the_way_ends_the_fetch(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """Nothing of it looks whole; the next fetch brings the new one."""
    lake.write("part-00009.csv", LARGE)
    newer = bytes(reversed(LARGE))

    def replace(progress: FetchProgress) -> None:
        lake.write("part-00009.csv", newer)

    with pytest.raises(FileChanged, match="replaced"):
        await client.files.fetch(DATA_PATH, tmp_path, on_progress=replace)
    assert whole(tmp_path) == {}
    await client.files.fetch(DATA_PATH, tmp_path)
    assert whole(tmp_path) == {"part-00009.csv": newer}


async def test_a_fetch_that_is_cancelled_leaves_nothing_half(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """At any block; the folder is free for the next one at once."""
    contents = fill(lake)
    for size in range(0, len(LARGE), 1 << 20):
        with anyio.CancelScope() as scope:

            def cancel(progress: FetchProgress, size: int = size, scope: Any = scope) -> None:
                if progress.bytes_done >= size:
                    scope.cancel()

            await client.files.fetch(DATA_PATH, tmp_path, on_progress=cancel)
        assert whole(tmp_path).items() <= contents.items()
    await client.files.fetch(DATA_PATH, tmp_path)
    assert whole(tmp_path) == contents


@pytest.mark.parametrize("kind", ["truncate", "wrong-length", "ignored-range"])
async def test_trouble_on_the_way_is_got_over(
    lake: Lake, client: DliClient, tmp_path: Path, kind: str
) -> None:
    """A body that is cut or short, a Range that is ignored."""
    contents = fill(lake)
    fault: dict[str, Any] = {"route": "obs-get", "kind": kind, "nth": [1, 3, 5]}
    if kind == "truncate":
        fault["when"] = "after"
    lake.emulator.faults.set([fault])

    await client.files.fetch(DATA_PATH, tmp_path, max_parallel=1)

    assert whole(tmp_path) == contents
    assert lake.emulator.ledger.faults[kind] >= 1


@pytest.mark.parametrize("name", ["a\\b.csv", "x.csv.part", ".dli-async-fetch", "n" * 252])
def test_names_that_are_unsafe_are_refused(name: str) -> None:
    """A key is never trusted as a path; nor may it be taken for what a fetch writes."""
    from dli_async._obs.fetch import check_names
    from dli_async.obs import PartFile

    for key in (f"exp/{name}", f"exp/run1/{name}"):
        with pytest.raises(UnsafeName, match="no safe name"):
            check_names((PartFile.of("lake", key, 1, "e", ""),))
    check_names((PartFile.of("lake", "exp/数据 100% +~.csv", 1, "e", ""),))


@pytest.mark.parametrize("name", ["..", ".", "a\nb", "a\0b", ""])
def test_names_that_are_no_names_are_refused(name: str) -> None:
    """The folder itself, the one above, and what has control characters."""
    from dli_async._obs.fetch import check_names
    from dli_async.obs import PartFile

    with pytest.raises(UnsafeName):
        check_names((PartFile.of("lake", f"exp/{name}", 1, "e", ""),))


async def test_nothing_is_fetched_where_one_name_is_unsafe(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """It is said before the folder is made."""
    fill(lake)
    lake.write("part\\..\\x.csv", b"x")
    with pytest.raises(UnsafeName):
        await client.files.fetch(DATA_PATH, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert lake.gets() == 0


async def test_two_fetches_into_one_folder_are_told_apart(
    lake: Lake, client: DliClient, tmp_path: Path
) -> None:
    """The second is refused while the first is under way."""
    fill(lake)
    refused: list[Exception] = []
    results: list[Fetched] = []

    async def second() -> None:
        try:
            await client.files.fetch(DATA_PATH, tmp_path)
        except FilesError as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        started = anyio.Event()

        async def first() -> None:
            done = await client.files.fetch(
                DATA_PATH, tmp_path, on_progress=lambda _: started.set(), max_parallel=1
            )
            results.append(done)

        lake.emulator.faults.set([{"route": "obs-get", "kind": "slow-body:0.2", "nth": [2]}])
        tasks.start_soon(first)
        await started.wait()
        await second()
    assert "another fetch" in str(refused[0])
    assert results[0].fetched == 5


async def test_a_limit_that_is_none_is_refused(client: DliClient, tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match="max_parallel"):
        await client.files.fetch(DATA_PATH, tmp_path, max_parallel=-1)
