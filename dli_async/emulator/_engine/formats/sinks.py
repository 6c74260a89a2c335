"""What a format is, and the files that it makes: names, parts and `_SUCCESS` as of Spark."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..session import SparkSession

__all__ = ["Column", "Format", "Rows", "Sink", "Written", "write_files"]

Rows = Sequence[Sequence[Any]]
_BATCH = 2_000  # as in parts.py: fetching more would hold the event loop


@dataclass(frozen=True)
class Column:
    """A column of a result: its name, and its type as an object of DuckDB's."""

    name: str
    type: Any


class Sink(Protocol):
    """Writes the rows of one result."""

    @property
    def casts(self) -> Sequence[str]:
        """The DuckDB types to fetch."""
        ...

    @property
    def ending(self) -> str:
        """What follows `part-...-c000`: `.csv.gz`, `.snappy.parquet`."""
        ...

    def write(self, path: Path, batches: Iterator[Rows]) -> None:
        """Write a new file."""
        ...


class Format(Protocol):
    """A format with its options, read and checked."""

    @property
    def name(self) -> str:
        """As a statement has it, in lower case."""
        ...

    @property
    def compress(self) -> str:
        """The codec."""
        ...

    @property
    def header(self) -> bool:
        """Whether files begin with the columns' names."""
        ...

    def sink(self, columns: Sequence[Column], session: SparkSession) -> Sink:
        """What writes these columns.

        :raises ValueError: the format cannot hold one of them.
        """
        ...


@dataclass(frozen=True)
class Written:
    """What :func:`write_files` did."""

    rows: int
    files: tuple[str, ...]
    size: int


def write_files(
    folder: Path,
    fetch: Callable[[int], Rows],
    sink: Sink,
    *,
    rows_per_part: int,
    rows_per_file: int = 0,
) -> Written:
    """Write all rows; without any there is one file, as Spark's first task makes it.

    :param fetch: gives up to so many of the next rows, none at the end.
    :param rows_per_part: where the next task begins: `part-00001-...`.
    :param rows_per_file: Spark's `maxRecordsPerFile`: where the next file of a task begins,
        `...-c001`; 0 is no limit.
    """
    source = _Source(fetch)
    job = uuid.uuid4()
    files: list[str] = []
    for part, chunk, limit in _shares(rows_per_part, rows_per_file):
        if files and source.is_empty():
            break
        files.append(f"part-{part:05d}-{job}-c{chunk:03d}{sink.ending}")
        sink.write(folder / files[-1], source.take(limit))
    size = sum((folder / name).stat().st_size for name in files)
    return Written(source.rows, tuple(files), size)


def _shares(rows_per_part: int, rows_per_file: int) -> Iterator[tuple[int, int, int]]:
    """Part, chunk and most rows of file after file."""
    part = 0
    while True:
        chunk, left = 0, rows_per_part
        while left:
            share = min(left, rows_per_file or left)
            yield part, chunk, share
            chunk, left = chunk + 1, left - share
        part += 1


class _Source:
    """Rows that are fetched when they are needed."""

    def __init__(self, fetch: Callable[[int], Rows]) -> None:
        self._fetch = fetch
        self._held: Rows | None = None
        self.rows = 0

    def is_empty(self) -> bool:
        if self._held is None:
            self._held = self._fetch(_BATCH)
        return not self._held

    def take(self, limit: int) -> Iterator[Rows]:
        while limit and not self.is_empty():
            rows, self._held = self._held or (), None
            if len(rows) > limit:
                rows, self._held = rows[:limit], rows[limit:]
            limit -= len(rows)
            self.rows += len(rows)
            yield rows
