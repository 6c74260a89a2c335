"""The loopback front: the emulator behind a real socket, on uvicorn.

ASGI has no words for a connection that breaks, so each connection is put into the state of its
requests, where the app finds it. The server needs asyncio; `running` gives it a thread and a loop
of its own, so it can be used from asyncio and trio alike and never shares a loop with the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import anyio
import anyio.to_thread
import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ._emulator import Emulator
from ._jobs.ledger import Ledger

__all__ = ["run_server", "running", "serve"]

_KEEP_ALIVE = 75
_BACKLOG = 2_048
_GRACE = 3
_LONGEST_HEADERS = 128 * 1024  # what the gateway takes (APIGW.0201)

OnReady = Callable[[str], object]


async def serve(
    emulator: Emulator,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: OnReady | None = None,
) -> None:
    """Serves until cancelled; asyncio only.

    Args:
        emulator: what to serve; it is not closed.
        host: the address to bind; loopback unless told otherwise.
        port: the port, or 0 (default) for a free one.
        on_ready: called with the base URL once connections are accepted.
    """
    with _listener(host, port) as listener:
        await _Server(emulator, listener, host, on_ready).run_until_cancelled()


@asynccontextmanager
async def running(emulator: Emulator, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serves in a thread while the block runs; yields the base URL. For asyncio and trio."""
    with _listener(host, port) as listener:
        ready = threading.Event()
        server = _Server(emulator, listener, host, lambda _: ready.set())
        thread = threading.Thread(
            target=server.run_in_thread, args=(ready,), name="dli-emulator-server"
        )
        thread.start()
        try:
            await anyio.to_thread.run_sync(ready.wait)
            if server.error is not None:
                raise server.error
            yield server.url
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(thread.join)


def run_server(
    emulator: Emulator,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: OnReady | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM, then closes the emulator; blocks."""
    try:
        asyncio.run(_serve_until_signal(emulator, host, port, on_ready))
    finally:
        emulator.close()


async def _serve_until_signal(
    emulator: Emulator, host: str, port: int, on_ready: OnReady | None
) -> None:
    with _listener(host, port) as listener:
        server = _Server(emulator, listener, host, on_ready)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Windows has no such handlers; there KeyboardInterrupt ends the loop.
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, server.stop)
        await server.run_until_cancelled()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


class _Server(uvicorn.Server):
    def __init__(
        self, emulator: Emulator, listener: socket.socket, host: str, on_ready: OnReady | None
    ) -> None:
        self._emulator = emulator
        self._listener = listener
        self._on_ready = on_ready
        self._held: set[_Connection] = set()
        self.error: Exception | None = None
        super().__init__(
            uvicorn.Config(
                emulator.app,
                http=_protocol(emulator.ledger, host, self._held),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                date_header=False,  # the emulator's clock tells the date
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_GRACE,
                h11_max_incomplete_event_size=_LONGEST_HEADERS,
            )
        )

    @property
    def url(self) -> str:
        """The base URL."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run_in_thread(self, ready: threading.Event) -> None:
        """Serves until told to exit, on a loop of its own; a failure to start is kept."""
        try:
            asyncio.run(self.run_until_cancelled())
        except Exception as error:
            self.error = error
        finally:
            ready.set()

    async def run_until_cancelled(self) -> None:
        """Serves until told to exit or cancelled; ends cleanly either way."""
        serving = asyncio.ensure_future(self.serve([self._listener]))
        try:
            await asyncio.shield(serving)
        finally:
            self.stop()
            await serving

    def stop(self) -> None:
        """Asks for the end."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the tables first, so that the first request is not the one that waits."""
        await self._emulator.prepare()
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready(self.url)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: files get written even if nobody asks."""
        self._emulator.advance()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Does not wait for answers that are held back."""
        for connection in tuple(self._held):
            connection.reset()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to whoever owns the process."""
        yield


class _Connection:
    """One client's connection, as the app may treat it."""

    def __init__(self, transport: asyncio.Transport, bound: str, held: set[_Connection]) -> None:
        self.bound = bound
        self._transport = transport
        self._held = held
        self.lost = asyncio.get_running_loop().create_future()

    def reset(self) -> None:
        if self.is_gone():
            return
        # Without lingering, closing sends RST rather than an orderly FIN.
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    async def pause(self, seconds: float) -> None:
        self._held.add(self)
        await asyncio.wait([self.lost], timeout=None if seconds == math.inf else seconds)
        self._held.discard(self)

    def is_gone(self) -> bool:
        return self._transport.is_closing()


def _protocol(ledger: Ledger, bound: str, held: set[_Connection]) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, which also counts connections and hands them to the app."""

    class Watched(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            ledger.connected()
            self._watched = _Connection(cast(asyncio.Transport, transport), bound, held)
            self.app_state: dict[str, object] = {**self.app_state, "connection": self._watched}
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            ledger.disconnected()
            super().connection_lost(exc)
            self._watched.lost.set_result(None)

    return Watched
