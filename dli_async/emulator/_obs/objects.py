"""The files below the obs folder as objects: bucket, key, size, ETag. Blocking."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from .answers import Refused


class Object(NamedTuple):
    """One object; `modified` is seconds since the epoch, `etag` has no quotes."""

    key: str
    path: Path
    size: int
    modified: float
    etag: str

    @property
    def moment(self) -> str:
        """When it was written, as a list tells it."""
        text = datetime.fromtimestamp(self.modified, UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")


class Objects:
    """What lies below `root`, where each folder is a bucket; None is no bucket at all."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._etags: dict[Path, tuple[int, int, str]] = {}

    def bucket(self, name: str) -> Path:
        """The folder of a bucket.

        Raises:
            Refused: there is none.
        """
        if self._root is None or not _is_name(name) or not (self._root / name).is_dir():
            raise Refused("NoSuchBucket")
        return self._root / name

    def get(self, bucket: str, key: str) -> Object:
        """One object.

        Raises:
            Refused: there is no such bucket or key.
        """
        path = self._find(bucket, key)
        if path is None:
            raise Refused("NoSuchKey")
        return self._describe(key, path)

    def listed(self, folder: Path, key: str) -> Object | None:
        """An object of a bucket's folder that `keys` has told; None if it has gone meanwhile."""
        try:
            return self._describe(key, folder / key)
        except Refused:
            return None

    def _find(self, bucket: str, key: str) -> Path | None:
        folder = self.bucket(bucket)
        path = folder.joinpath(*key.split("/"))
        is_key = all(map(_is_name, key.split("/")))
        return path if is_key and self._is_own_file(folder, path) else None

    def delete(self, bucket: str, key: str) -> None:
        """Removes an object if it is there, and the folders that hold nothing any more."""
        path = self._find(bucket, key)
        if path is None:
            return
        path.unlink(missing_ok=True)
        self._etags.pop(path, None)
        for folder in path.relative_to(self.bucket(bucket)).parents:
            if folder == Path() or not _remove_empty(self.bucket(bucket) / folder):
                return

    def keys(self, bucket: str, prefix: str, after: str) -> Iterator[str]:
        """The keys that begin with `prefix` and come after `after`, by the bytes of UTF-8."""
        folder, _, _ = prefix.rpartition("/")
        above = f"{folder}/" if folder else ""
        if all(map(_is_name, folder.split("/"))) or not folder:
            for key in _walk(self.bucket(bucket) / folder, above, after.encode()):
                if key.startswith(prefix):
                    yield key

    def _is_own_file(self, folder: Path, path: Path) -> bool:
        try:
            return path.is_file() and path.resolve().is_relative_to(folder.resolve())
        except OSError:  # a name that is too long
            return False

    def _describe(self, key: str, path: Path) -> Object:
        try:
            found = path.stat()
            return Object(key, path, found.st_size, found.st_mtime, self._etag(path, found))
        except OSError:
            raise Refused("NoSuchKey") from None

    def _etag(self, path: Path, found: os.stat_result) -> str:
        known = self._etags.get(path)
        if known is None or known[:2] != (found.st_mtime_ns, found.st_size):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "md5").hexdigest()
            known = self._etags[path] = found.st_mtime_ns, found.st_size, digest
        return known[2]


def _walk(folder: Path, above: str, after: bytes) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # no such folder, or one that has just gone
        return
    # A link may lead anywhere, so none is told.
    names = [
        f"{entry.name}/" if entry.is_dir() else entry.name
        for entry in entries
        if not entry.is_symlink()
    ]
    for name in sorted(names, key=os.fsencode):
        key = f"{above}{name}"
        code = os.fsencode(key)
        if name.endswith("/"):
            if code > after or after.startswith(code):
                yield from _walk(folder / name, key, after)
        elif code > after:
            yield key


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and "\0" not in text and "/" not in text


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
