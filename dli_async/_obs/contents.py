"""The contents of part files as they stream by: decoded, split into rows, counted.

Nothing here waits or keeps more than a piece: bytes go in as they come, pieces come out.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from .._values.files import FileDamaged

_PIECE = 1024 * 1024
_SLICE = 64 * 1024
_WBITS = {"gzip": 31, "deflate": 15}


class Decoder(Protocol):
    """Takes a file's bytes in order and gives its content in pieces of bounded size."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content that `data` leads to.

        Raises:
            FileDamaged: it is no valid stream.
        """

    def finish(self) -> None:
        """Tells that the file has ended.

        Raises:
            FileDamaged: in the middle of a stream.
        """


def decoder(codec: str | None) -> Decoder:
    """The decoder of a `PartFile.codec`; `deflate` is a zlib stream, as Hadoop writes it."""
    if codec is None:
        return _Plain()
    if codec == "bzip2":
        return _Compressed(codec, bz2.BZ2Decompressor)
    return _Compressed(codec, lambda: _Zlib(_WBITS[codec]))


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        pass


class _Zlib:
    """zlib's decompressor with the ways of bz2's."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


class _Compressed:
    """Streams one behind the other, as Hadoop's writers may leave them."""

    def __init__(self, codec: str, make: Callable[[], Any]) -> None:
        self._codec = codec
        self._make = make
        self._stream: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        # What is not decoded yet is copied for each piece, so it had better be little.
        for start in range(0, len(data), _SLICE):
            yield from self._decode(data[start : start + _SLICE])

    def _decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            stream = self._stream = self._stream or self._make()
            try:
                yield stream.decompress(data, _PIECE)
                while not stream.eof and not stream.needs_input:
                    yield stream.decompress(b"", _PIECE)
            except (zlib.error, OSError) as error:
                raise FileDamaged(f"is no valid {self._codec} stream: {error}") from None
            data = b""
            if stream.eof:
                self._stream, data = None, stream.unused_data

    def finish(self) -> None:
        if self._stream is not None:
            raise FileDamaged(f"ends in the middle of its {self._codec} stream")


class Rows(Protocol):
    """Counts the rows of a text as it streams by, and finds where one ends."""

    count: int

    def feed(self, text: bytes) -> int:
        """Counts what is added; the offset behind the last row that ends in it, or 0."""

    def finish(self) -> int:
        """The rows in all: a last one may lack its line end."""


class LineRows:
    """One row a line: json as Spark writes it."""

    def __init__(self) -> None:
        self.count = 0
        self._is_open = False

    def feed(self, text: bytes) -> int:
        if not text:
            return 0
        self.count += text.count(b"\n")
        self._is_open = not text.endswith(b"\n")
        return text.rfind(b"\n") + 1

    def finish(self) -> int:
        return self.count + self._is_open


class CsvRows:
    """Rows of csv as Spark writes it: line ends within quotes are none.

    A quote within quotes is escaped by a backslash, and so is a backslash. Outside of quotes a
    backslash stands for itself, and no quote can follow it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._is_quoted = False
        self._is_open = False
        self._held = b""

    def feed(self, text: bytes) -> int:
        if not text:
            return 0
        held = len(self._held)
        body = self._held + text if held else text
        end = len(body.rstrip(b"\\"))
        body, self._held = body[:end], body[end:]
        self._is_open = bool(self._held) or not body.endswith(b"\n")
        last = self._count(_without_escapes(body))
        return max(0, last - held)

    def _count(self, body: bytes) -> int:
        if b'"' not in body:
            if self._is_quoted:
                return 0
            self.count += body.count(b"\n")
            return body.rfind(b"\n") + 1
        pieces = body.split(b'"')
        outside = int(self._is_quoted)
        self.count += b"".join(pieces[outside::2]).count(b"\n")
        self._is_quoted ^= len(pieces) % 2 == 0
        end = len(body)
        for index in range(len(pieces) - 1, -1, -1):
            begin = end - len(pieces[index])
            if index % 2 == outside and (at := pieces[index].rfind(b"\n")) >= 0:
                return begin + at + 1
            end = begin - 1
        return 0

    def finish(self) -> int:
        return self.count + self._is_open


def rows_of(format: str | None) -> Rows | None:
    """What counts the rows of a `PartFile.format`; None where they cannot be counted here."""
    if format == "csv":
        return CsvRows()
    return LineRows() if format == "json" else None


def _without_escapes(body: bytes) -> bytes:
    """The same length, with nothing but true quotes left of them."""
    if b"\\" not in body:
        return body
    return body.replace(b"\\\\", b"..").replace(b'\\"', b"..")
