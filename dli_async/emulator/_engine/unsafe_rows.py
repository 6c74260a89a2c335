"""Structs as Spark keeps them in memory, since that is what a json map shows of a struct key.

An `UnsafeRow` is a row of 8-byte words: bits of the nulls, then one word for each field, then the
bytes of those that do not fit into a word, whose words tell where they begin and how many they are.
Its text is the words in hex: `[0,1]` for `{"a": 1}`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from . import spark_times as _times

__all__ = ["Area", "Pack", "nullable", "packing", "row_area", "row_text"]

_WORD = 8
_WIDE_DECIMAL = 18  # digits that fit into a word
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


class Area(NamedTuple):
    """Bytes behind the words of a row."""

    size: int
    data: bytes
    """At least `size` bytes, a whole number of words."""


Pack = Callable[[Any], int | Area]
"""From a value, or None, to its word or its bytes."""


def packing(spark: str) -> Pack | None:
    """How a value of a Spark type is kept; None for arrays and maps."""
    if match := _DECIMAL.fullmatch(spark):
        return _wide_decimal if int(match[1]) > _WIDE_DECIMAL else _PACKINGS["decimal"]
    return _PACKINGS.get(spark)


def nullable(pack: Pack) -> Pack:
    """`pack` for a field whose null is a word of 0."""
    return lambda value: 0 if value is None else pack(value)


def row_area(packs: Sequence[Pack], values: Sequence[Any]) -> Area:
    """A row of these values."""
    words, data, nulls = [], b"", 0
    start = _WORD * (_bitmap_words(len(packs)) + len(packs))
    for index, (pack, value) in enumerate(zip(packs, values, strict=True)):
        nulls |= (value is None) << index
        packed = pack(value)
        if isinstance(packed, Area):
            words.append((start + len(data)) << 32 | packed.size)
            data += packed.data
        else:
            words.append(packed)
    bitmap = nulls.to_bytes(_WORD * _bitmap_words(len(packs)), "little")
    row = bitmap + struct.pack(f"<{len(words)}Q", *words) + data
    return Area(len(row), row)


def row_text(row: Area) -> str:
    """Its words in hex."""
    words = struct.unpack(f"<{row.size // _WORD}Q", row.data)
    return f"[{','.join([f'{word:x}' for word in words])}]"


def _bitmap_words(fields: int) -> int:
    return (fields + 63) // 64


def _number(bits: int) -> Pack:
    mask = (1 << bits) - 1
    return nullable(lambda text: int(text) & mask)


def _floating(form: str, bits: str) -> Pack:
    return nullable(lambda value: int(struct.unpack(bits, struct.pack(form, value))[0]))


def _bytes(data: bytes) -> Area:
    return Area(len(data), data + bytes(-len(data) % _WORD))


def _unscaled(text: str) -> int:
    sign, digits, _ = Decimal(text).as_tuple()
    number = int("".join(map(str, digits)))
    return -number if sign else number


def _wide_decimal(text: str | None) -> Area:
    """Big-endian in two words, which are there for a null as well."""
    if text is None:
        return Area(0, bytes(2 * _WORD))
    number = _unscaled(text)
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return Area(size, number.to_bytes(size, "big", signed=True).ljust(2 * _WORD, b"\0"))


_LONG = (1 << 64) - 1
_PACKINGS: dict[str, Pack] = {
    "boolean": nullable(lambda text: int(text == "true")),
    "tinyint": _number(8),
    "smallint": _number(16),
    "int": _number(32),
    "bigint": _number(64),
    "float": _floating("<f", "<I"),
    "double": _floating("<d", "<Q"),
    "decimal": nullable(lambda text: _unscaled(text) & _LONG),
    "date": nullable(lambda text: _times.days(text) & ((1 << 32) - 1)),
    "timestamp": nullable(lambda text: _times.micros(text) & _LONG),
    "string": nullable(lambda text: _bytes(text.encode())),
    "binary": nullable(_bytes),
}
