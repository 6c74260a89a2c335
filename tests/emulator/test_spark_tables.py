"""Tables of any types and values, read back from the emulator's text by somebody else's readers."""

import base64
import json
import math
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async.emulator._engine import spark as _spark
from dli_async.emulator._engine.session import SparkSession

SESSIONS = [
    SparkSession(),
    SparkSession("3.5", 21, "Asia/Shanghai"),
    SparkSession("3.3", 17, "America/New_York"),
]


@dataclass(frozen=True)
class Value:
    """A value in DuckDB's words, and what a reader of json is to find."""

    type: str
    sql: str
    read: Any


@dataclass(frozen=True)
class Null:
    """The value that structs leave out."""

    type: str
    read: None = None

    @property
    def sql(self) -> str:
        return f"NULL::{self.type}"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def integers(name: str, bits: int) -> st.SearchStrategy[Value]:
    numbers = st.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1)
    return numbers.map(lambda number: Value(name, f"({number})::{name}", number))


def floating(name: str, width: int) -> st.SearchStrategy[Value]:
    def value(number: float) -> Value:
        read = number if math.isfinite(number) else java_name(number)
        return Value(name, f"'{number!r}'::{name}", read)

    return st.floats(width=32 if width == 32 else 64).map(value)


def java_name(number: float) -> str:
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


@st.composite
def decimals(draw: st.DrawFn) -> Value:
    width = draw(st.integers(1, 38))
    scale = draw(st.integers(0, width))
    digits = draw(st.integers(-(10**width) + 1, 10**width - 1))
    number = Decimal(f"{digits}E-{scale}")
    name = f"decimal({width},{scale})"
    return Value(name, f"'{number:f}'::{name}", number)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(micros: int) -> Value:
    read = EPOCH + timedelta(milliseconds=micros // 1_000)
    return Value("timestamptz", f"make_timestamptz({micros})", read)


def day(value: date) -> Value:
    return Value("date", f"date '{value}'", value.isoformat())


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = st.one_of(
    st.booleans().map(lambda yes: Value("boolean", str(yes).lower(), yes)),
    integers("tinyint", 8),
    integers("integer", 32),
    integers("bigint", 64),
    floating("float", 32),
    floating("double", 64),
    decimals(),
    texts.map(lambda text: Value("varchar", quoted(text), text)),
    st.dates(date(1, 1, 1)).map(day),
    # To the minute offsets are whole only since 1901.
    st.integers(-2_000_000_000_000_000, 250_000_000_000_000_000).map(moment),
)
blobs = st.binary().map(
    lambda data: Value("blob", f"from_hex('{data.hex()}')", base64.b64encode(data).decode())
)


def nullable(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Value | Null]:
    return st.tuples(values, st.booleans()).map(lambda two: Null(two[0].type) if two[1] else two[0])


def a_list(item: Value | Null) -> Value:
    items = f"[{item.sql}, {item.sql}]"
    return Value(f"{item.type}[]", f"{items}::{item.type}[]", [item.read, item.read])


def a_struct(fields: list[Value | Null]) -> Value:
    named = {f'f "{number}': field for number, field in enumerate(fields)}
    packed = ", ".join(f"{_spark.identifier(name)} := {each.sql}" for name, each in named.items())
    types = ", ".join(f"{_spark.identifier(name)} {each.type}" for name, each in named.items())
    read = {name: each.read for name, each in named.items() if each.read is not None}
    return Value(f"struct({types})", f"struct_pack({packed})", read)


@st.composite
def maps(draw: st.DrawFn, values: st.SearchStrategy[Value | Null]) -> Value:
    key, value = draw(texts), draw(values)
    return Value(
        f"map(varchar, {value.type})", f"map([{quoted(key)}], [{value.sql}])", {key: value.read}
    )


def nested(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    fields = nullable(inner)
    return st.one_of(
        fields.map(a_list), st.lists(fields, min_size=1, max_size=3).map(a_struct), maps(fields)
    )


values = nullable(st.recursive(st.one_of(scalars, blobs), nested, max_leaves=5))


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """One for all examples, since opening takes longer than a query."""
    opened = duckdb.connect()
    opened.execute("SET TimeZone = 'UTC'")
    return opened


def line(columns: list[Any], session: SparkSession, data_type: str) -> str:
    names = [f"c{number}" for number in range(len(columns))]
    query = ", ".join(
        f"{column.sql} AS {name}" for name, column in zip(names, columns, strict=True)
    )
    types = connection().sql(f"SELECT {query}").types
    cells = [_spark.cell(duck, session) for duck in types]
    casts = [f"CAST({name} AS {cell.cast})" for name, cell in zip(names, cells, strict=True)]
    rows = connection().execute(f"SELECT {', '.join(casts)} FROM (SELECT {query})").fetchall()
    if data_type == "csv":
        return _spark.csv_lines(cells)(rows)
    return _spark.json_lines(names, cells)(rows)


def same(found: Any, expected: Any) -> bool:
    """Whether a reader has found the value; numbers of a float32 have only its digits."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            same(*two) for two in zip(found, expected, strict=True)
        )
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            same(found[name], expected[name]) for name in expected
        )
    if isinstance(expected, datetime):
        return datetime.fromisoformat(found) == expected
    if isinstance(expected, float):
        return float(found) == expected or single(float(found)) == expected
    return bool(found == expected)


def single(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0]) if abs(value) < 3.5e38 else value


@pytest.mark.parametrize("session", SESSIONS, ids=str)
@given(columns=st.lists(values, min_size=1, max_size=3))
def test_a_json_reader_finds_every_value(
    session: SparkSession, columns: list[Value | Null]
) -> None:
    """Whatever the types: null columns and fields are left out, those of lists and maps kept."""
    found = json.loads(line(columns, session, "json"), parse_float=Decimal)
    expected = {
        f"c{number}": column.read
        for number, column in enumerate(columns)
        if column.read is not None
    }
    assert same(found, expected)


@pytest.mark.parametrize("session", SESSIONS, ids=str)
@given(column=nullable(scalars.filter(lambda value: value.type != "varchar")))
def test_csv_says_what_json_says(session: SparkSession, column: Value | Null) -> None:
    """The same text without quotes, and nothing for null."""
    whole = Value("integer", "0", 0)
    shown = json.loads(line([column], session, "json"), parse_float=str, parse_int=str)
    text = line([whole, column], session, "csv")
    expected = shown.get("c0", "")
    assert text == f"0,{str(expected).lower() if isinstance(expected, bool) else expected}\n"
