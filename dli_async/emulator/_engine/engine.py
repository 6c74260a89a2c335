"""What holds the emulator's tables and writes their exports.

:class:`DuckEngine` really does, with DuckDB; :class:`NullEngine` only says so, for storms in
virtual time. Both are blocking and thread-safe; a server calls them from worker threads.
"""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from . import catalog as _catalog
from . import spark as _spark
from .obs import AlreadyExists, ObsStore, UnsafePath
from .parts import SUFFIXES, write_parts
from .session import SparkSession
from .tables import Column, Engine, Exported, Options, Staged, Table, UnsupportedColumn

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "AlreadyExists",
    "Column",
    "DuckEngine",
    "Engine",
    "Exported",
    "NullEngine",
    "Staged",
    "Table",
    "UnsafePath",
    "UnsupportedColumn",
]

_DLI = SparkSession()
_FIRST_TIME = 1735689600.0  # 2025-01-01
_WIDTHS = {"boolean": 1, "tinyint": 1, "smallint": 2, "int": 4, "float": 4, "date": 4, "string": 20}


class DuckEngine(Engine):
    """Tables in DuckDB: of a file, of a folder, or samples. Opened when first used.

    :param obs: where exports go.
    :param database: a DuckDB file, opened read-only; its schemas are the databases, and `main` is
        called like the file (without its ending).
    :param folder: CSV and Parquet files are tables, sub-folders databases; files directly in it
        belong to a database called like the folder.
    :param seed: of the sample tables, which are there when neither is given.
    :param rows_per_file: where a new part file begins.
    :param session: the Spark that writes; its own default is DLI's.
    :raises FileNotFoundError: `database` or `folder` is not there.
    """

    def __init__(
        self,
        obs: ObsStore,
        *,
        database: Path | None = None,
        folder: Path | None = None,
        seed: int = 0,
        rows_per_file: int = 50_000,
        session: SparkSession = _DLI,
    ) -> None:
        if database is not None and folder is not None:
            raise ValueError("give a database or a folder, not both")
        if database is not None and not database.is_file():
            raise FileNotFoundError(f"no database file at {database}")
        if folder is not None and not folder.is_dir():
            raise FileNotFoundError(f"no folder at {folder}")
        if rows_per_file < 1:
            raise ValueError("rows_per_file is at least 1")
        self.obs = obs
        self._database = database
        self._folder = folder
        self._seed = seed
        self.session = session
        self.rows_per_file = rows_per_file
        self._lock = threading.Lock()
        self._catalog: _catalog.Catalog | None = None
        self._tables: dict[_catalog.Entry, Table] = {}
        self._closed = False

    def databases(self) -> list[str]:
        """See :class:`Engine`."""
        return self.catalog().databases()

    def tables(self, database: str) -> list[Table]:
        """See :class:`Engine`."""
        return [self._look(entry) for entry in self.catalog().entries(database)]

    def table(self, database: str, name: str) -> Table | None:
        """See :class:`Engine`."""
        entry = self.catalog().entry(database, name)
        return None if entry is None else self._look(entry)

    def stage(self, database: str, name: str, data_path: str, **options: Unpack[Options]) -> Staged:
        """See :class:`Engine`."""
        entry = self.catalog().entry(database, name)
        if entry is None:
            raise KeyError(f"{database}.{name}")
        if options["compress"] not in SUFFIXES:
            raise ValueError(f"compress {options['compress']!r} is none of {', '.join(SUFFIXES)}")
        size = self._look(entry).size
        with self.cursor() as cursor:
            columns = _catalog.columns(cursor, entry, self.session)
            lines, head = self._writer(options["data_type"], columns)
            staging = self.obs.stage(data_path, overwrite=options["overwrite"])
            try:
                cursor.execute(_catalog.selection(entry, columns))
                written = write_parts(
                    staging.folder,
                    cursor.fetchmany,
                    lines,
                    head=head if options["header"] else "",
                    ending=f".{options['data_type']}",
                    compress=options["compress"],
                    rows_per_file=self.rows_per_file,
                )
                staging.seal()
            except BaseException:
                staging.discard()
                raise
        exported = Exported(written.rows, size, written.files, written.size)
        return Staged(exported, staging.publish, staging.withdraw, staging.clean)

    def _writer(
        self, data_type: str, columns: Sequence[_catalog.Source]
    ) -> tuple[_spark.Lines, str]:
        """A function from rows to text, and the header."""
        names = [column.name for column in columns]
        cells = [column.cell for column in columns]
        if data_type == "json":
            return _spark.json_lines(names, cells), ""
        if data_type != "csv":
            raise ValueError(f"data_type {data_type!r} is neither csv nor json")
        for column in columns:
            if column.cell.csv is None:
                raise UnsupportedColumn(self.session.refusal(column.name, column.cell.type))
        return _spark.csv_lines(cells), _spark.csv_header(names)

    def close(self) -> None:
        """See :class:`Engine`."""
        with self._lock:
            self._closed = True
            if self._catalog is not None:
                self._catalog.connection.close()
                self._catalog = None

    def catalog(self) -> _catalog.Catalog:
        """The connection and what it serves, opened if it is not yet."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if self._catalog is None:
                self._catalog = self._open()
            return self._catalog

    def _open(self) -> _catalog.Catalog:
        if self._database is not None:
            return _catalog.open_file(self._database)
        if self._folder is not None:
            return _catalog.open_folder(self._folder)
        return _catalog.open_samples(self._seed)

    def cursor(self) -> DuckDBPyConnection:
        """A connection of one's own to the same tables."""
        catalog = self.catalog()
        with self._lock:
            return catalog.connection.cursor()

    def _look(self, entry: _catalog.Entry) -> Table:
        # Sources do not change while they are open, and counting a view or a csv file takes time.
        if entry not in self._tables:
            with self.cursor() as cursor:
                self._tables[entry] = self._describe(cursor, entry)
        return self._tables[entry]

    def _describe(self, cursor: DuckDBPyConnection, entry: _catalog.Entry) -> Table:
        columns = tuple(
            Column(column.name, column.cell.type, column.nullable, column.comment)
            for column in _catalog.columns(cursor, entry, self.session)
        )
        rows = _catalog.count(cursor, entry)
        return Table(
            database=entry.database,
            name=entry.name,
            kind=entry.kind,
            columns=columns,
            row_count=rows,
            size=_estimated_size(columns, rows) if entry.size is None else entry.size,
            comment=entry.comment,
            created_at=entry.created_at,
            location=entry.location,
        )


