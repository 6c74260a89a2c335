"""The ASGI front: the emulator under uvicorn or any other server.

What ASGI has no word for (a reset, a body that stops) the app asks of the `connection` that the
server has put into the scope's state.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol
from urllib.parse import quote

import anyio

from .._protocol.calls import Call
from .delivery import Delivery, How

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Connection(Protocol):
    """What a front can do to a client's connection beside answering.

    Attributes:
        bound: the name or address that the server was told to bind.
    """

    bound: str

    def reset(self) -> None:
        """Drops it, so that the client sees an error."""
        ...

    def close(self) -> None:
        """Ends it after what was written."""
        ...

    async def pause(self, seconds: float) -> None:
        """Waits, but no longer than the client does."""
        ...

    def is_gone(self) -> bool:
        """Whether the client has left."""
        ...


class App:
    """The emulator as an ASGI application, for uvicorn or any other server."""

    def __init__(self, serve: Callable[[Call], Awaitable[Delivery]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the emulator does not speak {scope['type']}")
        try:
            delivery = await self._serve(_call_of(scope, _pieces(receive)))
        except _ClientLeft:
            return
        await _deliver(delivery, scope, receive, send)


class _ClientLeft(Exception):
    """Ends a request whose body will not come any more."""


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while (message := await receive())["type"] == "http.request":
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
    raise _ClientLeft


def _call_of(scope: Scope, pieces: AsyncIterator[bytes]) -> Call:
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    connection: Connection | None = scope.get("state", {}).get("connection")
    call = Call(
        method=scope["method"],
        path=raw_path.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=read_headers(scope["headers"]),
        pieces=pieces,
        bound=_bound(scope, connection),
    )
    if connection is not None:
        call.is_gone, call.pause = connection.is_gone, connection.pause
    return call


def _bound(scope: Scope, connection: Connection | None) -> set[str]:
    """What the server was told to bind, and the address on which it was reached.

    An address only: clients that call an app without a network put there what they asked for.
    """
    names = set() if connection is None else {connection.bound.lower()}
    server = scope.get("server")
    with contextlib.suppress(ValueError):
        names.add(str(ipaddress.ip_address(server[0] if server else "")))
    return names


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; values are UTF-8, as the vendor's signer sends them."""
    headers: dict[str, str] = {}
    for key, value in raw:
        name, text = key.decode("latin-1").lower(), value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    return headers


async def _deliver(delivery: Delivery, scope: Scope, receive: Receive, send: Send) -> None:
    connection: Connection | None = scope.get("state", {}).get("connection")
    if delivery.how is How.WHOLE:
        await _start(delivery, send)
        if delivery.spread:
            await _trickle(delivery, send, connection.pause if connection else anyio.sleep)
        await send({"type": "http.response.body", "body": _rest(delivery)})
        return
    if connection is None:
        raise ConnectionAbortedError(f"this server cannot do {delivery.how}")
    if delivery.how is How.TRUNCATED:
        await _start(delivery, send)
        await send({"type": "http.response.body", "body": delivery.half, "more_body": True})
        connection.close()
    elif delivery.how is How.NEVER:
        await connection.pause(math.inf)
    else:
        connection.reset()
    await receive()  # the request has been read, so only its end can come


def _rest(delivery: Delivery) -> bytes:
    return b"" if delivery.spread else delivery.answer.body()


async def _start(delivery: Delivery, send: Send) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in delivery.headers]
    status = delivery.answer.status
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _trickle(
    delivery: Delivery, send: Send, pause: Callable[[float], Awaitable[None]]
) -> None:
    for piece in delivery.pieces():
        await pause(delivery.gap)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
