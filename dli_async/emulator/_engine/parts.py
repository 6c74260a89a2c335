"""The part files of one export, as Spark names, splits and compresses them."""

from __future__ import annotations

import bz2
import gzip
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from . import spark as _spark

__all__ = ["SUFFIXES", "Writes", "open_part", "write_parts"]

SUFFIXES = {"none": "", "gzip": ".gz", "bzip2": ".bz2", "deflate": ".deflate"}
"""What follows `.csv` or `.json` in a file's name, by the `compress` of the request."""

_BATCH = 2_000  # rows at once; fetching them holds the GIL, and so the event loop, some 3 ms
_LEVEL = 4  # of gzip and deflate: half the time of the usual 6 for some per cent more bytes

Rows = Sequence[Sequence[Any]]


class Written(NamedTuple):
    """What :func:`write_parts` did."""

    rows: int
    files: tuple[str, ...]
    size: int


def write_parts(
    folder: Path,
    fetch: Callable[[int], Rows],
    lines: _spark.Lines,
    *,
    head: str,
    ending: str,
    compress: str,
    rows_per_file: int,
) -> Written:
    """Write all rows; without any, one file with at most the `head`.

    :param fetch: gives up to so many of the next rows, none at the end.
    :param head: begins every file.
    :param ending: `.csv` or `.json`.
    """
    job = uuid.uuid4()
    files: list[str] = []
    rows = 0
    for part, batches in groupby(_batches(fetch, rows_per_file), itemgetter(0)):
        files.append(f"part-{part:05d}-{job}-c000{ending}{SUFFIXES[compress]}")
        with open_part(folder / files[-1], compress) as out:
            out.write(head.encode())
            for _, batch in batches:
                out.write(lines(batch).encode())
                rows += len(batch)
    return Written(rows, tuple(files), sum((folder / file).stat().st_size for file in files))


def _batches(fetch: Callable[[int], Rows], rows_per_file: int) -> Iterator[tuple[int, Rows]]:
    """Rows with the number of the part they belong to; part 0 is there even without rows."""
    rows = fetch(min(_BATCH, rows_per_file))
    yield 0, rows
    part, left = 0, rows_per_file - len(rows)
    while rows:
        if left == 0:
            part, left = part + 1, rows_per_file
        rows = fetch(min(_BATCH, left))
        left -= len(rows)
        if rows:
            yield part, rows


class Writes(Protocol):
    """What takes the bytes of a part file."""

    def write(self, data: bytes, /) -> Any:
        """Take `data`."""
        ...


class _Deflate:
    """A zlib stream."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._zlib = zlib.compressobj(_LEVEL)

    def write(self, data: bytes) -> None:
        self._raw.write(self._zlib.compress(data))

    def close(self) -> None:
        self._raw.write(self._zlib.flush())


@contextmanager
def open_part(path: Path, compress: str) -> Iterator[Writes]:
    """Open a new part file for writing through a codec, a key of :data:`SUFFIXES`."""
    with path.open("xb") as raw:
        if compress == "none":
            yield raw
            return
        with closing(_codec(raw, compress)) as stream:
            yield stream


def _codec(raw: BinaryIO, compress: str) -> Any:
    if compress == "gzip":
        return gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0)
    return bz2.BZ2File(raw, "wb") if compress == "bzip2" else _Deflate(raw)
