"""Bodies of requests, never more of them than a limit."""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

LARGEST = 16 * 1024 * 1024
"""Bytes of a body that are read at most; 1,000 exports with the longest paths take some 3 MiB."""


def limited(request: Request) -> Request:
    """The same request, whose body ends in an error where the limit is.

    Raises:
        HTTPException: 413; the body announces to be larger.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > LARGEST:
        raise _too_large()
    return Request(request.scope, _counting(request.receive))


def _counting(receive: Receive) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > LARGEST:
            raise _too_large()
        return message

    return counted


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body is larger than {LARGEST:,} bytes")
