"""Where the tables come from: a DuckDB file, a folder of files, or the samples."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import samples as _samples
from .session import SparkSession
from .spark import Cell, cell, identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "Catalog",
    "Entry",
    "Source",
    "columns",
    "count",
    "open_file",
    "open_folder",
    "open_samples",
    "selection",
]

_log = logging.getLogger("dli_async.emulator")

_SAMPLES_MADE = 1735689600.0  # 2025-01-01, so that listings are the same everywhere
_READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".csv.gz": "read_csv"}

_FILE_TABLES = """
SELECT schema_name, table_name, 'MANAGED', comment FROM duckdb_tables()
WHERE database_name = current_database() AND NOT internal AND NOT temporary
UNION ALL
SELECT schema_name, view_name, 'VIEW', comment FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal AND NOT temporary
ORDER BY 1, 2
"""
_FILE_SCHEMAS = """
SELECT schema_name FROM duckdb_schemas()
WHERE database_name = current_database() AND schema_name NOT IN ('information_schema', 'pg_catalog')
ORDER BY 1
"""
_COLUMNS = """
SELECT column_name, is_nullable, comment FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = ? AND table_name = ?
"""


@dataclass(frozen=True)
class Entry:
    """A table before it is looked at."""

    database: str
    name: str
    schema: str
    """What DuckDB calls the database."""
    kind: str
    created_at: float
    comment: str = ""
    location: str | None = None
    size: int | None = None
    """In bytes; None where it must be estimated."""

    @property
    def source(self) -> str:
        """The table in SQL."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


@dataclass(frozen=True)
class Source:
    """A column and how it is fetched and written."""

    name: str
    cell: Cell
    nullable: bool
    comment: str


def columns(cursor: DuckDBPyConnection, entry: Entry, session: SparkSession) -> list[Source]:
    """The columns of a table, in order, as the session writes them."""
    relation = cursor.sql(f"SELECT * FROM {entry.source}")
    rows = cursor.execute(_COLUMNS, [entry.schema, entry.name]).fetchall()
    known = {name: (nullable, comment or "") for name, nullable, comment in rows}
    return [
        Source(name, cell(duck, session), *known.get(name, (True, "")))
        for name, duck in zip(relation.columns, relation.types, strict=True)
    ]


def count(cursor: DuckDBPyConnection, entry: Entry) -> int:
    """How many rows a table has now."""
    rows = cursor.execute(f"SELECT count(*) FROM {entry.source}").fetchall()
    return int(rows[0][0])


def selection(entry: Entry, columns: Sequence[Source]) -> str:
    """The query for all rows, each value as its :class:`Cell` wants it."""
    values = [f"CAST({identifier(column.name)} AS {column.cell.cast})" for column in columns]
    return f"SELECT {', '.join(values)} FROM {entry.source}"


class Catalog:
    """A connection and what can be read through it; names are found in any case, as in Spark."""

    def __init__(
        self, connection: DuckDBPyConnection, databases: Iterable[str], entries: Iterable[Entry]
    ) -> None:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET GLOBAL python_enable_replacements = false")
        self.connection = connection
        self._databases: dict[str, str] = {name.lower(): name for name in databases}
        self._entries = {(entry.database.lower(), entry.name.lower()): entry for entry in entries}

    def databases(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._databases.values())

    def entries(self, database: str) -> list[Entry]:
        """The tables of a database by name.

        :raises KeyError: there is no such database.
        """
        if database.lower() not in self._databases:
            raise KeyError(database)
        return [self._entries[key] for key in sorted(self._entries) if key[0] == database.lower()]

    def entry(self, database: str, name: str) -> Entry | None:
        """One table."""
        return self._entries.get((database.lower(), name.lower()))


def open_samples(seed: int) -> Catalog:
    """The sample tables, made anew in memory."""
    connection = _connect(":memory:")
    _samples.build(connection, seed)
    entries = [_sample_entry(sample) for sample in _samples.SAMPLES]
    return Catalog(connection, (entry.database for entry in entries), entries)


def _sample_entry(sample: _samples.Sample) -> Entry:
    return Entry(
        database=sample.database,
        name=sample.name,
        schema=sample.database,
        kind=sample.kind,
        created_at=_SAMPLES_MADE,
        comment=sample.comment,
        location=f"obs://samples/{sample.name}" if sample.kind == "EXTERNAL" else None,
    )


def open_file(path: Path) -> Catalog:
    """A DuckDB file, read-only: each schema is a database.

    `main` goes by the stem of the file's name (unless a schema is called so), and is left out
    when it is empty and there are others.

    :raises ValueError: DuckDB cannot open it.
    """
    connection = _connect_file(path)
    rows = connection.execute(_FILE_TABLES).fetchall()
    schemas = [name for (name,) in connection.execute(_FILE_SCHEMAS).fetchall()]
    if len(schemas) > 1 and not any(row[0] == "main" for row in rows):
        schemas.remove("main")
    taken = {name.lower() for name in schemas}
    shown = {name: name for name in schemas}
    if "main" in shown and path.stem.lower() not in taken:
        shown["main"] = path.stem
    made = path.stat().st_mtime
    entries = [
        Entry(shown[schema], name, schema, kind, made, comment or "")
        for schema, name, kind, comment in rows
    ]
    return Catalog(connection, shown.values(), entries)


def open_folder(path: Path) -> Catalog:
    """CSV (also gzipped) and Parquet files as tables, read when they are asked for.

    Sub-folders are databases; files directly in `path` belong to a database named like it. A file
    that cannot be read is left out with a warning.
    """
    connection = _connect(":memory:")
    path = path.resolve()
    folders = [path, *sorted(each for each in path.iterdir() if each.is_dir())]
    entries = [entry for folder in folders for entry in _folder_entries(connection, folder)]
    databases = {entry.database for entry in entries} or {path.name}
    return Catalog(connection, sorted(databases), entries)


def _folder_entries(connection: DuckDBPyConnection, folder: Path) -> list[Entry]:
    schema = identifier(folder.name)
    entries: dict[str, Entry] = {}
    for file in sorted(folder.iterdir()):
        name, dot, ending = file.name.partition(".")
        reader = _READERS.get((dot + ending).lower())
        if not reader or not name or not file.is_file():
            continue
        if name.lower() in entries:
            name = f"{name}_{ending.replace('.', '_')}"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        if _make_view(connection, f"{schema}.{identifier(name)}", reader, file):
            status = file.stat()
            entries[name.lower()] = Entry(
                folder.name, name, folder.name, "MANAGED", status.st_mtime, size=status.st_size
            )
    return list(entries.values())


def _make_view(connection: DuckDBPyConnection, view: str, reader: str, file: Path) -> bool:
    import duckdb

    text = glob.escape(str(file)).replace("'", "''")
    try:
        # A view over text would give a boolean as it is spelt there, since DuckDB drops the cast.
        kind = "TABLE" if reader == "read_csv" else "VIEW"
        connection.execute(f"CREATE {kind} {view} AS SELECT * FROM {reader}('{text}')")
    except duckdb.Error as error:
        _log.warning("%s is left out: %s", file, error)
        return False
    return True


def _connect_file(path: Path) -> DuckDBPyConnection:
    import duckdb

    try:
        return _connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise ValueError(f"{path} cannot be opened as a DuckDB file: {error}") from error


def _connect(path: str, **options: Any) -> DuckDBPyConnection:
    # Not at the top: it takes a tenth of a second, and many who import this never export.
    import duckdb

    return duckdb.connect(path, **options)
