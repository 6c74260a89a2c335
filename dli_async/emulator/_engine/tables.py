"""What every engine answers with, and what an engine is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, Unpack

__all__ = ["Column", "Engine", "Exported", "Options", "Staged", "Table", "UnsupportedColumn"]


class UnsupportedColumn(ValueError):
    """Raised when a format cannot hold a column: csv a nested or binary one, as in Spark."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    """As Spark and DLI call it: `int`, `decimal(10,2)`, `array<string>`, ..."""
    nullable: bool = True
    comment: str = ""


@dataclass(frozen=True)
class Table:
    """A table and what a description of it says."""

    database: str
    name: str
    kind: str
    """`MANAGED`, `EXTERNAL` or `VIEW`."""
    columns: tuple[Column, ...]
    row_count: int
    size: int
    """In bytes; estimated from the types unless the table is a file."""
    comment: str
    created_at: float
    """Seconds since 1970."""
    location: str | None
    """Where an EXTERNAL table lies."""


@dataclass(frozen=True)
class Exported:
    """What an export did."""

    rows: int
    input_size: int
    """Size of the table in bytes, see :class:`Table`."""
    files: tuple[str, ...]
    """Names of the part files, in order, without `_SUCCESS`."""
    bytes_written: int
    result: Any = None
    """The rows of a query, for who asks for them later; None for all else."""


class Options(TypedDict):
    """How an export is written."""

    data_type: str
    """`csv` or `json`."""
    compress: str
    """`none`, `gzip`, `bzip2` or `deflate`."""
    header: bool
    """Whether csv begins with the column names; json has none."""
    overwrite: bool
    """Whether the folder may be there."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Staged:
    """An export that is written, but not yet to be seen: one of two quick calls decides about it.

    Neither waits for many files: what they leave behind, `clean` removes.
    """

    exported: Exported
    publish: Callable[[], None] = _nothing
    """Makes it appear in its folder, whole; if that fails it is discarded."""
    discard: Callable[[], None] = _nothing
    """Forgets it; what was in its folder before stays."""
    clean: Callable[[], None] | None = None
    """Removes the files that nobody can see any more; slow. None: there are none."""


class Engine(Protocol):
    """Tables that can be looked at and exported."""

    def databases(self) -> list[str]:
        """All names, sorted."""
        ...

    def tables(self, database: str) -> list[Table]:
        """All tables by name.

        :raises KeyError: there is no such database.
        """
        ...

    def table(self, database: str, name: str) -> Table | None:
        """One table, found in any case, or None."""
        ...

    def stage(self, database: str, name: str, data_path: str, **options: Unpack[Options]) -> Staged:
        """Write a table for the folder `data_path` and wait until it is written.

        :raises AlreadyExists: the folder exists and `overwrite` is false.
        :raises KeyError: there is no such table.
        :raises UnsafePath: `data_path` is no folder below a bucket.
        :raises UnsupportedColumn: the format cannot hold one of the columns.
        """
        ...

    def close(self) -> None:
        """Let go of files and memory; running exports fail."""
        ...
