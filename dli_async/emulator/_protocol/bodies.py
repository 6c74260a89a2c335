"""Request bodies: read up to a limit, and parsed up to a depth."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .answers import Refused, gateway_error

LARGEST = 16 * 1024 * 1024
"""Bytes of a body that are read at most; the gateway has a limit of the same kind (APIGW.0201)."""

_DEEPEST = 64  # levels; no body of the cloud has more than five


async def read_body(announced: str | None, pieces: AsyncIterable[bytes]) -> bytes:
    """A whole body, of which never more than the limit is held.

    Args:
        announced: the Content-Length; None where the body comes in chunks.
        pieces: the body as it arrives.

    Raises:
        Refused: 413; the rest has not been read.
    """
    if announced and announced.isdecimal() and int(announced[:20]) > LARGEST:
        raise _too_large()
    body = bytearray()
    async with _closing(aiter(pieces)) as arriving:
        async for piece in arriving:
            if len(body) + len(piece) > LARGEST:
                raise _too_large()
            body += piece
    return bytes(body)


@asynccontextmanager
async def _closing(pieces: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Closes what is not read to its end, if it is a generator: trio warns of those left open."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


def _too_large() -> Refused:
    return Refused(gateway_error(413, f"The request body is larger than {LARGEST:,} bytes"))


def parse_json(body: bytes) -> Any:
    """What a body says.

    Raises:
        ValueError: it is not JSON, or nested too deeply to be an honest request.
    """
    try:
        value = json.loads(body)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return value
    raise ValueError("the body is nested too deeply")


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
