"""Rows and codecs, however the bytes are cut into pieces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async._obs.contents import CsvRows, LineRows, decoder
from dli_async.obs import FileDamaged

from .conftest import COMPRESS

SPARK = Path(__file__).parent.parent / "vectors" / "spark"
CODECS = {"gzip": ".gz", "bzip2": ".bz2", "deflate": ".deflate"}


def cut(text: bytes, sizes: list[int]) -> list[bytes]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(text[start : start + size])
        start += size
    return [*pieces, text[start:]]


def field(value: str | None) -> str:
    """A csv field as Spark writes it."""
    if value is None:
        return ""
    if not value or any(char in value for char in ',"\r\n'):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


VALUES = st.none() | st.text(alphabet='a\\",\n\r 数', max_size=6)
ROWS = st.lists(st.lists(VALUES, min_size=2, max_size=3), max_size=8)
CUTS = st.lists(st.integers(0, 7), max_size=12)


def read_all(codec: str, data: bytes) -> bytes:
    inner = decoder(codec)
    text = b"".join(inner.feed(data))
    inner.finish()
    return text


@given(ROWS, CUTS)
def test_rows_of_csv_are_counted_however_it_is_cut(
    rows: list[list[str | None]], sizes: list[int]
) -> None:
    """Quotes, backslashes and line ends within quotes; the end of each piece's last row too."""
    lines = [(",".join(map(field, row)) + "\n").encode() for row in rows]
    text = b"".join(lines)
    ends = {0, *(len(b"".join(lines[: n + 1])) for n in range(len(lines)))}
    counter, seen = CsvRows(), 0
    for piece in cut(text, sizes):
        end = counter.feed(piece)
        if end:
            assert seen + end in ends
        seen += len(piece)
    assert counter.finish() == len(rows)


def test_what_real_spark_wrote_is_counted() -> None:
    """The table of traps, with and without a header, and as json."""
    rows = len(json.loads((SPARK / "table.json").read_text())["rows"])
    for name, counter, more in (
        ("plain.csv", CsvRows(), 0),
        ("header.csv", CsvRows(), 1),
        ("lines.json", LineRows(), 0),
    ):
        counter.feed((SPARK / name).read_bytes())
        assert counter.finish() == rows + more


@pytest.mark.parametrize("text", [b"", b"a\n", b"a\nb"])
def test_a_last_row_may_lack_its_line_end(text: bytes) -> None:
    """No text is no row."""
    for counter in (CsvRows(), LineRows()):
        counter.feed(text)
        assert counter.finish() == len(text.splitlines())


@pytest.mark.parametrize("codec", CODECS)
@given(sizes=CUTS)
def test_streams_one_behind_the_other_are_decoded(codec: str, sizes: list[int]) -> None:
    """However they are cut."""
    squeeze = COMPRESS[CODECS[codec]]
    inner = decoder(codec)
    pieces = cut(squeeze(b"one,") + squeeze(b"") + squeeze(b"two"), sizes)
    assert b"".join(out for piece in pieces for out in inner.feed(piece)) == b"one,two"
    inner.finish()


@pytest.mark.parametrize("codec", CODECS)
def test_pieces_are_bounded_however_much_comes_out(codec: str) -> None:
    """A megabyte at a time, of 20 that were squeezed into little."""
    inner = decoder(codec)
    sizes = [len(piece) for piece in inner.feed(COMPRESS[CODECS[codec]](bytes(20 << 20)))]
    inner.finish()
    assert sum(sizes) == 20 << 20
    assert max(sizes) <= 1 << 20


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_is_cut_off_or_changed_is_damaged(codec: str) -> None:
    """Its end is missed, and a changed byte is noticed."""
    whole = COMPRESS[CODECS[codec]](bytes(range(256)) * 50)
    with pytest.raises(FileDamaged, match="in the middle"):
        read_all(codec, whole[:-5])
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 0xFF
    with pytest.raises(FileDamaged):
        read_all(codec, bytes(changed))
