"""What exports have written below a folder, so that nothing else is ever deleted.

One line of JSON for each export, appended to a hidden file in that folder: it holds across
restarts, and for several emulators on one folder. A file is known again by its name and the time
of its last change, so what somebody has put in its place, or added to it, is theirs. Folders of
exports that were under way need no record, since their name tells.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["STAGING", "Record", "staging_name"]

STAGING = "_temporary"
"""Where Spark keeps what is not complete, in the folder that it is written for."""

_MARK = "dli-emulator-"
_NAME = ".dli-emulator.jsonl"  # no bucket may be called so


def staging_name() -> str:
    """A new name for a folder of files that are under way."""
    return _MARK + uuid.uuid4().hex


class Record:
    """The record of one folder; blocking, and locked by whoever uses it.

    :param root: the folder; it is there when something is noted.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file = root / _NAME

    def line(self, moves: Iterable[tuple[Path, Path]]) -> str:
        """What to append for files before they move; pairs of where they are and where they go."""
        root = self._root.resolve()
        entries = {
            target.relative_to(root).as_posix(): path.stat().st_mtime_ns for path, target in moves
        }
        return json.dumps(entries) + "\n"

    def append(self, line: str) -> None:
        """Note what is about to be moved."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(line)

    def remove_all(self) -> None:
        """Remove what was noted and is still the same, what was under way, and the record.

        Folders that become empty go too.

        :raises OSError: something cannot be removed; the record stays.
        """
        for folder in list(self._under_way()):
            shutil.rmtree(folder)
            self._remove_empty(folder.parent)
        for name, changed_at in dict(self._entries()).items():
            path = self._root / name
            if self._is_inside(path) and _is_unchanged(path, changed_at):
                path.unlink()
                self._remove_empty(path.parent)
        self._file.unlink(missing_ok=True)

    def _under_way(self) -> Iterator[Path]:
        for parent, folders, _ in os.walk(self._root):
            if Path(parent).name == STAGING:
                yield from (Path(parent, name) for name in folders if name.startswith(_MARK))

    def _entries(self) -> Iterator[tuple[str, int]]:
        if not self._file.is_file():
            return
        with self._file.open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(ValueError):  # half a line, of a process that was killed
                    yield from json.loads(line).items()

    def _is_inside(self, path: Path) -> bool:
        """Whether no link, and no record from elsewhere, leads out of the root."""
        root = self._root.resolve()
        return ".." not in path.parts and path.parent.resolve().is_relative_to(root)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def _is_unchanged(path: Path, changed_at: int) -> bool:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime_ns == changed_at
