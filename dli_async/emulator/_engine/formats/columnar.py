"""Parquet and ORC through pyarrow, with the types and names that Spark gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..session import SparkSession
from ..sql.errors import unsupported
from .extra import imported
from .kinds import Field, Kind, kind_of
from .options import Options
from .sinks import Column, Rows

__all__ = ["OrcFormat", "ParquetFormat"]

_PARQUET = {
    "none": ("none", ""),
    "uncompressed": ("none", ""),
    "snappy": ("snappy", ".snappy"),
    "gzip": ("gzip", ".gz"),
    "zstd": ("zstd", ".zstd"),
    "brotli": ("brotli", ".br"),
    # Written as LZ4_RAW, which readers tell by the footer: nobody should write Hadoop's own frames.
    "lz4": ("lz4", ".lz4hadoop"),
    "lz4_raw": ("lz4", ".lz4raw"),
}
_ORC = {
    "none": ("uncompressed", ""),
    "uncompressed": ("uncompressed", ""),
    "snappy": ("snappy", ".snappy"),
    "zlib": ("zlib", ".zlib"),
    "zstd": ("zstd", ".zstd"),
    "lz4": ("lz4", ".lz4"),
}
_INT96 = "INT96"
_TIMESTAMPS = (_INT96, "TIMESTAMP_MICROS", "TIMESTAMP_MILLIS")


@dataclass(frozen=True)
class ParquetFormat:
    """Parquet: snappy and INT96 timestamps unless told otherwise."""

    compress: str
    timestamps: str = _INT96
    name: str = "parquet"
    header: bool = False

    KNOWN = ("compression", "parquet.compression")

    @classmethod
    def read(cls, given: Mapping[str, str], conf: Mapping[str, str]) -> ParquetFormat:
        """Reads the options of a statement."""
        imported("pyarrow.parquet", "parquet")
        timestamps = conf.get("spark.sql.parquet.outputTimestampType", _INT96).upper()
        if timestamps not in _TIMESTAMPS:
            raise unsupported(f"parquet timestamps of type {timestamps}", _TIMESTAMPS)
        words = {word: word for word in _PARQUET}
        options = Options("parquet", given, cls.KNOWN)
        return cls(options.codec(words, ("lzo",), "snappy"), timestamps)

    def sink(self, columns: Sequence[Column], session: SparkSession) -> ArrowSink:
        """See :class:`Format`."""
        pa = imported("pyarrow", "parquet")
        unit = "ms" if self.timestamps == "TIMESTAMP_MILLIS" else "us"
        # INT96 has no zone; the others say that they are instants.
        timestamp = pa.timestamp(unit, None if self.timestamps == _INT96 else "UTC")
        fields = [Field(column.name, kind_of(column.type)) for column in columns]
        schema = _schema(pa, fields, timestamp)
        noted = {"type": "struct", "fields": [each.as_json() for each in fields]}
        footer = {_ROW_METADATA: json.dumps(noted, ensure_ascii=False)}
        codec, suffix = _PARQUET[self.compress]
        return ArrowSink(fields, f"{suffix}.parquet", schema, self._writer(codec, footer))

    def _writer(self, codec: str, footer: Mapping[str, str]) -> Callable[[Any, Path], None]:
        parquet = imported("pyarrow.parquet", "parquet")

        def write(table: Any, path: Path) -> None:
            with parquet.ParquetWriter(
                path,
                table.schema,
                compression=codec,
                use_deprecated_int96_timestamps=self.timestamps == _INT96,
                store_decimal_as_integer=True,
                store_schema=False,
            ) as writer:
                writer.write_table(table)
                writer.add_key_value_metadata(footer)

        return write


_ROW_METADATA = "org.apache.spark.sql.parquet.row.metadata"


@dataclass(frozen=True)
class OrcFormat:
    """ORC: snappy unless told otherwise."""

    compress: str
    name: str = "orc"
    header: bool = False

    KNOWN = ("compression", "orc.compress")

    @classmethod
    def read(cls, given: Mapping[str, str], conf: Mapping[str, str]) -> OrcFormat:
        """Reads the options of a statement."""
        imported("pyarrow.orc", "orc")
        words = {word: word for word in _ORC}
        return cls(Options("orc", given, cls.KNOWN).codec(words, ("lzo",), "snappy"))

    def sink(self, columns: Sequence[Column], session: SparkSession) -> ArrowSink:
        """See :class:`Format`."""
        pa, orc = imported("pyarrow", "orc"), imported("pyarrow.orc", "orc")
        fields = [Field(column.name, kind_of(column.type)) for column in columns]
        codec, suffix = _ORC[self.compress]
        schema = _schema(pa, fields, pa.timestamp("us"))

        def write(table: Any, path: Path) -> None:
            orc.write_table(table, str(path), compression=codec)

        return ArrowSink(fields, f"{suffix}.orc", schema, write)


@dataclass(frozen=True)
class ArrowSink:
    """Collects the rows of a file as columns of Arrow, and has them written."""

    fields: Sequence[Field]
    ending: str
    schema: Any
    store: Callable[[Any, Path], None] = field(repr=False)

    @property
    def casts(self) -> Sequence[str]:
        """See :class:`Sink`."""
        return [each.kind.cast for each in self.fields]

    def write(self, path: Path, batches: Iterator[Rows]) -> None:
        """See :class:`Sink`."""
        pa = imported("pyarrow", self.ending)
        found = [self._batch(pa, rows) for rows in batches if rows]
        self.store(pa.Table.from_batches(found, self.schema), path)

    def _batch(self, pa: Any, rows: Rows) -> Any:
        columns = zip(*rows, strict=True)
        arrays = [
            pa.array([_value(each.kind, value) for value in values], type=kind.type)
            for each, kind, values in zip(self.fields, self.schema, columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _schema(pa: Any, fields: Sequence[Field], timestamp: Any) -> Any:
    return pa.schema([pa.field(each.name, _type(pa, each.kind, timestamp)) for each in fields])


def _type(pa: Any, kind: Kind, timestamp: Any) -> Any:
    inner = [_type(pa, each.kind, timestamp) for each in kind.fields]
    if kind.name == "array":
        return pa.list_(pa.field("element", inner[0]))
    if kind.name == "map":
        return pa.map_(*inner)
    if kind.name == "struct":
        names = [each.name for each in kind.fields]
        return pa.struct([pa.field(*pair) for pair in zip(names, inner, strict=True)])
    if kind.name == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    return timestamp if kind.name == "timestamp" else getattr(pa, _ARROW[kind.name])()


_ARROW = {
    "boolean": "bool_",
    "tinyint": "int8",
    "smallint": "int16",
    "int": "int32",
    "bigint": "int64",
    "float": "float32",
    "double": "float64",
    "date": "date32",
    "binary": "binary",
    "string": "string",
}


def _value(kind: Kind, value: Any) -> Any:
    """A value of DuckDB's as Arrow takes it: maps are pairs."""
    if value is None or not kind.fields:
        return value
    if kind.name == "array":
        return [_value(kind.fields[0].kind, item) for item in value]
    if kind.name == "map":
        key, item = (each.kind for each in kind.fields)
        return [(_value(key, name), _value(item, each)) for name, each in value.items()]
    values = zip(kind.fields, value.values(), strict=True)
    return {each.name: _value(each.kind, item) for each, item in values}
