"""Part files as Arrow: Spark's csv and json with the types of the table (extra `[arrow]`)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import csv, json

from .._values.files import FileDamaged, PartFile
from .contents import decoder, rows_of

_TYPES: dict[str, Any] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "long": pa.int64(),
    "float": pa.float32(),
    "real": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_NESTED = ("array", "map", "struct")
# Spark writes as text what is no number of json, which Arrow takes for a change of type.
_NOT_A_NUMBER = re.compile(rb':"(?:NaN|-?Infinity)"')
_ROW = re.compile(rb'(?:[^"\n]+|"[^"\\]*(?:\\.[^"\\]*)*")*\n?', re.DOTALL)
_QUOTED = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")', re.DOTALL)


def arrow_type(spark: str | None) -> Any:
    """The type of a column; text for what csv cannot hold, None for what is nested."""
    name = (spark or "string").strip().lower()
    if match := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(match[1]), int(match[2]))
    return None if name.startswith(_NESTED) else _TYPES.get(name, pa.string())


class Reading:
    """One part on its way to record batches; blocking.

    Args:
        types: the table's columns in order; None takes the names from a header, or makes them up,
            and reads csv as text.
        header: whether a csv file begins with the names of its columns.

    Raises:
        FileDamaged: the file is neither csv nor json.
    """

    def __init__(self, part: PartFile, types: Mapping[str, Any] | None, header: bool) -> None:
        self._part = part
        self._decoder = decoder(part.codec)
        rows = rows_of(part.format)
        if rows is None:
            raise FileDamaged(f"{part.name}: only csv and json can be read; fetch it instead")
        self._rows = rows
        self._is_csv = part.format == "csv"
        self._types = types
        self._header = header and self._is_csv
        self._left = b""

    def batches(self, block: bytes) -> Iterator[Any]:
        """The batches that a block leads to, one for each piece of text."""
        for piece in self._decoder.feed(block):
            end = self._rows.feed(piece)
            text, self._left = self._left + piece[:end], piece[end:] if end else self._left + piece
            if end:
                yield from self._parse(text)

    def finish(self) -> Iterator[Any]:
        """The rest: a last row without its line end."""
        self._decoder.finish()
        yield from self._parse(self._left)
        self._left = b""

    def _parse(self, text: bytes) -> Iterator[Any]:
        try:
            if self._is_csv:
                text = self._without_header(text) if text else b""
            if text:
                table = self._read_csv(text) if self._is_csv else self._read_json(text)
                yield from table.combine_chunks().to_batches()
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise FileDamaged(f"{self._part.name}: {error}") from error

    def _without_header(self, text: bytes) -> bytes:
        first = _first_row(text)
        if self._types is None:
            self._types = dict.fromkeys(_names(first, self._header), pa.string())
        if not self._header:
            return text
        self._header = False
        return text[len(first) :]

    def _read_csv(self, text: bytes) -> Any:
        types = self._types or {}
        escaped = _with_bare_backslashes(text)
        return csv.read_csv(
            io.BytesIO(escaped),
            csv.ReadOptions(column_names=list(types), block_size=len(escaped) + 1),
            csv.ParseOptions(
                escape_char="\\",
                newlines_in_values=True,
                # A row of one column that is null is an empty line.
                ignore_empty_lines=len(types) > 1,
            ),
            csv.ConvertOptions(
                column_types={name: kind or pa.string() for name, kind in types.items()},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                timestamp_parsers=[csv.ISO8601],
            ),
        )

    def _read_json(self, text: bytes) -> Any:
        types = {name: kind for name, kind in (self._types or {}).items() if kind is not None}
        as_text = {name for name, kind in types.items() if pa.types.is_temporal(kind)}
        if _NOT_A_NUMBER.search(text):
            floats = [name for name, kind in types.items() if pa.types.is_floating(kind)]
            text = _with_quoted_numbers(text, floats)
            as_text.update(floats)
        read = [(name, pa.string() if name in as_text else kind) for name, kind in types.items()]
        table = json.read_json(
            io.BytesIO(text),
            json.ReadOptions(block_size=len(text) + 1),
            json.ParseOptions(explicit_schema=pa.schema(read)),
        )
        order = [name for name in self._types or () if name in table.column_names]
        table = table.select([*order, *(n for n in table.column_names if n not in order)])
        wanted = [pa.field(f.name, types.get(f.name, f.type)) for f in table.schema]
        return table.cast(pa.schema(wanted))


def joined(batches: list[Any], types: Mapping[str, Any] | None) -> Any:
    """One table of all batches; without any, one of no rows."""
    if not batches:
        fields = [(name, kind or pa.string()) for name, kind in (types or {}).items()]
        return pa.schema(fields).empty_table()
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    return pa.concat_tables(tables, promote_options="permissive")


def steps(iterator: Iterator[Any]) -> Callable[[], Any]:
    """The next item at each call, and None at the end: for a worker thread."""
    return partial(next, iterator, None)


def _names(row: bytes, is_header: bool) -> list[str]:
    options = csv.ReadOptions(autogenerate_column_names=not is_header, block_size=len(row) * 2 + 1)
    parse = csv.ParseOptions(escape_char="\\", newlines_in_values=True)
    return list(csv.read_csv(io.BytesIO(_with_bare_backslashes(row)), options, parse).column_names)


def _first_row(text: bytes) -> bytes:
    found = _ROW.match(text)
    return found[0] if found else text


def _with_bare_backslashes(text: bytes) -> bytes:
    """Spark escapes within quotes only, Arrow everywhere: what is outside is escaped too."""
    if b"\\" not in text:
        return text
    pieces = _QUOTED.split(text)
    pieces[::2] = [piece.replace(b"\\", b"\\\\") for piece in pieces[::2]]
    return b"".join(pieces)


def _with_quoted_numbers(text: bytes, names: list[str]) -> bytes:
    """The numbers of some columns as text, so that all their values are of one kind."""
    keys = b"|".join(re.escape(name.encode()) for name in names)
    return re.sub(rb'("(?:%s)":)(-?[0-9][-+.0-9eE]*)' % keys, rb'\1"\2"', text) if names else text
