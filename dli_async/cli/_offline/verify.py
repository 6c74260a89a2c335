"""Reads exported files back, with nothing but the standard library, and counts their rows."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..._values.enums import Compress, DataType
from ..._values.spec import TableExport

_OPENERS: dict[Compress, Callable[[bytes], bytes]] = {
    Compress.NONE: bytes,
    Compress.GZIP: gzip.decompress,
    Compress.BZIP2: bz2.decompress,
    Compress.DEFLATE: zlib.decompress,
}


class BadExport(ValueError):
    """Raised when files are not what the export should have written."""


@dataclass(frozen=True)
class FolderContent:
    """What lies in a folder: rows without headers, bytes on disk, and names of the part files."""

    rows: int
    size: int
    files: tuple[str, ...]


def read_back(folder: Path, spec: TableExport, columns: Sequence[str]) -> FolderContent:
    """Reads all part files of an export.

    Raises:
        BadExport: a file is missing, cannot be read, or does not fit the columns.
    """
    if not (folder / "_SUCCESS").is_file():
        raise BadExport(f"{folder} has no _SUCCESS")
    parts = sorted(folder.glob("part-*"))
    rows = sum(_count(part, spec, columns) for part in parts)
    size = sum(part.stat().st_size for part in parts)
    return FolderContent(rows, size, tuple(part.name for part in parts))


def _count(part: Path, spec: TableExport, columns: Sequence[str]) -> int:
    try:
        text = _OPENERS[spec.compress](part.read_bytes()).decode()
        if spec.data_type is DataType.JSON:
            return sum(1 for _ in _json_rows(text, columns))
        return sum(1 for _ in _csv_rows(text, columns, spec.with_column_header))
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise BadExport(f"{part.name}: {error}") from error


def _json_rows(text: str, columns: Sequence[str]) -> Iterator[dict[str, object]]:
    known = set(columns)
    for line in io.StringIO(text, newline="\n"):
        row = json.loads(line)
        if not known.issuperset(row):
            raise BadExport(f"a row has the fields {list(row)}")
        yield row


def _csv_rows(text: str, columns: Sequence[str], with_header: bool) -> Iterator[list[str]]:
    # Spark's dialect: a quote within quotes is escaped by a backslash.
    rows = csv.reader(
        io.StringIO(text, newline=""), escapechar="\\", doublequote=False, strict=True
    )
    if with_header and text and next(rows) != list(columns):
        raise BadExport("the header is not the names of the columns")
    for row in rows:
        if len(row) != len(columns):
            raise BadExport(f"a row has {len(row)} fields in place of {len(columns)}")
        yield row
