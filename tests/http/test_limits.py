"""Answers that are too large, too deep or too many end in an error of the tree, and soon."""

from __future__ import annotations

import json
import socket
import struct
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import anyio
import httpx
import pytest

from dli_async import (
    ConfigurationError,
    DliClient,
    InvalidResponse,
    JobStatus,
    ResponseLost,
    RetryPolicy,
    StaticToken,
    SubmitInDoubt,
    SubmitPolicy,
)
from dli_async._http.answers import MOST_VALUES, read_answer
from dli_async._http.mending import mended

from ..conftest import REAL
from ..support import PROJECT, Service, spec

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time, since sockets and threads do not know of another."""
    return request.param


def gzipped(body: bytes) -> bytes:
    """A body as a gateway compresses it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def bomb(mib: int) -> bytes:
    """A gzip body that inflates to so many MiB of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(mib)) + packer.flush()


class Flood:
    """A server on a loopback port that sends one answer after each request, for as long as it may.

    Attributes:
        sent: bytes of bodies that were sent.
        stopped: set when a client hung up in mid-answer.
    """

    def __init__(self, head: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._head = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode()
        self._pieces = pieces
        self.sent = 0
        self.stopped = Event()

    def __enter__(self) -> Flood:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(self._head)
                    for piece in self._pieces():
                        connection.sendall(piece)
                        self.sent += len(piece)
                    while connection.recv(65536):
                        connection.sendall(self._head)
                except OSError:
                    self.stopped.set()


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(65536)


def chunked(pieces: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    """The same in chunks, so that the length is not known beforehand."""

    def framed() -> Iterator[bytes]:
        for piece in pieces():
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    return framed


def client(endpoint: str, **options: Any) -> DliClient:
    given: dict[str, Any] = {
        "project_id": PROJECT,
        "auth": StaticToken("t"),
        "retry": RetryPolicy(attempts=1),
    }
    return DliClient(endpoint=endpoint, **(given | options))


@contextmanager
def little_memory(mib: float) -> Iterator[None]:
    """What runs within never holds more than so many MiB."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mib * MIB
    finally:
        tracemalloc.stop()


async def test_a_bomb_is_not_inflated() -> None:
    """400 MiB of zeros in 400 kB end at the limit of 1 MiB, and in little memory."""
    body = bomb(400)
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(body)}"
    with Flood(head, lambda: iter((body,))) as server, little_memory(16):
        async with client(server.url, max_response_size=MIB) as dli:
            with pytest.raises(InvalidResponse, match=rf"HTTP 200 with more than {MIB} bytes"):
                await dli.job("j").status()


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_an_answer_without_an_end_is_cut_off(encoding: str) -> None:
    """Also one that inflates to nothing: bytes count as they come, and after decompression."""
    start = struct.pack("<BBBBLBB", 0x1F, 0x8B, 8, 0, 0, 0, 3)

    def pieces() -> Iterator[bytes]:
        if encoding == "identity":
            yield from endless()
        yield start
        while True:
            yield b"\0\0\0\xff\xff" * 10_000  # blocks that hold nothing

    head = f"Content-Encoding: {encoding}\r\nTransfer-Encoding: chunked"
    with Flood(head, chunked(pieces)) as server:
        async with client(server.url, max_response_size=MIB) as dli:
            with pytest.raises(InvalidResponse, match="max_response_size"):
                await dli.job("j").status()
        assert server.stopped.wait(10)
        # What the sockets' own buffers hold comes on top.
        assert server.sent < 24 * MIB


async def test_a_length_over_the_limit_is_refused_unread() -> None:
    """What is announced need not be waited for."""
    with Flood(f"Content-Length: {33 * MIB}", lambda: iter(())) as server:
        async with client(server.url) as dli:
            with pytest.raises(InvalidResponse, match="max_response_size"):
                await dli.job("j").status()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "raw deflate"])
async def test_answers_within_the_limit_are_decompressed(encoding: str) -> None:
    """In all the ways that were asked for, also without the wrapping of `deflate`."""
    text = json.dumps({"job_id": "j", "status": "RUNNING", "message": "x" * 300_000}).encode()
    bits = {"deflate": 15, "raw deflate": -15}.get(encoding, 31)
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    body = packer.compress(text) + packer.flush()
    head = f"Content-Encoding: {encoding.split()[-1]}\r\nContent-Length: {len(body)}"
    with Flood(head, lambda: iter((body,))) as server:
        async with client(server.url, max_response_size=len(text)) as dli:
            report = await dli.job("j").status()
    assert report.status is JobStatus.RUNNING
    assert report.message == "x" * 300_000


