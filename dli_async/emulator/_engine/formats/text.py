"""csv and json with the options of Spark's writers (dli_08_0076)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import spark as _spark
from ..parts import SUFFIXES, open_part
from ..session import SparkSession
from ..sql.errors import unsupported
from ..tables import UnsupportedColumn
from .csv_dialect import PLAIN, Dialect
from .kinds import Field, Kind, kind_of
from .options import Options, bad_option
from .patterns import formatter
from .sinks import Column, Rows

__all__ = ["CsvFormat", "JsonFormat", "TextSink"]

_CODECS = {"none": "none", "uncompressed": "none", **{word: word for word in SUFFIXES}}
_OTHER_CODECS = ("lz4", "snappy")
_ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk", "gb2312": "gb2312"}

Text = Callable[[Any], str]


@dataclass(frozen=True)
class TextSink:
    """Lines through a codec; what the encoding has no character for is a question mark."""

    casts: Sequence[str]
    ending: str
    lines: _spark.Lines
    head: str = ""
    compress: str = "none"
    encoding: str = "utf-8"

    def write(self, path: Path, batches: Iterator[Rows]) -> None:
        """See :class:`Sink`."""
        with open_part(path, self.compress) as out:
            out.write(self._encoded(self.head))
            for rows in batches:
                out.write(self._encoded(self.lines(rows)))

    def _encoded(self, text: str) -> bytes:
        if self.encoding != "gbk":
            return text.encode(self.encoding, errors="replace")
        # Java's GBK has a euro sign and Python's has none.
        parts = [part.encode("gbk", errors="replace") for part in text.split("€")]
        return b"\xa2\xe3".join(parts)


@dataclass(frozen=True)
class Shared:
    """What both formats have."""

    compress: str
    encoding: str
    date: str
    timestamp: str

    @classmethod
    def read(cls, options: Options) -> Shared:
        """Reads the options."""
        encoding = options.text("encoding", "charset", default="utf-8").lower()
        if encoding not in _ENCODINGS:
            raise unsupported(f"the encoding {encoding!r}", ("utf-8", "gbk", "gb2312"))
        date, timestamp = options.text("dateFormat"), options.text("timestampFormat")
        for pattern in (date, timestamp):
            formatter(pattern)
        codec = options.codec(_CODECS, _OTHER_CODECS, "none")
        return cls(codec, _ENCODINGS[encoding], date, timestamp)

    def pattern_for(self, kind: Kind, session: SparkSession) -> Text | None:
        """How a date or timestamp is written if not by default; None for other kinds."""
        if kind.name == "date" and self.date:
            return formatter(self.date)
        if kind.name == "timestamp" and self.timestamp:
            return formatter(self.timestamp, session.zone)
        return None


_SHARED = ("compression", "encoding", "charset", "dateFormat", "timestampFormat")


@dataclass(frozen=True)
class CsvFormat:
    """csv in any dialect."""

    shared: Shared
    header: bool = False
    dialect: Dialect = PLAIN
    name: str = "csv"

    KNOWN = (
        *("delimiter", "sep", "quote", "escape", "header", "nullValue", "emptyValue", "quoteAll"),
        *("ignoreLeadingWhiteSpace", "ignoreTrailingWhiteSpace", "comment", "codec", *_SHARED),
        # Documented beside them, for reading only: here they mean nothing, as in Spark.
        *("multiLine", "mode"),
    )

    @property
    def compress(self) -> str:
        """The codec's name as of export-table."""
        return self.shared.compress

    @classmethod
    def read(cls, given: Mapping[str, str], conf: Mapping[str, str]) -> CsvFormat:
        """Reads the options of a statement."""
        options = Options("csv", given, cls.KNOWN)
        dialect = Dialect(
            delimiter=_delimiter(options),
            quote=options.character("quote", PLAIN.quote),
            escape=options.character("escape", PLAIN.escape),
            null=options.text("nullValue"),
            empty=options.text("emptyValue", default=PLAIN.empty),
            comment=options.character("comment", PLAIN.comment),
            quote_all=options.flag("quoteAll", default=False),
            cut_left=options.flag("ignoreLeadingWhiteSpace", default=True),
            cut_right=options.flag("ignoreTrailingWhiteSpace", default=True),
            null_is_empty=conf.get(_LEGACY_NULL, "false") == "true",
        )
        return cls(Shared.read(options), options.flag("header", default=False), dialect)

    def sink(self, columns: Sequence[Column], session: SparkSession) -> TextSink:
        """See :class:`Format`."""
        cells = [_spark.cell(column.type, session) for column in columns]
        for column, cell in zip(columns, cells, strict=True):
            if cell.csv is None:
                raise UnsupportedColumn(session.refusal(column.name, cell.type))
        names = [column.name for column in columns]
        patterns = [self.shared.pattern_for(kind_of(column.type), session) for column in columns]
        plain = self.dialect == PLAIN and not any(patterns)
        lines = _spark.csv_lines(cells) if plain else self.dialect.lines(cells, patterns)
        head = self.dialect.line(names) if self.header else ""
        ending = f".csv{SUFFIXES[self.compress]}"
        casts = [cell.cast for cell in cells]
        return TextSink(casts, ending, lines, head, self.compress, self.shared.encoding)


_LEGACY_NULL = "spark.sql.legacy.nullValueWrittenAsQuotedEmptyStringCsv"


def _delimiter(options: Options) -> str:
    delimiter = options.text("sep", "delimiter", default=",")
    if not delimiter:
        raise bad_option("Delimiter cannot be empty string")
    # Spark reads escapes once more than the literal's: '\\t' is a tab as well.
    return {"\\t": "\t", "\\\\": "\\"}.get(delimiter, delimiter)


@dataclass(frozen=True)
class JsonFormat:
    """JSON Lines; nulls are left out."""

    shared: Shared
    name: str = "json"
    header: bool = False

    KNOWN = ("ignoreNullFields", *_SHARED)

    @property
    def compress(self) -> str:
        """The codec's name as of export-table."""
        return self.shared.compress

    @classmethod
    def read(cls, given: Mapping[str, str], conf: Mapping[str, str]) -> JsonFormat:
        """Reads the options of a statement."""
        options = Options("json", given, cls.KNOWN)
        if not options.flag("ignoreNullFields", default=True):
            raise unsupported("ignoreNullFields=false", ("true",))
        return cls(Shared.read(options))

    def sink(self, columns: Sequence[Column], session: SparkSession) -> TextSink:
        """See :class:`Format`."""
        cells = [self._cell(column, session) for column in columns]
        lines = _spark.json_lines([column.name for column in columns], cells)
        ending = f".json{SUFFIXES[self.compress]}"
        casts = [cell.cast for cell in cells]
        return TextSink(casts, ending, lines, "", self.compress, self.shared.encoding)

    def _cell(self, column: Column, session: SparkSession) -> _spark.Cell:
        cell, kind = _spark.cell(column.type, session), kind_of(column.type)
        if pattern := self.shared.pattern_for(kind, session):
            return replace(cell, json=lambda value: f'"{pattern(value)}"')
        if any(self._has_pattern(field, session) for field in kind.fields):
            raise unsupported(f"dateFormat within the nested column {column.name!r}")
        return cell

    def _has_pattern(self, field: Field, session: SparkSession) -> bool:
        nested = any(self._has_pattern(inner, session) for inner in field.kind.fields)
        return nested or self.shared.pattern_for(field.kind, session) is not None
