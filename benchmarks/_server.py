"""A small HTTP server in a process of its own, fast enough not to be what is measured.

It checks nothing and answers from prebuilt bytes, or plays the simulated service in real time:

    python -m benchmarks._server canned
    python -m benchmarks._server simulated '{"slots": 50, "median": 0.3}'
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast

from ._service import Life, Service, accepted, rows_page

Handler = Callable[[bytes, bytes, bytes], bytes]
"""Method, target and body in, JSON out."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head) if head.startswith(b"POST") else None
            begin = end + 4
            end = begin + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            body, self._received = self._received[begin:end], self._received[end:]
            method, target, _ = head.split(b" ", 2)
            self._transport.write(_response(self._handle(method, target, body)))


def _response(content: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: api-gateway\r\n"
        b"Content-Type: application/json; charset=utf-8\r\nConnection: keep-alive\r\n"
        b"X-Request-Id: 0123456789abcdef0123456789abcdef\r\nContent-Length: %d\r\n\r\n%b"
        % (len(content), content)
    )


def _canned() -> Handler:
    job = Life(0, created=0.0, started=1.0, ended=1e9)
    numbers = count()
    status = job.row(2.0)
    page = rows_page([Life(number, 0.0, 1.0, 1e9) for number in range(100)], 100, 2.0)

    def handle(method: bytes, target: bytes, body: bytes) -> bytes:
        if method == b"POST":
            return accepted(next(numbers))
        return status if target.endswith(b"/status") else page

    return handle


def _simulated(settings: dict[str, Any]) -> Handler:
    return Service(time.monotonic, **settings).handle


async def _serve(handle: Handler) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(handle), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever started this process holds the other end.
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def serving(mode: str, **settings: Any) -> Iterator[str]:
    """Runs the server in another process and gives its URL."""
    command = [sys.executable, "-m", "benchmarks._server", mode, json.dumps(settings)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def main() -> None:
    mode, settings = sys.argv[1], json.loads(sys.argv[2])
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run  # type: ignore[assignment]
    run(_serve(_canned() if mode == "canned" else _simulated(settings)))


if __name__ == "__main__":
    main()