async def test_a_body_that_is_not_compressed_as_it_says_is_a_lost_answer() -> None:
    """Plain text under `gzip` is trouble of the exchange, as elsewhere."""
    with Flood("Content-Encoding: gzip\r\nContent-Length: 2", lambda: iter((b"{}",))) as server:
        async with client(server.url) as dli:
            with pytest.raises(ResponseLost):
                await dli.job("j").status()


class Stream(httpx.AsyncByteStream):
    """A body of zeros without an end, from a transport of a user's own."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await anyio.lowlevel.checkpoint()
            self.given += 1
            yield bytes(65536)

    async def aclose(self) -> None:
        self.closed = True


async def test_the_limit_holds_for_a_transport_of_the_users_own() -> None:
    """Its stream is not read on, and closed."""
    stream = Stream()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=stream))
    async with client("https://dli.test", transport=transport, max_response_size=MIB) as dli:
        with pytest.raises(InvalidResponse):
            await dli.job("j").status()
    assert stream.closed
    assert stream.given == 17
    whole = httpx.MockTransport(lambda _: httpx.Response(200, content=bytes(MIB + 1)))
    async with client("https://dli.test", transport=whole, max_response_size=MIB) as dli:
        with pytest.raises(InvalidResponse, match="max_response_size"):
            await dli.job("j").status()


async def test_a_submit_with_an_oversized_answer_is_in_doubt() -> None:
    """The export may have been accepted: it is looked for, and not posted again."""
    huge = httpx.Response(200, content=bytes(2000))
    service = Service(submit=huge, jobs=httpx.Response(200, json={"jobs": [], "job_count": 0}))
    policy = SubmitPolicy(attempts=1, grace=0)
    async with service.client(max_response_size=1000, submit=policy) as dli:
        with pytest.raises(SubmitInDoubt):
            await dli.submit(spec())
    assert service.count("submit") == 1
    assert service.count("jobs") >= 1


@pytest.mark.parametrize("size", [0, -1])
def test_a_limit_must_be_positive(size: int) -> None:
    """None at all is no limit that could be meant."""
    with pytest.raises(ConfigurationError, match="max_response_size"):
        client("https://dli.test", max_response_size=size)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 20 * MIB,
        b'{"a":' * 6 * MIB,
        b'{"a":[' + b"{}," * MOST_VALUES + b"0]}",
        b'{"a":"' + b"\\u00e9" * 5 * MIB + b'"}',
        b'{"a":' + b"9" * MIB + b"}",
        b"authorization: x " * MIB,
    ],
    ids=["lists", "objects", "many values", "escapes", "one number", "headers"],
)
def test_large_garbage_is_refused_with_its_beginning(content: bytes) -> None:
    """Neither depth nor number makes the reading fail, or hold much more than the answer."""
    with little_memory(4 + 3 * len(content) / MIB), pytest.raises(InvalidResponse) as caught:
        read_answer(200, {}, content)
    assert len(str(caught.value)) < 2000
    assert len(caught.value.text) <= 500


async def test_a_large_answer_is_read_away_from_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop goes round while a thread reads; a small one is not worth a thread."""
    from threading import get_ident

    from dli_async._http import answers

    readers: list[int] = []
    decode = answers._decode

    def noted(content: bytes) -> Any:
        readers.append(get_ident())
        return decode(content)

    monkeypatch.setattr(answers, "_decode", noted)
    body = {"job_id": "j", "status": "RUNNING"}
    for message, away in (("x" * MIB, True), ("x", False)):
        reply = httpx.Response(200, json=body | {"message": message})
        async with Service(status=reply).client() as dli:
            assert (await dli.job("j").status()).message == message
        assert (readers.pop() != get_ident()) is away


