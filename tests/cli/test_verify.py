"""What the demo's reading back finds out."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dli_async import TableExport
from dli_async.cli._offline.verify import BadExport, read_back

COLUMNS = ["id", "note"]
CSV = 'id,note\n1,"two\nlines"\n2,"says \\"no\\", twice"\n'


def _spec(**fields: Any) -> TableExport:
    return TableExport(database_name="d", table_name="t", data_path="obs://b/t", **fields)


def _folder(folder: Path, *parts: bytes) -> Path:
    (folder / "_SUCCESS").touch()
    for number, part in enumerate(parts):
        (folder / f"part-{number:05}").write_bytes(part)
    return folder


@pytest.mark.parametrize(
    ("compress", "pack"),
    [("none", bytes), ("gzip", gzip.compress), ("bzip2", bz2.compress), ("deflate", zlib.compress)],
)
def test_rows_of_all_parts_are_counted(
    compress: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Line breaks and quotes inside fields are no rows, headers of each part are none either."""
    folder = _folder(tmp_path, pack(CSV.encode()), pack(CSV.encode()))
    found = read_back(folder, _spec(compress=compress, with_column_header=True), COLUMNS)
    assert found.rows == 4
    assert found.files == ("part-00000", "part-00001")
    assert found.size == sum(part.stat().st_size for part in folder.glob("part-*"))


def test_json_rows_may_lack_fields(tmp_path: Path) -> None:
    """Null fields are left out, and a line separator of Unicode ends no line."""
    lines = '{"id":1}\n{"id":2,"note":"a\N{LINE SEPARATOR}b"}\n'.encode()
    assert read_back(_folder(tmp_path, lines), _spec(data_type="json"), COLUMNS).rows == 2


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        (b"1,a\n2\n", {}, "1 fields in place of 2"),
        (b"1,a\n", {"with_column_header": True}, "header"),
        (b'1,"a\n', {}, "unexpected end"),
        (b"1,a\n", {"compress": "gzip"}, "gzip"),
        (b"1,a\n", {"compress": "deflate"}, "header"),
        (b'{"id":1', {"data_type": "json"}, "delimiter"),
        (b'{"other":1}', {"data_type": "json"}, "other"),
        (b"\xff,a\n", {}, "utf-8"),
    ],
)
def test_what_does_not_fit_is_told(
    content: bytes, fields: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """A file that is broken, or not what was asked for, is named with the reason."""
    with pytest.raises(BadExport, match=f"part-00000.*{words}"):
        read_back(_folder(tmp_path, content), _spec(**fields), COLUMNS)


def test_a_folder_without_success_is_told(tmp_path: Path) -> None:
    """An export that did not end has no _SUCCESS."""
    with pytest.raises(BadExport, match="_SUCCESS"):
        read_back(tmp_path, _spec(), COLUMNS)
