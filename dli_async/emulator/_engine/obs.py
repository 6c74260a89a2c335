"""The OBS side of the emulator: `obs://bucket/a/b` as a folder below one root, and nothing else.

Blocking and thread-safe. Nothing is created before the first export.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
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

    :ivar folder: where to write them.
    """

    def __init__(self, folder: Path, made: set[Path], record: Record, lock: threading.Lock) -> None:
        self.folder = folder
        self._made = made
        self._record = record
        self._lock = lock

    def publish(self) -> None:
        """Move the files to their target in place of its old content; `_SUCCESS` comes last.

        :raises OSError: they cannot be moved; what is left of them is removed.
        """
        try:
            target = self.folder.parent.parent
            with self._lock:
                _publish(self.folder, target, self._record)
                self._made.difference_update((target, *target.parents))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the files and all folders that were made for them; old content stays."""
        target = self.folder.parent.parent
        with self._lock:
            shutil.rmtree(self.folder, ignore_errors=True)
            _remove_empty(self.folder.parent)
            for path in (target, *target.parents):
                if path not in self._made or not _remove_empty(path):
                    break
                self._made.remove(path)


class ObsStore:
    """Buckets and folders below `root`.

    :param root: the folder that stands for OBS; made when the first export is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._record = Record(self.root)
        self._lock = threading.Lock()
        # Folders in which nothing has appeared yet; the last export that is discarded removes them.
        self._made: set[Path] = set()

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

    def stage(self, data_path: str, *, overwrite: bool) -> Staging:
        """A new folder to write into, for files that are to appear at `data_path`.

        Like Spark's, it lies in `_temporary` within the target, so the target exists at once.

        :raises AlreadyExists: the target exists and `overwrite` is false.
        :raises UnsafePath: see :meth:`folder`.
        """
        folder = self.folder(data_path) / STAGING / staging_name()
        self._claim(folder, data_path, overwrite)
        return Staging(folder, self._made, self._record, self._lock)

    def clear(self) -> None:
        """Remove what exports have written, also before a restart, and nothing else.

        Folders that become empty go too. A file that was changed since is not an export's any more.
        """
        with self._lock:
            self._record.remove_all()

    def _claim(self, staging: Path, data_path: str, overwrite: bool) -> None:
        """Make the folders.

        Of several who want to make the same folder one wins.
        """
        folder = staging.parent.parent
        with self._lock:
            if folder.exists() and not overwrite:
                raise AlreadyExists(data_path)
            if folder.is_file():
                folder.unlink()
            self._made.update(path for path in (folder, *folder.parents) if not path.exists())
            staging.mkdir(parents=True)


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


def _publish(staging: Path, folder: Path, record: Record) -> None:
    parts = sorted(staging.iterdir())
    success = staging / "_SUCCESS"
    success.touch()
    moves = [(path, folder / path.name) for path in (*parts, success)]
    record.note(moves)
    for path in folder.iterdir():
        if path != staging.parent:
            _remove(path)
    for path, target in moves:
        path.rename(target)
    staging.rmdir()
    _remove_empty(staging.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
