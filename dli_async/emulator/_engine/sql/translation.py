"""Translates a SELECT of Spark into one of DuckDB, by sqlglot, with the names and types of Spark.

A name that is in no table, or a function that neither side knows, is told before anything runs.
Imported only where sqlglot is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError, UnsupportedError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope
from sqlglot.schema import MappingSchema

from .column_names import column_name
from .errors import SqlError, semantics, syntax, unsupported
from .functions import check_functions
from .rewriting import rewritten
from .spark_types import METADATA, widest

__all__ = ["Known", "Translated", "translate"]

_CATALOGUE = "dli"
_REFUSED: tuple[Any, ...] = (
    exp.DDL,
    exp.DML,
    exp.Command,
    exp.Into,
    exp.Parameter,
    exp.Placeholder,
    exp.Pivot,
)
_REFUSED += (
    exp.TableSample,
    exp.Lock,
    exp.MatchRecognize,
    exp.QueryTransform,
    exp.SessionParameter,
)
_REFUSED += (exp.Version,)


@dataclass(frozen=True)
class Known:
    """A table that a statement may name."""

    database: str
    name: str
    schema: str
    """What DuckDB calls the database."""
    columns: Mapping[str, str]
    """Types of Spark by name."""


Find = Callable[[str, str], Known]
"""A table by database and name; raises :class:`SqlError` if there is none."""


@dataclass(frozen=True)
class Translated:
    """A query for DuckDB, and what Spark calls its columns."""

    query: str
    names: tuple[str, ...]
    casts: tuple[str | None, ...]
    """DuckDB's type for each column; None where it is right as it comes."""
    tables: tuple[Known, ...]


def translate(query: str, database: str, find: Find) -> Translated:
    """Translates a query.

    :param database: where tables are that are named without one.
    :raises SqlError: DLI.0004 for syntax, DLI.0002 for a missing table, DLI.0005 for a name that
        cannot be resolved, DLI.0007 for what is not emulated.
    """
    tree = _parse(query)
    check_functions(tree)
    _name_columns(tree)
    aliases = _aliases(tree)
    tree = normalize_identifiers(tree, dialect="spark")
    tables = _resolve_tables(tree, database, find)
    written = {name.lower(): name for table in tables for name in table.columns} | aliases
    tree, kinds = _typed(tree, tables)
    names = tuple(written.get(each.output_name, each.output_name) for each in tree.selects)
    text = _generate(rewritten(tree))
    return Translated(text, names, tuple(map(_duck_type, kinds)), tuple(tables))


def _parse(query: str) -> Any:
    try:
        trees = sqlglot.parse(query, read="spark")
    except SqlglotError as error:
        raise syntax(_first_line(error)) from None
    except RecursionError:
        raise unsupported("a statement that is nested so deeply") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise unsupported("a statement that is no query", ("SELECT ...", "WITH ... SELECT ..."))
    tree = trees[0].unnest() if isinstance(trees[0], exp.Subquery) else trees[0]
    for node in tree.find_all(*_REFUSED):
        raise unsupported(f"{node.key} within a query")
    if any(lateral.args.get("outer") for lateral in tree.find_all(exp.Lateral)):
        raise unsupported("LATERAL VIEW OUTER", ("LATERAL VIEW explode(...)",))
    return tree


def _first_line(error: Exception) -> str:
    # sqlglot underlines what it means with the terminal's own codes.
    lines = str(error).replace("\x1b[4m", "").replace("\x1b[0m", "").splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _name_columns(tree: Any) -> None:
    """Gives every column that has no name the one that Spark gives it."""
    for select in tree.find_all(exp.Select):
        named = [_named(projection) for projection in select.expressions]
        select.set("expressions", named)


def _named(projection: Any) -> Any:
    if projection.is_star or isinstance(projection, exp.Alias | exp.Aliases):
        return projection
    name = projection.name if isinstance(projection, exp.Column) else column_name(projection)
    return exp.alias_(projection.copy(), name, quoted=True)


