"""The in-process front: an httpx transport with no network behind it, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import cast

import anyio
import httpx

from .._protocol.calls import Call
from .asgi import read_headers
from .delivery import Delivery, How


class InProcess(httpx.AsyncBaseTransport):
    """Hands requests to the emulator; faults are raised as httpx raises them.

    Everything happens in the task that asks, so nothing is left over when that task ends.
    """

    def __init__(self, serve: Callable[[Call], Awaitable[Delivery]]) -> None:
        self._serve = serve

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answers one request within its own read timeout."""
        path, _, query = request.url.raw_path.partition(b"?")
        call = Call(
            method=request.method,
            path=path.decode("latin-1"),
            query=query.decode("latin-1"),
            headers=read_headers(request.headers.raw),
            pieces=cast(AsyncIterable[bytes], request.stream),
        )
        # A network lets others run meanwhile, and so must this.
        await anyio.lowlevel.checkpoint()
        limit = request.extensions.get("timeout", {}).get("read")
        with anyio.move_on_after(limit):
            delivery = await self._serve(call)
            if delivery.how is How.NEVER:
                await anyio.sleep_forever()
            return _response(delivery, request, limit)
        raise httpx.ReadTimeout("no answer within the read timeout", request=request)


def _response(delivery: Delivery, request: httpx.Request, limit: float | None) -> httpx.Response:
    if delivery.how is How.REFUSED:
        raise httpx.ConnectError("connection refused", request=request)
    if delivery.how is How.RESET:
        raise httpx.ReadError("connection reset by peer", request=request)
    stream: httpx.AsyncByteStream = httpx.ByteStream(delivery.answer.body())
    if delivery.how is How.TRUNCATED:
        stream = _Truncated(delivery, request)
    elif delivery.spread:
        stream = _Slow(delivery, request, limit)
    return httpx.Response(delivery.answer.status, headers=list(delivery.headers), stream=stream)


class _Truncated(httpx.AsyncByteStream):
    def __init__(self, delivery: Delivery, request: httpx.Request) -> None:
        self._half = delivery.half
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._half
        raise httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body", request=self._request
        )


class _Slow(httpx.AsyncByteStream):
    def __init__(self, delivery: Delivery, request: httpx.Request, limit: float | None) -> None:
        self._delivery = delivery
        self._request = request
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        gap = self._delivery.gap
        for piece in self._delivery.pieces():
            if self._limit is not None and gap > self._limit:
                await anyio.sleep(self._limit)
                raise httpx.ReadTimeout("no data within the read timeout", request=self._request)
            await anyio.sleep(gap)
            yield piece
