"""The loopback front: a real socket, what can happen on it, and a clean stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import anyio
import anyio.to_thread
import httpx
import pytest

from dli_async.emulator import PROJECT_ID, TOKEN, Emulator, NullEngine
from dli_async.emulator._engine.engine import Exported, Staged
from dli_async.emulator.server import run_server, running, serve

from .conftest import TABLES, export

pytestmark = pytest.mark.anyio

HEADERS = {"X-Auth-Token": TOKEN}
QUEUES = f"/v1.0/{PROJECT_ID}/queues"
EXPORT = f"/v1.0/{PROJECT_ID}/jobs/export-table"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(engine=NullEngine(TABLES), launch=0.0, run=0.0)
    yield emulator
    emulator.close()


@pytest.fixture
async def url(emulator: Emulator) -> AsyncIterator[str]:
    async with running(emulator) as base:
        yield base


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=30) as client:
        yield client


def address(url: str) -> tuple[str, int]:
    parsed = httpx.URL(url)
    return parsed.host, parsed.port or 0


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    with socket.create_connection(address(url), timeout=30) as sock:
        yield sock


def ask(sock: socket.socket, method: str, path: str, body: bytes = b"", **headers: str) -> None:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"X-Auth-Token: {TOKEN}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "Content_Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    lines += ["Content-Type: application/json", "", ""]
    sock.sendall("\r\n".join(lines).encode() + body)


def read_all(sock: socket.socket) -> bytes:
    received = b""
    while chunk := sock.recv(65_536):
        received += chunk
    return received


async def test_it_serves_on_loopback_and_counts_connections(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """On both event loops; answers carry the emulator's own headers, and a kept connection is
    one connection."""
    for _ in range(3):
        answer = await client.get(QUEUES)

    assert client.base_url.host == "127.0.0.1"
    assert answer.json()["is_success"] is True
    assert answer.headers["x-request-id"]
    assert answer.headers.get_list("date")[1:] == []
    assert "server" not in answer.headers
    ledger = (await client.get("/_emulator/ledger")).json()
    assert (ledger["connections_opened"], ledger["connections_peak"]) == (1, 1)


async def test_the_most_connections_at_a_time_are_kept(
    emulator: Emulator, client: httpx.AsyncClient, url: str
) -> None:
    """Five at once and one after them are six opened, with a peak of five or six."""
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(client.get, QUEUES)

    def once() -> None:
        with connected(url) as sock:
            ask(sock, "GET", QUEUES, Connection="close")
            assert read_all(sock).startswith(b"HTTP/1.1 200 OK")

    await anyio.to_thread.run_sync(once)
    assert 2 <= emulator.ledger.connections_opened <= 6
    assert emulator.ledger.connections_peak <= emulator.ledger.connections_opened


@pytest.mark.parametrize(
    ("kind", "when", "jobs"),
    [("reset", "before", 0), ("reset", "after", 1), ("refuse", "before", 0)],
)
async def test_a_reset_breaks_the_connection(
    emulator: Emulator, url: str, kind: str, when: str, jobs: int
) -> None:
    """The client gets an error from its socket; after the handler the job exists."""
    emulator.faults.set([{"route": "export-table", "kind": kind, "when": when}])

    def attempt() -> None:
        with connected(url) as sock:
            ask(sock, "POST", EXPORT, json.dumps(export()).encode())
            sock.recv(1)

    with pytest.raises(ConnectionResetError):
        await anyio.to_thread.run_sync(attempt)
    assert len(emulator.ledger.jobs) == jobs
    assert emulator.ledger.faults[kind] == 1


async def test_a_truncated_answer_ends_early(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """Fewer bytes than announced, then the end; the job exists."""
    emulator.faults.set([{"route": "export-table", "kind": "truncate", "when": "after"}])

    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        await client.post(EXPORT, json=export())

    assert len(emulator.ledger.jobs) == 1
    assert (await client.get(QUEUES)).status_code == 200


async def test_a_timeout_never_answers(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """Only the client's own limit ends it, and others are served meanwhile."""
    emulator.faults.set([{"route": "queues", "kind": "timeout"}])

    with pytest.raises(httpx.ReadTimeout):
        await client.get(QUEUES, timeout=httpx.Timeout(60, read=0.05))

    assert (await client.get(f"/v1.0/{PROJECT_ID}/databases")).status_code == 200


