"""Reading the body of an answer within a limit, which counts its bytes after decompression."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress

import anyio
import anyio.lowlevel
import httpx

from .._values.errors import InvalidResponse

MAX_RESPONSE_SIZE = 32 * 1024 * 1024

# A small body may inflate to a thousand times its size, so that is done by so many bytes.
_STEP = 64 * 1024
_PIECES_IN_A_ROW = 16
# A stream of a user's own may not heed that it is stopped.
_LAST_CHUNKS = 16


async def read_body(response: httpx.Response, limit: int, *, is_raw: bool = False) -> None:
    """Reads a response, so that its `content` may be used.

    Args:
        limit: bytes at most, both as they come and after decompression.
        is_raw: whether the body is left as it comes.

    Raises:
        InvalidResponse: there are more; the rest of them is not read.
        httpx.DecodingError: the body is not compressed in the way that its headers say.
    """
    stream = response.stream
    if response.is_stream_consumed or not isinstance(stream, httpx.AsyncByteStream):
        # It was made as a whole, by a transport of the user's.
        if len(await response.aread()) > limit:
            raise _too_large(response, limit)
        return
    if _announced(response) > limit:
        raise _too_large(response, limit)
    chunks = aiter(stream)
    try:
        # Making another response of it would cost more than reading it.
        response._content = await _content(chunks, response, limit, is_raw)
    except Exception:
        await _stop(chunks)
        raise
    await response.aclose()


def _announced(response: httpx.Response) -> int:
    with suppress(ValueError):
        return int(response.headers.get("content-length", 0))
    return 0


async def _content(
    chunks: AsyncIterator[bytes], response: httpx.Response, limit: int, is_raw: bool
) -> bytes:
    inflate = _as_it_is if is_raw else _inflating(response)
    kept: list[bytes] = []
    came = size = 0
    async for chunk in chunks:
        came += len(chunk)
        for piece in inflate(chunk):
            kept.append(piece)
            size += len(piece)
            if max(came, size) > limit:
                raise _too_large(response, limit)
            if len(kept) % _PIECES_IN_A_ROW == 0:
                await anyio.lowlevel.cancel_shielded_checkpoint()
        if came > limit:
            raise _too_large(response, limit)
    return b"".join(kept)


def _too_large(response: httpx.Response, limit: int) -> InvalidResponse:
    return InvalidResponse(
        f"HTTP {response.status_code} with more than {limit} bytes (max_response_size)",
        status_code=response.status_code,
        request_id=response.headers.get("x-request-id"),
    )


async def _stop(chunks: AsyncIterator[bytes]) -> None:
    """Ends a stream that is not read to its end: by a cancellation, which reaches all its parts.

    Generators within generators would else be left to the garbage collector.
    """
    with anyio.CancelScope() as scope, suppress(Exception):
        scope.cancel()
        for _ in range(_LAST_CHUNKS):
            await anext(chunks)


class _Inflater:
    """Decompresses a body in steps of bounded size, and ignores what follows its end."""

    def __init__(self, windows: Iterable[int]) -> None:
        self._windows = iter(windows)
        self._stream = zlib.decompressobj(next(self._windows))
        self._began = False

    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        while not self._stream.eof:
            piece = self._step(chunk)
            chunk = self._stream.unconsumed_tail
            yield piece
            if not chunk and len(piece) < _STEP:
                return

    def _step(self, chunk: bytes) -> bytes:
        try:
            piece = self._stream.decompress(chunk, _STEP)
        except zlib.error as error:
            window = None if self._began else next(self._windows, None)
            if window is None:
                raise httpx.DecodingError(str(error)) from error
            self._stream = zlib.decompressobj(window)
            return self._step(chunk)
        self._began = True
        return piece


def _as_it_is(chunk: bytes) -> Iterator[bytes]:
    yield chunk


_GZIP = (zlib.MAX_WBITS | 16,)
# Some servers leave the wrapping out (RFC 9110 section 8.4.1.2).
_DEFLATE = (zlib.MAX_WBITS, -zlib.MAX_WBITS)


_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _DEFLATE}


def _inflating(response: httpx.Response) -> Callable[[bytes], Iterator[bytes]]:
    """What decompresses a body; one in a way that was not asked for is taken as it is."""
    encoding = response.headers.get("content-encoding")
    windows = _WINDOWS.get(encoding.strip().lower()) if encoding else None
    return _Inflater(windows) if windows else _as_it_is
