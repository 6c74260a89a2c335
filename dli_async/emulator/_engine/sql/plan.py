"""What a statement comes to before it runs, and what can run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..formats.sinks import Column as Shape
from ..formats.sinks import Format
from ..tables import Column, Staged

__all__ = ["Plan", "Result", "SqlEngine"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A statement that was understood.

    Without a format it is a query, whose rows are kept; else they go to the folder `path`.
    """

    query: str
    """For the engine."""
    columns: tuple[Column, ...]
    shape: tuple[Shape, ...] = ()
    """The same columns with the engine's types; nothing for one that writes no files."""
    tables: tuple[tuple[str, str], ...] = ()
    """Database and name of each that is read."""
    input_rows: int = 0
    input_size: int = 0
    """In bytes."""
    format: Format | None = None
    path: str = ""
    rows_per_file: int = 0
    """0 is no limit."""


@dataclass(frozen=True, eq=False)
class Result:
    """The rows of a query that has ended."""

    name: str
    columns: tuple[Column, ...]
    rows: int
    shape: tuple[Shape, ...] = ()


class SqlEngine(Protocol):
    """Runs statements on the tables of an engine. Blocking and thread-safe."""

    def plan(self, sql: str, database: str, conf: Mapping[str, str]) -> Plan:
        """Read a statement and check it against the tables.

        :param database: where tables are that are named without one.
        :raises SqlError: it is wrong, or not emulated.
        :raises UnsafePath: its path is no folder below a bucket.
        """
        ...

    def insert(self, plan: Plan) -> Staged:
        """Write the rows for the plan's folder, which is always overwritten."""
        ...

    def query(self, plan: Plan, path: str = "") -> Staged:
        """Keep the rows as a result, and with a path write them there as csv, too."""
        ...

    def export(
        self, result: Result, path: str, format: Format, *, limit: int, overwrite: bool
    ) -> Staged:
        """Write the rows of a result; a limit of 0 is all.

        :raises AlreadyExists: the folder exists and `overwrite` is false.
        """
        ...

    def preview(self, result: Result, limit: int) -> list[list[Any]]:
        """The first rows, as JSON has them; what it has no type for is text."""
        ...

    def forget(self) -> None:
        """Drop all results."""
        ...