def _estimated_size(columns: Sequence[Column], rows: int) -> int:
    return rows * sum(_WIDTHS.get(column.type, 8) for column in columns)


class NullEngine(Engine):
    """Tables by name only: exports take no time and write no files.

    Names, columns and counts are the same every time. A folder that was exported to counts as
    there, so that ErrorIfExists has its meaning.

    :param tables: names of tables by database; None: 2 databases of 50 tables.
    """

    def __init__(self, tables: Mapping[str, Sequence[str]] | None = None) -> None:
        if tables is None:
            tables = {f"db{db}": [f"t{table}" for table in range(1, 51)] for db in (1, 2)}
        self._tables = {
            database.lower(): {name.lower(): _imagined(database, name) for name in sorted(names)}
            for database, names in tables.items()
        }
        self._names = sorted(tables)
        self._published: set[str] = set()
        self._staged: Counter[str] = Counter()
        self._lock = threading.Lock()

    def databases(self) -> list[str]:
        """See :class:`Engine`."""
        return list(self._names)

    def tables(self, database: str) -> list[Table]:
        """See :class:`Engine`."""
        return list(self._tables[database.lower()].values())

    def table(self, database: str, name: str) -> Table | None:
        """See :class:`Engine`."""
        return self._tables.get(database.lower(), {}).get(name.lower())

    def stage(self, database: str, name: str, data_path: str, **options: Unpack[Options]) -> Staged:
        """See :class:`Engine`; no file is written, and any `data_path` is taken."""
        table = self.table(database, name)
        if table is None:
            raise KeyError(f"{database}.{name}")
        exported = Exported(table.row_count, table.size, (), 0)
        return self.staged(data_path, exported, overwrite=options["overwrite"])

    def staged(self, data_path: str, exported: Exported, *, overwrite: bool) -> Staged:
        """What was exported somehow, on its way to a folder.

        :raises AlreadyExists: the folder counts as there and `overwrite` is false.
        """
        with self._lock:
            if not overwrite and (data_path in self._published or self._staged[data_path]):
                raise AlreadyExists(data_path)
            self._staged[data_path] += 1
        return Staged(exported, partial(self._publish, data_path), partial(self._drop, data_path))

    def _publish(self, data_path: str) -> None:
        with self._lock:
            self._published.add(data_path)
            self._staged[data_path] -= 1

    def _drop(self, data_path: str) -> None:
        with self._lock:
            self._staged[data_path] -= 1

    def close(self) -> None:
        """See :class:`Engine`."""
        self._published.clear()
        self._staged.clear()


def _imagined(database: str, name: str) -> Table:
    columns = (Column("id", "bigint"), Column("name", "string"))
    rows = zlib.crc32(f"{database}.{name}".encode()) % 100_000
    size = _estimated_size(columns, rows)
    return Table(database, name, "MANAGED", columns, rows, size, "", _FIRST_TIME, None)
