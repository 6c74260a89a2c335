"""Paths stay below the root, and exports appear whole or not at all."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dli_async.emulator._engine.obs import AlreadyExists, ObsStore, Staging, UnsafePath


@pytest.fixture
def store(tmp_path: Path) -> ObsStore:
    return ObsStore(tmp_path / "obs")


@contextmanager
def staged(store: ObsStore, data_path: str, *, overwrite: bool) -> Iterator[Path]:
    """What an export does: publishes what was written, or discards it on an error."""
    staging = store.stage(data_path, overwrite=overwrite)
    try:
        yield staging.folder
    except BaseException:
        staging.discard()
        raise
    staging.publish()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "data_path", ["obs://bucket/a/b", "s3a://bucket/a/b", "OBS://bucket/a/b", "obs://bucket/a/b/"]
)
def test_a_path_names_a_folder_below_the_root(store: ObsStore, data_path: str) -> None:
    """Scheme, its case and one trailing slash make no difference."""
    assert store.folder(data_path) == store.root / "bucket" / "a" / "b"


@pytest.mark.parametrize("name", ["100%", "a b", "数据", "a%20b", "...", "x.csv", "a+b", "_temp"])
def test_unusual_names_are_taken_as_they_are(store: ObsStore, name: str) -> None:
    """A folder name is no URL: nothing in it is decoded."""
    assert store.folder(f"obs://bucket/{name}").name == name


@pytest.mark.parametrize(
    "data_path",
    [
        "obs://bucket",
        "obs://bucket/",
        "obs://bucket//",
        "obs:///a/b",
        "obs://",
        "",
        "bucket/a",
        "/etc/passwd",
        "file:///etc/passwd",
        "obs:/bucket/a",
        "obs://bucket/a//b",
        "obs://bucket/../a",
        "obs://bucket/a/..",
        "obs://../a",
        "obs://bucket/./a",
        "obs://bucket/..\\a",
        "obs://bucket/a\x00b",
        "obs://bucket/a\nb",
        "obs://bucket/a\x7fb",
        "obs://bucket/%2e%2e/a",
        "obs://bucket/%2E%2e",
        "obs://bucket/%252e%252e",
        "obs://bucket/..%2f..%2fetc",
        "obs://bucket/a%5cb",
        "obs://bucket/a%00b",
        "obs://bucket/\udc80",
        f"obs://bucket/{'x' * 256}",
        f"obs://bucket/{'数' * 86}",
        "obs://bucket" + "/abc" * 300,
    ],
)
def test_paths_that_could_leave_the_root_are_refused(store: ObsStore, data_path: str) -> None:
    """Traversal in any disguise, and what is no folder below a bucket, raises UnsafePath."""
    with pytest.raises(UnsafePath):
        store.folder(data_path)
    with pytest.raises(UnsafePath), staged(store, data_path, overwrite=True):
        pytest.fail("nothing may be staged")
    assert not store.root.exists()


@pytest.mark.parametrize("target", ["outside", "obs", "obs/other"])
def test_links_out_of_the_bucket_are_refused(store: ObsStore, tmp_path: Path, target: str) -> None:
    """A link to elsewhere, to the root or to a whole bucket would let Overwrite delete too much."""
    (tmp_path / "outside").mkdir()
    (store.root / "bucket").mkdir(parents=True)
    (store.root / "other").mkdir()
    (store.root / "bucket" / "link").symlink_to(tmp_path / target, target_is_directory=True)
    with pytest.raises(UnsafePath):
        store.folder("obs://bucket/link")


def test_a_linked_bucket_is_refused(store: ObsStore, tmp_path: Path) -> None:
    """Also a bucket may not be a link out of the root."""
    (tmp_path / "outside").mkdir()
    store.root.mkdir()
    (store.root / "bucket").symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(UnsafePath):
        store.exists("obs://bucket/a")


def test_links_within_a_bucket_and_a_linked_root_are_fine(tmp_path: Path) -> None:
    """What stays below the root is no danger."""
    (tmp_path / "real" / "bucket" / "a").mkdir(parents=True)
    (tmp_path / "root").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "bucket" / "b").symlink_to("a", target_is_directory=True)
    assert ObsStore(tmp_path / "root").exists("obs://bucket/b")


def test_links_in_a_circle_are_refused(store: ObsStore) -> None:
    """A path that has no end is unsafe, not a crash."""
    (store.root / "bucket").mkdir(parents=True)
    (store.root / "bucket" / "a").symlink_to("b")
    (store.root / "bucket" / "b").symlink_to("a")
    with pytest.raises(UnsafePath):
        store.folder("obs://bucket/a/x")


def test_a_file_on_the_way_is_refused(store: ObsStore) -> None:
    """A folder cannot lie in a file."""
    (store.root / "bucket").mkdir(parents=True)
    (store.root / "bucket" / "file").touch()
    with pytest.raises(UnsafePath):
        store.folder("obs://bucket/file/a")


def test_an_export_appears_with_success_last(store: ObsStore) -> None:
    """While it is written only `_temporary` is there; after it the files and an empty _SUCCESS."""
    folder = store.folder("obs://bucket/a/b")
    assert not store.exists("obs://bucket/a/b")
    with staged(store, "obs://bucket/a/b", overwrite=False) as staging:
        (staging / "part").write_text("x")
        assert names(folder) == ["_temporary"]
        assert store.exists("obs://bucket/a/b")
    assert names(folder) == ["_SUCCESS", "part"]
    assert (folder / "_SUCCESS").stat().st_size == 0


def test_an_existing_folder_is_not_touched_without_overwrite(store: ObsStore) -> None:
    """ErrorIfExists says which path exists and leaves it alone."""
    with staged(store, "obs://bucket/a", overwrite=False) as staging:
        (staging / "old").touch()
    with (
        pytest.raises(AlreadyExists, match="path obs://bucket/a already exists") as caught,
        staged(store, "obs://bucket/a", overwrite=False),
    ):
        pytest.fail("nothing may be staged")
    assert caught.value.data_path == "obs://bucket/a"
    assert names(store.folder("obs://bucket/a")) == ["_SUCCESS", "old"]


def test_overwrite_replaces_everything_in_the_folder(store: ObsStore, tmp_path: Path) -> None:
    """Old files, folders and links go; what a link points to stays."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    folder = store.folder("obs://bucket/a")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "old").touch()
    (folder / "link").symlink_to(tmp_path / "kept", target_is_directory=True)
    with staged(store, "obs://bucket/a", overwrite=True) as staging:
        assert names(folder) == ["_temporary", "link", "sub"]
        (staging / "new").touch()
    assert names(folder) == ["_SUCCESS", "new"]
    assert names(tmp_path / "kept") == ["file"]


