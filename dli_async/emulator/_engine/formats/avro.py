"""Avro through fastavro, in the schema that Spark gives its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..session import SparkSession
from ..tables import UnsupportedColumn
from .extra import imported
from .kinds import Field, Kind, kind_of
from .options import Options
from .sinks import Column, Rows

__all__ = ["AvroFormat"]

_CODECS = {
    "uncompressed": "null",
    "snappy": "snappy",
    "deflate": "deflate",
    "bzip2": "bzip2",
    "xz": "xz",
    "zstandard": "zstandard",
}
_RECORD = "topLevelRecord"
_EPOCH = datetime(1970, 1, 1)
_SIMPLE = {
    "boolean": "boolean",
    "tinyint": "int",
    "smallint": "int",
    "int": "int",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "binary": "bytes",
}


@dataclass(frozen=True)
class AvroFormat:
    """Avro: snappy unless told otherwise; no suffix tells the codec."""

    compress: str
    name: str = "avro"
    header: bool = False

    KNOWN = ("compression",)

    @classmethod
    def read(cls, given: Mapping[str, str], conf: Mapping[str, str]) -> AvroFormat:
        """Reads the options of a statement."""
        imported("fastavro", "avro")
        words = {word: word for word in _CODECS}
        return cls(Options("avro", given, cls.KNOWN).codec(words, (), "snappy"))

    def sink(self, columns: Sequence[Column], session: SparkSession) -> AvroSink:
        """See :class:`Format`."""
        fields = [Field(column.name, kind_of(column.type)) for column in columns]
        return AvroSink(fields, _record(fields, _RECORD, ""), _CODECS[self.compress])


@dataclass(frozen=True)
class AvroSink:
    """Writes records."""

    fields: Sequence[Field]
    schema: Any
    codec: str
    ending: str = ".avro"

    @property
    def casts(self) -> Sequence[str]:
        """See :class:`Sink`."""
        return [each.kind.cast for each in self.fields]

    def write(self, path: Path, batches: Iterator[Rows]) -> None:
        """See :class:`Sink`."""
        fastavro = imported("fastavro", "avro")
        schema = fastavro.parse_schema(self.schema)
        with path.open("xb") as out:
            fastavro.writer(out, schema, self._records(batches), codec=self.codec)

    def _records(self, batches: Iterator[Rows]) -> Iterator[dict[str, Any]]:
        names = [each.name for each in self.fields]
        convert = [_converter(each.kind) for each in self.fields]
        for rows in batches:
            for row in rows:
                values = [
                    None if value is None else to(value)
                    for to, value in zip(convert, row, strict=True)
                ]
                yield dict(zip(names, values, strict=True))


def _record(fields: Sequence[Field], name: str, space: str) -> dict[str, Any]:
    inner = f"{space}.{name}" if space else name
    columns = [
        {"name": each.name, "type": [_type(each.kind, each.name, inner), "null"]} for each in fields
    ]
    return {"type": "record", "name": name, "namespace": space, "fields": columns}


def _type(kind: Kind, name: str, space: str) -> Any:
    if kind.name == "array":
        return {"type": "array", "items": [_type(kind.fields[0].kind, name, space), "null"]}
    if kind.name == "map":
        if kind.fields[0].kind.name != "string":
            raise UnsupportedColumn("Avro has maps with text for keys only")
        return {"type": "map", "values": [_type(kind.fields[1].kind, name, space), "null"]}
    if kind.name == "struct":
        return _record(kind.fields, name, space)
    if kind.name == "decimal":
        return {
            "type": "fixed",
            "name": f"{space}.{name}.fixed",
            "size": _bytes_for(kind.precision),
            "logicalType": "decimal",
            "precision": kind.precision,
            "scale": kind.scale,
        }
    if kind.name == "date":
        return {"type": "int", "logicalType": "date"}
    if kind.name == "timestamp":
        return {"type": "long", "logicalType": "timestamp-micros"}
    return _SIMPLE[kind.name]


def _bytes_for(precision: int) -> int:
    """The least bytes that hold so many digits and a sign."""
    return (int(10**precision - 1).bit_length() + 8) // 8


def _converter(kind: Kind) -> Callable[[Any], Any]:
    """A function from DuckDB's values to fastavro's."""
    if kind.name == "timestamp":
        # fastavro would take a time without a zone for one of this machine.
        return lambda value: (value - _EPOCH) // timedelta(microseconds=1)
    inner = [_or_none(_converter(each.kind)) for each in kind.fields]
    if kind.name == "array":
        return lambda value: [inner[0](item) for item in value]
    if kind.name == "map":
        return lambda value: {name: inner[1](item) for name, item in value.items()}
    if kind.name == "struct":
        names = [each.name for each in kind.fields]
        return lambda value: {
            name: to(item) for name, to, item in zip(names, inner, value.values(), strict=True)
        }
    return lambda value: value


def _or_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)
