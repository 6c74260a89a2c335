"""The OBS side of the emulator: `obs://bucket/a/b` as a folder below one root, and nothing else.

Blocking and thread-safe. Nothing is created before the first export.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from .record import STAGING, Record, staging_name

__all__ = ["AlreadyExists", "ObsStore", "Staging", "UnsafePath"]

_SCHEMES = ("obs://", "s3a://")
_LONGEST_NAME = 255  # bytes; what common file systems take
_LONGEST_PATH = 1023  # characters; OBS takes object names of 1,024 bytes
_MOST_DECODING = 5  # rounds of percent-decoding that are looked through


class UnsafePath(ValueError):
    """Raised when a `data_path` would leave the obs folder, or names no folder below a bucket."""


class AlreadyExists(FileExistsError):
    """Raised when an export must not overwrite and its folder is already there.

    :ivar data_path: the path as it was given.
    """

    def __init__(self, data_path: str) -> None:
        super().__init__(f"path {data_path} already exists")
        self.data_path = data_path


class Staging:
    """Files that are on their way to a folder below the root.

    They are written out of sight of all other exports. Like Spark's, the target shows `_temporary`
    meanwhile, and so exists at once; a plain file in its place stays until it is replaced.

    :ivar folder: where to write them.
    """

    def __init__(self, store: ObsStore, target: Path, overwrite: bool) -> None:
        self.folder = store.staging / staging_name()
        self.target = target
        self._overwrite = overwrite
        self._store = store
        self._marker = target / STAGING / staging_name()
        self._replaced = store.staging / staging_name()
        self._note: str | None = None
        # Folders in the target that other exports have filled since this one began.
        self.newer: set[Path] = set()

    def claim(self) -> None:
        """Make the folders."""
        self._store.note_made(self.target)
        self.folder.mkdir(parents=True)
        if not self.target.is_file():
            self._marker.mkdir(parents=True)

    def seal(self) -> None:
        """Say that the files are complete; publishing takes longer for many files without it."""
        (self.folder / "_SUCCESS").touch()
        parts = [(path, self.target / path.name) for path in self.folder.iterdir()]
        self._note = self._store.record.line(parts)

    def publish(self) -> None:
        """Let the files appear in the target, all at once and `_SUCCESS` with them; quick.

        Overwrite replaces what the target holds, but for what other exports have in nested folders.

        :raises OSError: they cannot be moved; the target stays as it was, and they are withdrawn.
        """
        try:
            if self._note is None:
                self.seal()
            with self._store.lock:
                self._remove_marker()
                self._swap()
                self._store.published(self)
                for path in (self._replaced, self._store.staging):
                    _remove_empty(path)
        except BaseException:
            self.withdraw()
            raise

    def _swap(self) -> None:
        self.folder.stat()  # it is gone if somebody has cleared the store
        self._store.record.append(self._note or "")
        self.target.parent.mkdir(parents=True, exist_ok=True)
        there = self.target.exists()
        if there:
            self.target.rename(self._replaced)
        try:
            self.folder.rename(self.target)
        except BaseException:
            if there:
                self._replaced.rename(self.target)
            raise
        if self._replaced.is_dir():
            self._take_over()

    def _take_over(self) -> None:
        """Bring back what is not this export's to replace."""
        if self._overwrite:
            kept = [path.relative_to(self.target) for path in self._store.nested(self)]
        else:
            kept = [path.relative_to(self._replaced) for path in self._replaced.iterdir()]
        for path in kept:
            old, new = self._replaced / path, self.target / path
            if old.exists() and not new.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                old.rename(new)

    def withdraw(self) -> None:
        """Give up the target, and the folders made for it that none needs now; quick."""
        with self._store.lock:
            self._remove_marker()
            self._store.gave_up(self)

    def discard(self) -> None:
        """Give up the target and remove the files; what the target held before stays."""
        self.withdraw()
        self.clean()

    def _remove_marker(self) -> None:
        _remove_empty(self._marker)
        _remove_empty(self._marker.parent)

    def clean(self) -> None:
        """Remove the files out of sight: those that were given up, or replaced; slow."""
        for path in (self.folder, self._replaced):
            if path.is_file():
                path.unlink()
            shutil.rmtree(path, ignore_errors=True)
        self._store.tidy()


