"""Pages of other sites cannot reach the emulator, and no body is too much for it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

from dli_async.emulator import PROJECT_ID, TOKEN, Emulator, NullEngine
from dli_async.emulator._protocol.bodies import LARGEST, parse_json
from dli_async.emulator._protocol.visitors import Visitors
from dli_async.emulator.server import running

from .conftest import JSON, Caller, connect, export

pytestmark = pytest.mark.anyio

QUEUES = f"/v1.0/{PROJECT_ID}/queues"
ROUTES = [
    ("GET", QUEUES),
    ("POST", f"/v1.0/{PROJECT_ID}/jobs/export-table"),
    ("POST", "/v3/auth/tokens"),
    ("GET", "/openstack/latest/securitykey"),
    ("GET", "/_emulator/ledger"),
    ("POST", "/_emulator/reset?files=true"),
    ("GET", "/nowhere"),
]
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "http://127.0.0.1@evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example"},
    {"Host": "localhost.evil.example:80"},
    {"Host": "127.0.0.1@evil.example"},
]


@pytest.fixture
def served() -> Iterator[Emulator]:
    """An emulator on the clock of the world."""
    emulator = Emulator(engine=NullEngine(), launch=0.0, run=0.0)
    yield emulator
    emulator.close()


@pytest.fixture(params=["server", "asgi"])
async def http(
    request: pytest.FixtureRequest, served: Emulator
) -> AsyncIterator[httpx.AsyncClient]:
    """Both ways over which a browser can come."""
    headers = {"X-Auth-Token": TOKEN, **JSON}
    if request.param == "asgi":
        transport = httpx.ASGITransport(app=served.app)
        base = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
            yield client
        return
    async with (
        running(served) as url,
        httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_pages_of_other_sites_are_refused_on_all_routes(
    served: Emulator, http: httpx.AsyncClient, method: str, path: str
) -> None:
    """403 with the reason in JSON, and nothing has happened; the ledger does not count it."""
    for headers in FOREIGN:
        answer = await http.request(method, path, headers=headers)
        assert answer.status_code == 403, headers
        (name,) = headers
        assert name in answer.json()["error_msg"]
    assert (served.ledger.requests, served.ledger.jobs) == ({}, [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://127.0.0.1"},
        {"Host": "LOCALHOST:1"},
        {"Host": "bucket.localhost"},
        {"Host": "[::1]:80"},
        {"Host": "127.9.9.9"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_callers_on_this_machine_are_let_in(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """Loopback in all its spellings, and pages that were loaded from there."""
    assert (await http.get(QUEUES, headers=headers)).status_code == 200


async def test_an_application_under_a_name_says_so(make: Callable[..., Emulator]) -> None:
    """`allowed_hosts` names it, whole or with a star; its own pages may call it, others may not."""
    transport = httpx.ASGITransport(app=make(allowed_hosts=["dli.test", "*.Obs.test"]).app)
    headers = {"X-Auth-Token": TOKEN}
    async with httpx.AsyncClient(transport=transport, headers=headers) as client:

        async def status(host: str, **headers: str) -> int:
            return (await client.get(f"http://{host}{QUEUES}", headers=headers)).status_code

        assert await status("dli.test", Origin="https://dli.test") == 200
        assert await status("dli.test", Origin="https://evil.test") == 403
        assert await status("bucket.obs.test:8080") == 200
        assert await status("obs.test") == 403


@pytest.mark.parametrize("host", ["", "a b", "x:port", "x/y", "a,b", "user@x", "[::1"])
def test_what_is_no_host_is_not_allowed_by_a_star_either(host: str) -> None:
    """`*` stands for names, and a Host that is sent twice is none."""
    assert not Visitors(["*"]).knows(host)
    assert Visitors(["*"]).knows("any.name:80")


def test_the_bound_name_is_answered_to() -> None:
    """What the server was told to bind is called by that name."""
    assert Visitors().knows("my-machine:80", {"my-machine"})
    assert not Visitors().knows("my-machine:80")


async def test_the_in_process_client_has_any_host(caller: Caller) -> None:
    """No browser comes that way."""
    answer = await caller.http.get(f"https://dli.cn-north-4.myhuaweicloud.com{QUEUES}")
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/_emulator/reset", "/_emulator/faults"])
async def test_admin_calls_need_json(caller: Caller, path: str) -> None:
    """415 for a form of some page, and without a body too."""
    for headers in ({}, {"Content-Type": "text/plain"}):
        answer = await caller.http.post(path, headers=headers)
        assert answer.status_code == 415
        assert "application/json" in answer.json()["error"]


async def test_a_body_that_is_announced_too_large_is_not_awaited(served: Emulator) -> None:
    """413 comes although not one byte of it was sent."""

    def ask(url: str) -> bytes:
        parsed = httpx.URL(url)
        with socket.create_connection((parsed.host, parsed.port or 0), timeout=60) as sock:
            head = f"POST {ROUTES[1][1]} HTTP/1.1\r\nHost: localhost\r\n"
            sock.sendall(f"{head}Content-Length: {LARGEST + 1}\r\n\r\n".encode())
            return sock.recv(65_536)

    async with running(served) as url:
        answer = await anyio.to_thread.run_sync(ask, url)
    assert answer.startswith(b"HTTP/1.1 413 ")


class Chunks(httpx.AsyncByteStream):
    """A body that is sent piece by piece; no generator, which trio wants to see closed."""

    def __init__(self, piece: bytes, count: int) -> None:
        self._pieces = iter([piece] * count)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "POST"])
async def test_a_body_in_chunks_ends_at_the_limit(
    served: Emulator, http: httpx.AsyncClient, path: str
) -> None:
    """Without a Content-Length it is counted as it comes; nothing has happened."""
    chunks = Chunks(b"x" * 2**20, LARGEST // 2**20 + 1)
    url = http.base_url.join(path)
    headers = {"Host": url.netloc.decode(), "Transfer-Encoding": "chunked"}
    answer = await http.send(httpx.Request("POST", url, headers=headers, stream=chunks))
    assert answer.status_code == 413
    assert "16,777,216" in answer.json()["error_msg"]
    assert served.ledger.jobs == []


async def test_the_limit_holds_in_process(caller: Caller) -> None:
    """The same answer without a network."""
    answer = await caller.http.post(caller.path("jobs/export-table"), content=b" " * (LARGEST + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("path", [path for method, path in ROUTES[:3] if method == "POST"])
async def test_deep_json_is_a_bad_request(caller: Caller, path: str, depth: int) -> None:
    """Not a crash: 400, also where a fault has to look into the body."""
    await caller.http.post("/_emulator/faults", json=[{"kind": "throttle", "match": "none"}])
    for opening, closing in (("[", "]"), ('{"auth":', "}")):
        body = opening * depth + "1" + closing * depth
        assert (await caller.http.post(path, content=body, headers=JSON)).status_code == 400
    deep = "[" * depth + "]" * depth
    answer = await caller.http.post("/_emulator/faults", content=deep, headers=JSON)
    assert answer.status_code == 400


def test_json_of_a_usual_depth_is_read() -> None:
    """The limit is far above what the cloud's bodies have."""
    value: Any = 1
    for _ in range(20):
        value = {"in": [value]}
    assert parse_json(json.dumps(value).encode()) == value


