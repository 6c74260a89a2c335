"""Runs statements on DuckDB: what :class:`DuckEngine` cannot do by a table's name alone."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import spark as _spark
from ..engine import DuckEngine
from ..formats import sinks as _sinks
from ..formats.known import read_format
from ..formats.sinks import Format
from ..session import SparkSession
from ..tables import Column, Exported, Staged, UnsupportedColumn
from .errors import SqlError, semantics, unsupported
from .plan import Plan, Result
from .statement import Insert, parse

if TYPE_CHECKING:
    from .translation import Find, Known, Translated

__all__ = ["DuckSql", "translator"]

_RESULTS = "dli_results"
_REMEMBERED = 1_000


class DuckSql:
    """See :class:`SqlEngine`.

    Results are tables in memory, in a database of their own beside that of the engine.
    """

    def __init__(self, engine: DuckEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._results: set[str] = set()
        self._translated = translator(self._find)

    def plan(self, sql: str, database: str, conf: Mapping[str, str]) -> Plan:
        """See :class:`SqlEngine`."""
        statement = parse(sql)
        format = path = None
        if isinstance(statement, Insert):
            format = read_format(statement.format, statement.options, conf)
            path = statement.path
            self._engine.obs.folder(path)
        found = self._translated(statement.query, database)
        query = _with_types(found)
        columns = self._bound(query, found.names)
        if format is not None:
            _check(format, columns, self._engine.session)
        tables = [(table.database, table.name) for table in found.tables]
        known = [self._engine.table(*names) for names in tables]
        return Plan(
            query=query,
            columns=_described(columns, self._engine.session),
            shape=tuple(columns),
            tables=tuple(tables),
            input_rows=sum(table.row_count for table in known if table),
            input_size=sum(table.size for table in known if table),
            format=format,
            path=path or "",
            rows_per_file=max(0, int(conf.get("spark.sql.files.maxRecordsPerFile", "0"))),
        )

    def _find(self, database: str, name: str) -> Known:
        from .translation import Known

        catalog = self._engine.catalog()
        if database.lower() not in {known.lower() for known in catalog.databases()}:
            raise SqlError("DLI.0002", f"There is no database named {database}.")
        entry, table = catalog.entry(database, name), self._engine.table(database, name)
        if entry is None or table is None:
            raise SqlError("DLI.0002", f"There is no table named {database}.{name}.")
        columns = {column.name: column.type for column in table.columns}
        return Known(entry.database, entry.name, entry.schema, columns)

    def _bound(self, query: str, names: Sequence[str]) -> list[_sinks.Column]:
        """The columns that the query has, by looking for them without running it."""
        import duckdb

        with self._engine.cursor() as cursor:
            try:
                types = cursor.sql(query).types
            except duckdb.ParserException as error:
                raise unsupported(f"what becomes of the statement here: {error}") from None
            except duckdb.CatalogException as error:
                raise unsupported(f"a function: {_first_line(error)}") from None
            except duckdb.Error as error:
                if "No function matches" in str(error):
                    raise unsupported(f"a function: {_first_line(error)}") from None
                raise semantics(_first_line(error)) from None
        return [_sinks.Column(*pair) for pair in zip(names, types, strict=True)]

    def insert(self, plan: Plan) -> Staged:
        """See :class:`SqlEngine`."""
        assert plan.format is not None
        work = _Work(plan.query, plan.shape, plan.format, plan.path, plan.rows_per_file)
        return self._write(work, input_size=plan.input_size)

    def query(self, plan: Plan, path: str = "") -> Staged:
        """See :class:`SqlEngine`."""
        table = self._keep(plan)
        try:
            result = Result(table, plan.columns, self._count(table), plan.shape)
            if path:
                format = read_format("csv", {}, {})
                written = self._write(_Work(f"SELECT * FROM {table}", plan.shape, format, path))
            else:
                written = Staged(Exported(0, 0, (), 0))
        except BaseException:
            self._drop(table)
            raise

        def discard() -> None:
            written.discard()
            self._drop(table)

        files, size = written.exported.files, written.exported.bytes_written
        exported = Exported(result.rows, plan.input_size, files, size, result)
        return Staged(exported, written.publish, discard, written.clean)

    def export(
        self, result: Result, path: str, format: Format, *, limit: int, overwrite: bool
    ) -> Staged:
        """See :class:`SqlEngine`."""
        _check(format, result.shape, self._engine.session)
        query = f"SELECT * FROM {result.name}" + (f" LIMIT {limit}" if limit else "")
        return self._write(_Work(query, result.shape, format, path), overwrite=overwrite)

    def preview(self, result: Result, limit: int) -> list[list[Any]]:
        """See :class:`SqlEngine`."""
        cells = [_spark.cell(column.type, self._engine.session) for column in result.shape]
        query = _fetching(f"SELECT * FROM {result.name}", [cell.cast for cell in cells])
        with self._engine.cursor() as cursor:
            rows = cursor.execute(f"{query} LIMIT {limit}").fetchall()
        return [[_shown(*pair) for pair in zip(cells, row, strict=True)] for row in rows]

    def forget(self) -> None:
        """See :class:`SqlEngine`."""
        with self._lock:
            kept = tuple(self._results)
        for table in kept:
            self._drop(table)

    def _keep(self, plan: Plan) -> str:
        table = f'{_RESULTS}.main."{uuid.uuid4()}"'
        aliases = ", ".join(_positions(plan.shape))
        with self._engine.cursor() as cursor:
            cursor.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {_RESULTS} (READ_WRITE)")
            cursor.execute(f"CREATE TABLE {table} AS SELECT * FROM ({plan.query}) q({aliases})")
        with self._lock:
            self._results.add(table)
        return table

    def _drop(self, table: str) -> None:
        with self._lock:
            known = table in self._results
            self._results.discard(table)
        if known:
            with self._engine.cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {table}")

    def _count(self, table: str) -> int:
        with self._engine.cursor() as cursor:
            return int(cursor.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def _write(self, work: _Work, *, overwrite: bool = True, input_size: int = 0) -> Staged:
        sink = work.format.sink(work.shape, self._engine.session)
        staging = self._engine.obs.stage(work.path, overwrite=overwrite)
        try:
            with self._engine.cursor() as cursor:
                cursor.execute(_fetching(work.query, sink.casts))
                written = _sinks.write_files(
                    staging.folder,
                    cursor.fetchmany,
                    sink,
                    rows_per_part=self._engine.rows_per_file,
                    rows_per_file=work.rows_per_file,
                )
            staging.seal()
        except BaseException:
            staging.discard()
            raise
        exported = Exported(written.rows, input_size, written.files, written.size)
        return Staged(exported, staging.publish, staging.withdraw, staging.clean)


class _Work(NamedTuple):
    """Rows on their way to a folder."""

    query: str
    shape: Sequence[_sinks.Column]
    format: Format
    path: str
    rows_per_file: int = 0


def translator(find: Find) -> Callable[[str, str], Translated]:
    """A function from query and database to the query for DuckDB; see :func:`translate`.

    It remembers: the same query is often run for many folders, and sqlglot takes some milliseconds.
    """
    return lru_cache(_REMEMBERED)(partial(_translated, find))


def _translated(find: Find, query: str, database: str) -> Translated:
    try:
        from .translation import translate
    except ImportError:
        raise unsupported(
            "SQL without sqlglot, which the extra [emulator] brings: pip install "
            "'dli-async[emulator]'"
        ) from None
    try:
        return translate(query, database, find)
    except SqlError:
        raise
    except Exception as error:  # sqlglot stumbles over some trees that it has read
        raise unsupported(f"this query ({type(error).__name__}: {_first_line(error)})") from error


def _positions(columns: Sequence[Any]) -> list[str]:
    # Names may appear twice in a result, so the columns go by number inside.
    return [f"c{number}" for number in range(len(columns))]


def _with_types(found: Translated) -> str:
    names = _positions(found.names)
    values = [
        f"TRY_CAST({name} AS {cast}) AS {name}" if cast else name
        for name, cast in zip(names, found.casts, strict=True)
    ]
    return f"SELECT {', '.join(values)} FROM ({found.query}) q({', '.join(names)})"


def _fetching(query: str, casts: Sequence[str]) -> str:
    names = _positions(casts)
    values = [f"CAST({name} AS {cast})" for name, cast in zip(names, casts, strict=True)]
    return f"SELECT {', '.join(values)} FROM ({query}) q({', '.join(names)})"


def _described(columns: Sequence[_sinks.Column], session: SparkSession) -> tuple[Column, ...]:
    return tuple(Column(column.name, _spark.cell(column.type, session).type) for column in columns)


def _check(format: Format, columns: Sequence[_sinks.Column], session: SparkSession) -> None:
    """Finds out at once what the format cannot hold."""
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise semantics(f"found duplicate column(s): `{column.name.lower()}`")
        seen.add(column.name.lower())
    try:
        format.sink(columns, session)
    except UnsupportedColumn as error:
        raise semantics(str(error)) from None


def _shown(cell: _spark.Cell, value: Any) -> Any:
    """A value in a preview: numbers and truth as such, all else as csv has it, nested as JSON."""
    if value is None or cell.type == "string":
        return value
    if cell.type in _AS_JSON or cell.csv is None:
        return json.loads(cell.json(value))
    return cell.csv(value)


_AS_JSON = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
