"""What a folder of fetched files knows of itself: which version each file is of.

A name's line is written when nothing of the name is left in the folder and nothing of the new
version has come yet. So whatever lies there afterwards is of the version in its last line.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from .._values.files import FilesError, PartFile

try:
    import fcntl
except ImportError:  # Windows: two fetches into one folder are not told apart there
    fcntl = None  # type: ignore[assignment]

NAME = ".dli-async-fetch"
PART = ".part"


class Ledger:
    """The ledger of one folder, held by one fetch at a time. Blocking.

    Raises:
        FilesError: another fetch writes to the folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file = (folder / NAME).open("a+b")
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._etags = self._read()
        except OSError:
            self._file.close()
            raise FilesError(f"another fetch writes to {folder}") from None

        self._lock = threading.Lock()
        self._users = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keeps the folder ours: a cancelled fetch may leave a thread that still writes."""
        with self._lock:
            if not self._users:
                raise FilesError(f"the fetch into {self.folder} has ended")
            self._users += 1
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._file.close()

    def begin(self, parts: Iterable[PartFile]) -> list[int | None]:
        """How many bytes of these versions are there already; None for a file that is whole."""
        with self._held():
            parts = list(parts)
            changed = [part for part in parts if not self._is_ours(part)]
            self._start_over(changed)
            return [self._state(part) for part in parts]

    def write(self, name: str, block: bytes, start: int, is_last: bool) -> None:
        """Adds a block behind the `start` bytes that are there; the last one makes the file whole.

        Raises:
            OSError: it cannot be written, or what was there is gone.
        """
        target, part = self.folder / name, self._part(name)
        with self._held():
            with part.open("r+b" if start else "wb", buffering=0) as file:
                file.seek(start)
                written = file.write(block)
            if written != len(block):
                raise OSError(f"{part}: {written} of {len(block)} bytes were written")
            if is_last:
                part.replace(target)

    def _is_ours(self, part: PartFile) -> bool:
        is_longer = _size(self._part(part.name)) > part.size
        return self._etags.get(part.name) == part.etag and not is_longer

    def _state(self, part: PartFile) -> int | None:
        if _size(self.folder / part.name) == part.size:
            return None
        return max(0, _size(self._part(part.name)))

    def _start_over(self, parts: list[PartFile]) -> None:
        for part in parts:
            (self.folder / part.name).unlink(missing_ok=True)
            self._part(part.name).unlink(missing_ok=True)
        # A line is there or not, or torn by a kill and then unreadable.
        lines = [json.dumps([part.name, part.etag], ensure_ascii=False) for part in parts]
        self._file.write("".join(f"\n{line}" for line in lines).encode())
        self._file.flush()
        self._etags.update({part.name: part.etag for part in parts})

    def _part(self, name: str) -> Path:
        return self.folder / f"{name}{PART}"

    def _read(self) -> dict[str, str]:
        self._file.seek(0)
        etags = {}
        for line in self._file.read().splitlines():
            try:
                name, etag = json.loads(line)
            except ValueError:
                continue
            etags[name] = etag
        return etags


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