async def test_foreign_jobs_have_a_limit_that_is_told(caller: Caller) -> None:
    """More of them would hold the emulator at each look."""
    url = "/_emulator/faults"
    assert (await caller.http.post(url, json=[{"kind": "foreign-jobs:10000"}])).status_code == 200
    answer = await caller.http.post(url, json=[{"kind": "foreign-jobs:10001"}])
    assert answer.status_code == 400
    assert answer.json()["error"] == "foreign-jobs:<n> takes at most 10,000"


async def first_ids(emulator: Emulator) -> list[str]:
    """The ids of an emulator's first job, before and after a reset."""
    async with connect(emulator) as client:
        caller = Caller(client)
        first = await caller.submit()
        emulator.reset(files=True)
        return [first, await caller.submit()]


async def test_ids_are_unique_unless_a_seed_is_given(make: Callable[..., Emulator]) -> None:
    """A run that is resumed never meets another table under its job's id."""
    ids = [*await first_ids(make()), *await first_ids(make())]
    assert len(set(ids)) == 4
    seeded = [*await first_ids(make(seed=7)), *await first_ids(make(seed=7))]
    assert len(set(seeded)) == 1


async def test_an_export_of_the_usual_size_is_accepted(http: httpx.AsyncClient) -> None:
    """The door is open to whom it should be."""
    body = export(database_name="db1", table_name="t1")
    assert (await http.post(ROUTES[1][1], json=body)).status_code == 200