class ObsStore:
    """Buckets and folders below `root`.

    :param root: the folder that stands for OBS; made when the first export is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.record = Record(self.root)
        self.lock = threading.Lock()
        # Folders in which nothing has appeared yet; the last export that is discarded removes them.
        self._made: set[Path] = set()
        self._live: set[Staging] = set()

    def folder(self, data_path: str) -> Path:
        """Where `data_path` (`obs://bucket/a/b` or `s3a://...`) lies; no I/O but looking at links.

        One trailing slash is accepted.

        :raises UnsafePath: `.`, `..` or empty segments (also percent-encoded), backslashes, control
            characters, a bucket without a folder, another scheme, or a link that leads elsewhere.
        """
        folder = self.root.joinpath(*_segments(data_path))
        root = self.root.resolve()
        try:
            resolved = _without_links(folder)
        except (OSError, RuntimeError) as error:
            raise UnsafePath(f"{data_path!r} cannot be resolved: {error}") from error
        # A link to a bucket or to the root is refused as well: Overwrite would empty all of it.
        if not resolved.is_relative_to(root) or len(resolved.relative_to(root).parts) < 2:
            raise UnsafePath(f"{data_path!r} leads out of its bucket")
        if any(parent.is_file() for parent in resolved.parents):
            raise UnsafePath(f"{data_path!r} goes through a file")
        return folder

    def exists(self, data_path: str) -> bool:
        """Whether there is something at `data_path`, be it still being written.

        :raises UnsafePath: see :meth:`folder`.
        """
        return self.folder(data_path).exists()

    @property
    def staging(self) -> Path:
        """Where files are until they appear; no bucket can be called so."""
        return self.root.resolve() / STAGING

    def stage(self, data_path: str, *, overwrite: bool) -> Staging:
        """A new folder to write into, for files that are to appear at `data_path`.

        Of several who want to make the same folder one wins.

        :raises AlreadyExists: the target exists and `overwrite` is false.
        :raises UnsafePath: see :meth:`folder`.
        """
        # Through a link it is the folder behind it that is replaced.
        target = self.folder(data_path).resolve()
        with self.lock:
            if target.exists() and not overwrite:
                raise AlreadyExists(data_path)
            staging = Staging(self, target, overwrite)
            staging.claim()
            self._live.add(staging)
        return staging

    def clear(self) -> None:
        """Remove what exports have written, also before a restart, and nothing else.

        Folders that become empty go too. A file that was changed since is not an export's any more.
        """
        with self.lock:
            self.record.remove_all()

    def note_made(self, target: Path) -> None:
        """Remember which folders are made for a target."""
        self._made.update(path for path in (target, *target.parents) if not path.exists())

    def published(self, staging: Staging) -> None:
        """An export has appeared: those that began before it do not take it away."""
        self._live.discard(staging)
        self._made.difference_update((staging.target, *staging.target.parents))
        for other in self._live:
            if other.target in staging.target.parents:
                other.newer.add(staging.target)

    def nested(self, staging: Staging) -> Iterator[Path]:
        """What other exports have at or below the target of one that replaces it."""
        yield from sorted(staging.newer)
        for other in self._live - {staging}:
            if staging.target in (other.target, *other.target.parents):
                yield other.target / STAGING

    def gave_up(self, staging: Staging) -> None:
        """Remove the folders that were made for an export and that none needs now."""
        self._live.discard(staging)
        self._remove_made(staging.target)

    def tidy(self) -> None:
        """Remove the staging folder, and the root if it was made for what was discarded."""
        with self.lock:
            if _remove_empty(self.staging):
                self._remove_made(self.root.resolve())

    def _remove_made(self, lowest: Path) -> None:
        for path in (lowest, *lowest.parents):
            if path not in self._made or not _remove_empty(path):
                break
            self._made.remove(path)


def _without_links(folder: Path) -> Path:
    """Where a folder lies, which need not exist, once every link on the way was followed."""
    resolved = folder.resolve()
    # From Python 3.13 on, links in a circle are no error: they are left in the result.
    if any(path.is_symlink() for path in (resolved, *resolved.parents)):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return resolved


def _segments(data_path: str) -> list[str]:
    scheme = data_path[:6].lower()
    if scheme not in _SCHEMES:
        raise UnsafePath(f"{data_path!r} does not start with obs:// or s3a://")
    if len(data_path) > _LONGEST_PATH:
        raise UnsafePath(f"{data_path[:80]!r}... is longer than {_LONGEST_PATH} characters")
    segments = data_path[6:].removesuffix("/").split("/")
    if len(segments) < 2:
        raise UnsafePath(f"{data_path!r} names no folder below a bucket")
    for segment in segments:
        _check_segment(segment, data_path)
    return segments


def _check_segment(segment: str, data_path: str) -> None:
    try:
        length = len(segment.encode())
    except UnicodeEncodeError:
        raise UnsafePath(f"{data_path!r} is not valid text") from None
    if length > _LONGEST_NAME:
        raise UnsafePath(f"{data_path!r} has a folder name of more than {_LONGEST_NAME} bytes")
    # Some server in front of us may decode once more than we expect.
    for _ in range(_MOST_DECODING):
        if segment in ("", ".", "..") or any(map(_is_unsafe, segment)):
            raise UnsafePath(f"{data_path!r} has an empty, relative or unsafe folder name")
        segment = unquote(segment)


def _is_unsafe(char: str) -> bool:
    return char in "/\\\x7f" or char < " "


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
