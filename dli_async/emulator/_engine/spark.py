"""How Spark writes tables as text: lines of csv or json.

A DuckDB type becomes a :class:`Cell`: the Spark type it stands for, the DuckDB type to cast it to
before fetching (text for almost everything: DuckDB makes it faster than Python), and functions from
the fetched value to csv and json text. They never see a null.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from . import java_numbers as _numbers
from . import spark_text as _text
from . import spark_times as _times
from . import unsafe_rows as _rows
from .session import SparkSession
from .tables import UnsupportedColumn

__all__ = [
    "Cell",
    "Lines",
    "cell",
    "csv_header",
    "csv_lines",
    "identifier",
    "json_lines",
]

Text = Callable[[Any], str]
Write = Callable[[Iterable[Any]], list[str]]
Lines = Callable[[Sequence[Sequence[Any]]], str]


@dataclass(frozen=True)
class Cell:
    """How the values of one column are fetched and written."""

    type: str
    """Spark's name of the type, e.g. `decimal(10,2)` or `array<int>`."""
    cast: str
    """The DuckDB type to fetch."""
    csv: Text | None
    """Value to csv field; None for a type that Spark's csv writer refuses."""
    json: Text
    """Value to json."""
    key: Text
    """Value to the name it has as the key of a json map."""


def identifier(name: str) -> str:
    """`name` quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


# --- lines --------------------------------------------------------------------------------------


def csv_header(names: Sequence[str]) -> str:
    """The line of column names."""
    return ",".join([_text.first_csv_text(names[0]), *map(_text.csv_text, names[1:])]) + "\n"


def csv_lines(cells: Sequence[Cell]) -> Lines:
    """A function from rows to csv: null is an empty field, an empty string `""`.

    As in Spark a line without any character is not written: a null in a table of one column.

    :raises TypeError: a cell has no csv form.
    """
    columns = [_csv_column(cell.csv, index) for index, cell in enumerate(cells)]

    def write(rows: Sequence[Sequence[Any]]) -> str:
        return "".join([f"{line}\n" for line in map(",".join, _written(columns, rows)) if line])

    return write


def _csv_column(text: Text | None, index: int) -> Write:
    if text is None:
        raise TypeError("csv has no form for this type")
    if text is str:
        return lambda values: ["" if value is None else value for value in values]
    write = _text.first_csv_text if text is _text.csv_text and index == 0 else text
    return lambda values: ["" if value is None else write(value) for value in values]


def json_lines(names: Sequence[str], cells: Sequence[Cell]) -> Lines:
    """A function from rows to JSON Lines; fields that are null are left out."""
    columns = [_json_column(name, cell.json) for name, cell in zip(names, cells, strict=True)]

    def write(rows: Sequence[Sequence[Any]]) -> str:
        # Every field begins with a comma: the first one's is dropped here.
        return "".join(["{" + line[1:] + "}\n" for line in map("".join, _written(columns, rows))])

    return write


def _json_column(name: str, write: Text) -> Write:
    prefix = f",{_text.json_text(name)}:"
    if write is str:
        return lambda values: ["" if value is None else prefix + value for value in values]
    return lambda values: ["" if value is None else prefix + write(value) for value in values]


def _written(columns: Sequence[Write], rows: Sequence[Sequence[Any]]) -> Iterable[Sequence[str]]:
    """The rows as text; worked out by columns, so that no cell asks for its type."""
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return zip(*[write(each) for write, each in zip(columns, values, strict=True)], strict=True)


# --- types --------------------------------------------------------------------------------------


def cell(duck: Any, session: SparkSession) -> Cell:
    """The :class:`Cell` of a DuckDB type; what Spark does not know is a string of DuckDB's text."""
    if duck.id in _NESTED:
        return _NESTED[duck.id](duck, session)
    return _cells(session).get(duck.id, _STRING)


def _plain(spark: str, text: Text = str) -> Cell:
    return Cell(spark, "VARCHAR", text, text, text)


def _number(spark: str, text: Text) -> Cell:
    def write(value: Any) -> str:
        number = text(value)
        return number if number[-1].isdigit() else f'"{number}"'

    return Cell(spark, spark.upper(), text, write, text)


def _quoted(spark: str, text: Text, inner: Callable[[str], int]) -> Cell:
    """A json map has the number that Spark keeps in place of the key."""

    def key(value: str) -> str:
        try:
            return str(inner(value))
        except ValueError:  # DuckDB's infinity
            return value

    return Cell(spark, "VARCHAR", text, lambda value: f'"{text(value)}"', key)


def _base64(value: bytes) -> str:
    return f'"{base64.b64encode(value).decode()}"'


_STRING = Cell("string", "VARCHAR", _text.csv_text, _text.json_text, str)