def test_overwrite_replaces_a_file_by_a_folder(store: ObsStore) -> None:
    """A file of the folder's name counts as existing, and Overwrite removes it."""
    file = store.folder("obs://bucket/a")
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(AlreadyExists), staged(store, "obs://bucket/a", overwrite=False):
        pytest.fail("nothing may be staged")
    with staged(store, "obs://bucket/a", overwrite=True):
        pass
    assert names(file) == ["_SUCCESS"]


def break_off(store: ObsStore, data_path: str) -> None:
    with staged(store, data_path, overwrite=True) as staging:
        (staging / "half").touch()
        raise ZeroDivisionError


def fail_in(store: ObsStore, data_path: str) -> None:
    with pytest.raises(ZeroDivisionError):
        break_off(store, data_path)


def test_a_failed_export_leaves_nothing(store: ObsStore) -> None:
    """On an exception even the folders made for it are gone."""
    fail_in(store, "obs://bucket/a/b")
    assert not store.root.exists()


def test_a_failed_overwrite_keeps_the_old_files(store: ObsStore) -> None:
    """Old content goes only when the new is complete."""
    with staged(store, "obs://bucket/a", overwrite=False) as staging:
        (staging / "old").touch()
    fail_in(store, "obs://bucket/a")
    assert names(store.folder("obs://bucket/a")) == ["_SUCCESS", "old"]


def test_a_failed_export_leaves_the_others_alone(store: ObsStore) -> None:
    """Two jobs in one folder do not remove each other's staging."""
    with staged(store, "obs://bucket/a", overwrite=True) as staging:
        fail_in(store, "obs://bucket/a")
        (staging / "part").touch()
    assert names(store.folder("obs://bucket/a")) == ["_SUCCESS", "part"]


def test_the_last_of_two_overwrites_wins_whole(store: ObsStore) -> None:
    """Files of two jobs never mix."""
    with staged(store, "obs://bucket/a", overwrite=True) as first:
        (first / "first").touch()
        with staged(store, "obs://bucket/a", overwrite=True) as second:
            (second / "second").touch()
        assert names(store.folder("obs://bucket/a")) == ["_SUCCESS", "_temporary", "second"]
    assert names(store.folder("obs://bucket/a")) == ["_SUCCESS", "first"]