@pytest.mark.parametrize(
    "message",
    [
        b'{"error_code":"DLI.0999","error_msg":"a"},' * 3300,
        b'"a":"b","c":{' * 5000,
        b'"a":"b","c":[' * 5000,
        b'"a":"b",' * 10_000,
    ],
    ids=["objects", "deep objects", "deep lists", "members"],
)
def test_mending_reads_a_message_a_few_times_at_most(
    message: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in characters: what is broken beyond repair costs no more than its length."""
    from dli_async._http import mending

    spent: list[int] = []

    class Counted(mending._Rest):
        def is_well_formed(self, at: int) -> bool:
            found = super().is_well_formed(at)
            spent.append(self.budget)
            return found

    monkeypatch.setattr(mending, "_Rest", Counted)
    text = b'{"message": "' + message + b'", "status'
    assert mended(text) is None
    assert spent[-1] >= -2 * len(text)
    whole = b'{"message": "' + message + b'", "status": "FINISHED", "tags": [{"a": "b"}]}'
    assert mended(whole) in (
        None,
        {"message": message.decode(), "status": "FINISHED", "tags": [{"a": "b"}]},
    )


def test_a_long_message_of_unescaped_json_is_mended() -> None:
    """139 kB of it, with numbers and objects among the members that follow."""
    inner = '{"error_code":"DLI.0999","error_msg":"a","n":5},' * 3300
    tail = '", "duration": 5, "tags": [{"key": "a"}], "status": "FINISHED"}'
    data = mended(('{"is_success": true, "message": "' + inner + tail).encode())
    assert data == {
        "is_success": True,
        "message": inner,
        "duration": 5,
        "tags": [{"key": "a"}],
        "status": "FINISHED",
    }


ABSURD = ["Infinity", "-Infinity", "NaN", "1e400", "1" + "0" * 400, "1" + "0" * 30, "-5"]


@pytest.mark.parametrize("number", ABSURD)
async def test_absurd_numbers_of_a_status_are_as_good_as_missing(number: str) -> None:
    """The state of the job counts all the same."""
    counts = ["input_row_count", "bad_row_count", "input_size", "result_count"]
    names = ["start_time", "duration", *counts]
    fields = ", ".join(f'"{name}": {number}' for name in names)
    body = f'{{"job_id": "j", "status": "FINISHED", {fields}}}'
    reply = httpx.Response(200, content=body.encode(), headers={"Retry-After": "9" * 400})
    async with Service(status=reply).client() as dli:
        report = await dli.job("j").status()
    assert report.status is JobStatus.FINISHED
    assert [getattr(report, name) for name in names] == [None] * 6
    assert report.retry_after is not None
    assert report.retry_after < 400 * 24 * 3600


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "1e400", "1" + "0" * 400, "-5"])
async def test_an_absurd_count_of_a_list_cannot_be_understood(number: str) -> None:
    """It would say that there is more to be read, for ever."""
    body = f'{{"jobs": [], "job_count": {number}}}'.encode()
    reply = httpx.Response(200, content=body)
    async with Service(jobs=reply).client(retry=RetryPolicy(attempts=1)) as dli:
        with pytest.raises(InvalidResponse, match="job_count"):
            _ = [row async for row in dli.jobs()]


async def test_a_list_that_repeats_itself_and_counts_more_ends_in_an_error() -> None:
    """A gateway that drops the query gives the first page for ever."""
    rows = [{"job_id": f"j{n}", "status": "RUNNING"} for n in range(100)]
    service = Service(jobs=httpx.Response(200, json={"jobs": rows, "job_count": 10**9}))
    async with service.client() as dli:
        with pytest.raises(InvalidResponse, match="100 rows again and again"):
            _ = [row async for row in dli.jobs()]
    assert service.count("jobs") < 20


async def test_a_list_of_ever_new_rows_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many it counts, and however they shift."""
    monkeypatch.setattr("dli_async._http.paging._MOST_PAGES", 50)

    def page(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["current-page"])
        rows = [{"job_id": f"{number}-{n}", "status": "RUNNING"} for n in range(100)]
        return httpx.Response(200, json={"jobs": rows, "job_count": number * 100 + 7})

    service = Service(jobs=page)
    async with service.client() as dli:
        with pytest.raises(InvalidResponse, match="no end"):
            _ = [row async for row in dli.jobs()]
    assert service.count("jobs") == 50


async def test_a_page_of_too_many_rows_cannot_be_understood() -> None:
    """A hundred were asked for."""
    body = b'{"jobs": [' + b'{"job_id":1},' * 20_000 + b'{"job_id":1}]}'
    reply = httpx.Response(200, content=body)
    async with Service(jobs=reply).client(retry=RetryPolicy(attempts=1)) as dli:
        with pytest.raises(InvalidResponse, match="rows"):
            _ = [row async for row in dli.jobs()]