async def test_a_server_stops_while_somebody_waits_for_ever(emulator: Emulator) -> None:
    """A client whose answer will never come does not hold up the stop."""
    emulator.faults.set([{"kind": "timeout"}])
    with ExitStack() as stack:
        async with running(emulator) as url:
            sock = stack.enter_context(connected(url))
            ask(sock, "GET", QUEUES)
            async with httpx.AsyncClient(base_url=url) as client:
                while not emulator.ledger.faults:
                    await client.get("/_emulator/ledger")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


async def test_slow_answers_trickle(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """Body and headers arrive in the end."""
    for kind in ("slow-body:0.01", "slow-headers:0.01"):
        emulator.faults.set([{"kind": kind, "when": "after"}])
        assert (await client.get(QUEUES)).json()["is_success"] is True


async def test_a_client_that_left_is_not_served(
    emulator: Emulator, client: httpx.AsyncClient, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After a delay before the handler, nothing happens for somebody who has gone."""
    emulator.faults.set([{"route": "export-table", "kind": "slow-headers:60"}])

    def leave() -> None:
        with connected(url) as sock:
            ask(sock, "POST", EXPORT, json.dumps(export()).encode())

    await anyio.to_thread.run_sync(leave)
    while not emulator.ledger.faults or emulator.ledger.in_flight:
        await client.get("/_emulator/ledger")

    assert emulator.ledger.faults["slow-headers"] == 1
    assert list(emulator.ledger.jobs) == []
    assert caplog.records == []


async def test_half_a_request_is_no_request(
    emulator: Emulator, client: httpx.AsyncClient, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that leaves in the middle of its body has not asked for anything."""

    def stutter() -> None:
        with connected(url) as sock:
            body = json.dumps(export()).encode()
            ask(
                sock, "POST", EXPORT, body, Expect="100-continue", Content_Length=str(len(body) + 1)
            )
            sock.recv(1)

    await anyio.to_thread.run_sync(stutter)
    assert (await client.get(QUEUES)).status_code == 200

    assert emulator.ledger.requests == {"queues": 1}
    assert caplog.records == []


async def test_long_headers_are_read(client: httpx.AsyncClient) -> None:
    """A token of many kilobytes is looked at, not cut off by the server."""
    answer = await client.get(QUEUES, headers={"X-Auth-Token": "x" * 60_000})

    assert answer.json()["error_code"] == "APIGW.0301"


class Signalling(NullEngine):
    """Says when an export is written."""

    def __init__(self) -> None:
        super().__init__(TABLES)
        self.exported = threading.Event()

    def stage(self, database: str, name: str, data_path: str, **options: object) -> Staged:
        self.exported.set()
        return Staged(Exported(1, 1, (), 1))


async def test_files_get_written_although_nobody_asks() -> None:
    """The server's own ticker lets jobs proceed."""
    engine = Signalling()
    emulator = Emulator(engine=engine, launch=0.01, run=0.0)
    async with running(emulator) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(EXPORT, json=export(), headers=HEADERS)
        assert answer.status_code == 200
        assert await anyio.to_thread.run_sync(engine.exported.wait, 30)
    emulator.close()


class Broken(NullEngine):
    """Tables that cannot be opened."""

    def databases(self) -> list[str]:
        raise OSError("not a database")


async def test_a_server_that_cannot_start_says_so() -> None:
    """Whoever starts it gets the reason instead of waiting."""
    with pytest.raises(OSError, match="not a database"):
        async with running(Emulator(engine=Broken())):
            pytest.fail("must not start")


async def test_ipv6_addresses_are_bracketed(emulator: Emulator) -> None:
    """The URL can be used as it is."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    async with running(emulator, host="::1") as url, httpx.AsyncClient(base_url=url) as client:
        assert url.startswith("http://[::1]:")
        assert (await client.get(QUEUES, headers=HEADERS)).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_cleanly(emulator: Emulator, number: signal.Signals) -> None:
    """It is ready, then told to stop, and returns; the port is free again."""
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        os.kill(os.getpid(), number)

    run_server(emulator, on_ready=ready)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(urls[0]))


def test_serve_ends_when_cancelled(emulator: Emulator) -> None:
    """In an asyncio program of one's own it is a task like any other."""

    async def program() -> None:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(emulator, on_ready=ready.set_result))
        async with httpx.AsyncClient(base_url=await ready, headers=HEADERS) as client:
            assert (await client.get(QUEUES)).status_code == 200
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())