def test_one_of_many_claims_a_new_folder(store: ObsStore) -> None:
    """Of jobs that start at the same moment without overwrite exactly one goes through."""
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def export() -> None:
        barrier.wait()
        try:
            with staged(store, "obs://bucket/a", overwrite=False):
                outcomes.append("written")
        except AlreadyExists:
            outcomes.append("exists")

    threads = [threading.Thread(target=export) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["exists"] * 7 + ["written"]


def write(store: ObsStore, data_path: str, name: str = "part") -> Path:
    """A whole export of one file; where it lies."""
    with staged(store, data_path, overwrite=True) as staging:
        (staging / name).write_text("rows")
    return store.folder(data_path) / name


def test_clear_removes_what_exports_wrote_and_nothing_else(store: ObsStore, tmp_path: Path) -> None:
    """Files and links of others stay, in the same folders too; folders that become empty go."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    write(store, "obs://bucket/a/deep")
    beside = write(store, "obs://bucket/b").with_name("notes.txt")
    beside.touch()
    (store.root / "link").symlink_to(tmp_path / "kept", target_is_directory=True)
    (store.root / "file").touch()
    (store.root / "empty").mkdir()
    store.clear()
    assert names(store.root) == ["bucket", "empty", "file", "link"]
    assert names(store.root / "bucket") == ["b"]
    assert names(beside.parent) == ["notes.txt"]
    assert names(tmp_path / "kept") == ["file"]


def test_clear_knows_after_a_restart_what_was_exported(store: ObsStore) -> None:
    """The record lies in the root; what a killed process left half-done goes as well."""
    write(store, "obs://bucket/a")
    store.stage("obs://other/b", overwrite=False).folder.joinpath("half").touch()
    ObsStore(store.root).clear()
    assert names(store.root) == []


def test_clear_keeps_files_that_were_changed_since(store: ObsStore) -> None:
    """What somebody has put in the place of an export's file is theirs."""
    part = write(store, "obs://bucket/a")
    part.unlink()
    part.write_text("somebody's own")
    os.utime(part, ns=(1, 1))
    store.clear()
    assert names(part.parent) == ["part"]


def test_a_record_that_leads_out_of_the_root_deletes_nothing(
    store: ObsStore, tmp_path: Path
) -> None:
    """Neither `..` nor a link that has taken a bucket's place leads to other people's files."""
    part = write(store, "obs://bucket/a")
    (store.root / "bucket").rename(tmp_path / "bucket")
    (store.root / "bucket").symlink_to(tmp_path / "bucket", target_is_directory=True)
    moved = tmp_path / "bucket" / "a" / part.name
    line = json.dumps({"../bucket/a/part": moved.stat().st_mtime_ns})
    with (store.root / ".dli-emulator.jsonl").open("a") as record:
        record.write(f"{line}\n{line[:9]}")
    store.clear()
    assert moved.is_file()


def test_clear_without_a_root_does_nothing(store: ObsStore) -> None:
    """Nothing was exported yet: nothing to remove."""
    store.clear()
    assert not store.root.exists()


def test_clear_makes_a_running_export_fail(store: ObsStore) -> None:
    """A job whose folder is taken away does not report success."""
    staging = store.stage("obs://bucket/a", overwrite=False)
    (staging.folder / "part").touch()
    store.clear()
    with pytest.raises(FileNotFoundError):
        staging.publish()
    assert not store.exists("obs://bucket/a")


@pytest.mark.parametrize("first", [0, 1])
def test_two_discarded_exports_leave_no_folder(store: ObsStore, first: int) -> None:
    """Whichever goes first, the last one takes the folders with it that neither needs now."""
    (store.root / "other").mkdir(parents=True)
    stagings = [store.stage("obs://b/x/y", overwrite=True) for _ in range(2)]
    stagings[first].discard()
    assert store.exists("obs://b/x/y")
    stagings[1 - first].discard()
    assert names(store.root) == ["other"]
    store.stage("obs://b/x/y", overwrite=False).publish()
    store.stage("obs://b/x/y", overwrite=True).discard()
    assert names(store.folder("obs://b/x/y")) == ["_SUCCESS"]


def shown(store: ObsStore) -> list[str]:
    """Buckets, and what is under way; not the record of what was exported."""
    return [name for name in names(store.root) if not name.startswith(".")]


def fill(staging: Staging, *files: str) -> None:
    for file in files:
        (staging.folder / file).write_text(file)


def test_a_plain_file_stays_until_it_is_replaced(store: ObsStore) -> None:
    """Overwrite takes it away when the new files are complete, and not if they never are."""
    file = store.folder("obs://bucket/a")
    file.parent.mkdir(parents=True)
    file.write_text("old")
    store.stage("obs://bucket/a", overwrite=True).discard()
    fail_in(store, "obs://bucket/a")
    assert file.read_text() == "old"
    assert shown(store) == ["bucket"]
    with staged(store, "obs://bucket/a", overwrite=True) as staging:
        (staging / "part").touch()
        assert file.read_text() == "old"
    assert names(file) == ["_SUCCESS", "part"]


@pytest.mark.parametrize("outer_overwrites", [True, False])
def test_a_nested_export_is_not_disturbed_by_the_outer_one(
    store: ObsStore, outer_overwrites: bool
) -> None:
    """Whichever ends first, both are there in the end."""
    for number, first in enumerate(("outer", "inner")):
        path = f"obs://bucket/{number}"
        outer = store.stage(path, overwrite=outer_overwrites)
        inner = store.stage(f"{path}/in/ner", overwrite=False)
        fill(outer, "out")
        fill(inner, "in")
        for staging in (outer, inner) if first == "outer" else (inner, outer):
            staging.publish()
        assert names(store.folder(path)) == ["_SUCCESS", "in", "out"]
        assert names(store.folder(f"{path}/in/ner")) == ["_SUCCESS", "in"]


def test_an_overwrite_keeps_what_a_nested_export_needs_and_nothing_else(store: ObsStore) -> None:
    """What lay in the nested folder before is the outer's to remove; the inner still exists."""
    with staged(store, "obs://bucket/a/b", overwrite=False) as staging:
        (staging / "old").touch()
    inner = store.stage("obs://bucket/a/b", overwrite=True)
    with staged(store, "obs://bucket/a", overwrite=True):
        pass
    assert names(store.folder("obs://bucket/a/b")) == ["_temporary"]
    inner.discard()
    with staged(store, "obs://bucket/a", overwrite=True):
        pass
    assert names(store.folder("obs://bucket/a")) == ["_SUCCESS"]


def test_what_was_replaced_is_out_of_sight_at_once_and_removed_by_cleaning(store: ObsStore) -> None:
    """The slow part is left for later."""
    with staged(store, "obs://bucket/a", overwrite=False) as staging:
        (staging / "old").touch()
    replacing = store.stage("obs://bucket/a", overwrite=True)
    fill(replacing, "new")
    replacing.publish()
    assert names(store.folder("obs://bucket/a")) == ["_SUCCESS", "new"]
    assert shown(store) == ["_temporary", "bucket"]
    replacing.clean()
    assert shown(store) == ["bucket"]


def test_what_is_withdrawn_is_out_of_sight_at_once_and_removed_by_cleaning(store: ObsStore) -> None:
    """A new export to the folder need not wait for it."""
    staging = store.stage("obs://bucket/a", overwrite=False)
    fill(staging, "part")
    staging.withdraw()
    assert not store.exists("obs://bucket/a")
    store.stage("obs://bucket/a", overwrite=False).discard()
    staging.clean()
    assert not store.root.exists()


def test_files_that_cannot_be_moved_leave_what_was_there(
    store: ObsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the last step fails the one before it is undone."""
    with staged(store, "obs://bucket/a", overwrite=False) as staging:
        (staging / "old").touch()
    replacing = store.stage("obs://bucket/a", overwrite=True)
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path == replacing.folder:
            raise OSError("no space left")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no space left"):
        replacing.publish()
    replacing.clean()
    assert names(store.folder("obs://bucket/a")) == ["_SUCCESS", "old"]
    assert shown(store) == ["bucket"]


def test_overwrite_through_a_link_replaces_what_it_points_to(store: ObsStore) -> None:
    """The link stays a link."""
    (store.root / "bucket" / "a").mkdir(parents=True)
    (store.root / "bucket" / "link").symlink_to("a", target_is_directory=True)
    with staged(store, "obs://bucket/link", overwrite=True) as staging:
        (staging / "part").touch()
    assert (store.root / "bucket" / "link").is_symlink()
    assert names(store.root / "bucket" / "a") == ["_SUCCESS", "part"]
