"""A server of bytes on a loopback port: one thread for each connection, no event loop."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Seen:
    """One request as it came: its first line, headers (names in lower case) and body."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


RESET = b"\0reset"
DROP = b"\0drop"
Respond = Callable[[Seen], bytes]


def answer(body: str = '{"is_success": true}', status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers]
    return "\r\n".join([*lines, "", body]).encode()


@dataclass
class RawServer:
    """Answers each request with what `respond` returns; `RESET` or `DROP` at its end hangs up.

    Attributes:
        requests: all of them, in order of arrival.
        opened: connections so far; `peak` is the most at one time.
        closed: set when a connection has ended.
    """

    respond: Respond = field(default=lambda seen: answer())
    context: ssl.SSLContext | None = None
    requests: list[Seen] = field(default_factory=list)
    opened: int = 0
    now_open: int = 0
    peak: int = 0

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):  # it has ended by itself meanwhile
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def lines(self) -> list[str]:
        """The first line of each request."""
        return [seen.line for seen in self.requests]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.opened += 1
                self.now_open += 1
                self.peak = max(self.peak, self.now_open)
                number = self.opened
                self._sockets.add(connection)
            self._start(self._serve, connection, number)

    def _serve(self, plain: socket.socket, number: int) -> None:
        connection = plain
        try:
            if self.context:
                connection = self.context.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._sockets.discard(plain)
                    self._sockets.add(connection)
            with connection.makefile("rb") as reader:
                while (seen := _read(reader, number)) is not None:
                    with self._lock:
                        self.requests.append(seen)
                    reply = self.respond(seen)
                    if reply.endswith(RESET):
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    connection.sendall(reply.removesuffix(RESET).removesuffix(DROP))
                    if reply.endswith((RESET, DROP)):
                        break
        except OSError:
            pass
        finally:
            with self._lock:
                self.now_open -= 1
                self._sockets -= {plain, connection}
            connection.close()
            self.closed.set()


def _read(reader: object, number: int) -> Seen | None:
    readline, read = reader.readline, reader.read  # type: ignore[attr-defined]
    line = readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    headers = {}
    while header := readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Seen(line, headers, read(int(headers.get("content-length", 0))), number)