def _resolve_tables(tree: Any, database: str, find: Find) -> list[Known]:
    found: dict[tuple[str, str], Known] = {}
    for table in _real_tables(tree):
        known = _look_up(table, database, find)
        found[known.database.lower(), known.name.lower()] = known
        alias = table.alias or table.name
        table.set("catalog", None)
        table.set("db", exp.to_identifier(known.database, quoted=True))
        table.set("this", exp.to_identifier(known.name, quoted=True))
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    _drop_databases(tree, found)
    return list(found.values())


def _real_tables(tree: Any) -> Iterator[exp.Table]:
    try:
        scopes = traverse_scope(tree)
    except OptimizeError as error:
        raise semantics(_first_line(error)) from None
    seen: set[int] = set()
    for scope in scopes:
        for table in scope.tables:
            source = scope.sources.get(table.alias_or_name)
            if (table.db or isinstance(source, exp.Table)) and id(table) not in seen:
                seen.add(id(table))
                yield table


def _look_up(table: exp.Table, database: str, find: Find) -> Known:
    if not isinstance(table.this, exp.Identifier):
        raise unsupported(f"the table function {table.this.sql('spark')}", ("tables", "subqueries"))
    if table.catalog and table.catalog.lower() != _CATALOGUE:
        raise SqlError("DLI.0002", f"There is no catalog named {table.catalog}.")
    return find(table.db or database, table.name)


def _drop_databases(tree: Any, known: Mapping[tuple[str, str], Known]) -> None:
    """Columns by their table's full name: here tables go by their alias, which is the name."""
    for column in tree.find_all(exp.Column):
        if column.args.get("db") and (column.text("db").lower(), column.table.lower()) in known:
            column.set("db", None)
            column.set("catalog", None)


def _aliases(tree: Any) -> dict[str, str]:
    """How names are written: sqlglot compares them in lower case, Spark shows them as they are."""
    written = {alias.alias.lower(): alias.alias for alias in tree.find_all(exp.Alias)}
    for table in tree.find_all(exp.TableAlias):
        written |= {column.name.lower(): column.name for column in table.columns}
    return written


def _typed(tree: Any, tables: Sequence[Known]) -> tuple[Any, list[Any]]:
    schema = MappingSchema(dialect="spark")
    for table in tables:
        columns = {name: _read_type(kind) for name, kind in table.columns.items()}
        where = exp.table_(exp.to_identifier(table.name, quoted=True), db=table.database)
        schema.add_table(where, columns, dialect="spark")
    try:
        tree = qualify(tree, schema=schema, dialect="spark", quote_identifiers=True)
        tree = annotate_types(tree, schema=schema, dialect="spark", expression_metadata=METADATA)
    except OptimizeError as error:
        raise semantics(_first_line(error)) from None
    for node in tree.find_all(exp.Table):
        _rename(node, tables)
    return tree, _kinds(tree)


def _read_type(kind: str) -> exp.DataType:
    try:
        return exp.DataType.build(kind, dialect="spark")
    except SqlglotError:  # a struct with names that need quotes, say
        return exp.DataType.build("unknown")


def _rename(table: exp.Table, tables: Sequence[Known]) -> None:
    for known in tables:
        same = table.db.lower() == known.database.lower()
        if same and table.name.lower() == known.name.lower():
            table.set("this", exp.to_identifier(known.name, quoted=True))
            table.set("db", exp.to_identifier(known.schema, quoted=True))


def _kinds(tree: Any) -> list[Any]:
    if isinstance(tree, exp.SetOperation):
        pairs = zip(_kinds(tree.left.unnest()), _kinds(tree.right.unnest()), strict=False)
        return [widest(pair) for pair in pairs]
    return [each.type for each in tree.selects]


def _duck_type(kind: exp.DataType | None) -> str | None:
    """The type to cast a result to; nested ones come as they are."""
    if kind is None or kind.is_type(*_LEFT_ALONE):
        return None
    return str(kind.sql(dialect="duckdb"))


_LEFT_ALONE: tuple[str, ...] = (
    "unknown",
    "null",
    "array",
    "map",
    "struct",
    "interval",
    "json",
    "timestamp",
)
_LEFT_ALONE += ("timestamptz", "timestampltz", "timestampntz")


def _generate(tree: Any) -> str:
    try:
        return str(tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE))
    except UnsupportedError as error:
        raise unsupported(_first_line(error)) from None