@lru_cache
def _cells(session: SparkSession) -> dict[str, Cell]:
    new = session.shortest_numbers
    binary = _no_text("Csv has values of the type binary") if session.spark == "3.3" else None
    timestamp = _quoted("timestamp", _times.timestamp_writer(session.zone), _times.micros)
    return {
        "boolean": _plain("boolean"),
        "tinyint": _plain("tinyint"),
        "smallint": _plain("smallint"),
        "integer": _plain("int"),
        "bigint": _plain("bigint"),
        "utinyint": _plain("smallint"),
        "usmallint": _plain("int"),
        "uinteger": _plain("bigint"),
        "ubigint": _plain("decimal(20,0)"),
        "hugeint": _plain("decimal(38,0)"),
        "uhugeint": _plain("decimal(38,0)"),
        "float": _number("float", _numbers.float_text if new else _numbers.old_float_text),
        "double": _number("double", _numbers.double_text if new else _numbers.old_double_text),
        "date": _quoted("date", _times.date_text, _times.days),
        "timestamp": timestamp,
        "timestamp_s": timestamp,
        "timestamp_ms": timestamp,
        "timestamp_ns": timestamp,
        "timestamp with time zone": timestamp,
        "blob": Cell("binary", "BLOB", binary, _base64, _no_key("binary")),
    }


def _decimal(duck: Any, session: SparkSession) -> Cell:
    width, scale = (size for _, size in duck.children)
    # Only then Java's text may differ from DuckDB's, which has no zero before the point either.
    text = _text.decimal_text if scale > 6 or scale == width else str
    return _plain(f"decimal({width},{scale})", text)


def _array(duck: Any, session: SparkSession) -> Cell:
    item = cell(duck.children[0][1], session)

    def write(values: Iterable[Any]) -> str:
        return f"[{','.join('null' if value is None else item.json(value) for value in values)}]"

    spark = f"array<{item.type}>"
    return Cell(spark, f"{item.cast}[]", None, write, _no_key(spark))


def _struct(duck: Any, session: SparkSession) -> Cell:
    cells = [cell(child, session) for _, child in duck.children]
    names = [name for name, _ in duck.children]
    line = json_lines(names, cells)

    def write(value: dict[str, Any]) -> str:
        return line([tuple(value.values())])[:-1]

    types = ",".join(f"{name}:{child.type}" for name, child in zip(names, cells, strict=True))
    casts = [f"{identifier(name)} {child.cast}" for name, child in zip(names, cells, strict=True)]
    spark, row = f"struct<{types}>", _row(duck, session)
    key = _no_key(spark) if row is None else lambda value: _rows.row_text(row(value))
    return Cell(spark, f"STRUCT({', '.join(casts)})", None, write, key)


def _row(duck: Any, session: SparkSession) -> Callable[[Any], _rows.Area] | None:
    """How Spark keeps a struct in memory; None with an array or a map in it."""
    packs = [_packing(child, session) for _, child in duck.children]
    known = [pack for pack in packs if pack is not None]
    if len(known) < len(packs):
        return None
    return lambda value: _rows.row_area(known, tuple(value.values()))


def _packing(duck: Any, session: SparkSession) -> _rows.Pack | None:
    if duck.id != "struct":
        return _rows.packing(cell(duck, session).type)
    row = _row(duck, session)
    return None if row is None else _rows.nullable(row)


def _map(duck: Any, session: SparkSession) -> Cell:
    key, item = (cell(child, session) for _, child in duck.children)

    def entry(name: Any, value: Any) -> str:
        text = "null" if value is None else item.json(value)
        return f"{_text.json_text(key.key(name))}:{text}"

    def write(value: dict[Any, Any]) -> str:
        return "{" + ",".join([entry(name, item) for name, item in entries(value)]) + "}"

    spark = f"map<{key.type},{item.type}>"
    entries = _entries if duck.children[0][1].id in _UNHASHABLE else dict.items
    return Cell(spark, f"MAP({key.cast}, {item.cast})", None, write, _no_key(spark))


def _entries(value: dict[str, list[Any]]) -> Iterable[tuple[Any, Any]]:
    """Those of a map whose keys no Python dict takes: DuckDB gives two lists instead."""
    return zip(value["key"], value["value"], strict=True)


def _no_key(spark: str) -> Text:
    return _no_text(f"A map has keys of the type {spark}")


def _no_text(what: str) -> Text:
    """For what shows in Spark's file as `[B@6d06d69c` or the like."""

    def refuse(_: Any) -> str:
        raise UnsupportedColumn(
            f"{what}: Spark writes the name of a Java object in their place, which no two runs "
            "have alike, and so the emulator writes nothing."
        )

    return refuse


_UNHASHABLE = ("struct", "list", "array", "map")
_NESTED: dict[str, Callable[[Any, SparkSession], Cell]] = {
    "decimal": _decimal,
    "list": _array,
    "array": _array,
    "struct": _struct,
    "map": _map,
}
