"""The wire itself, on real sockets: aiohttp's pool on asyncio and uvloop, httpx's own on trio."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import anyio.lowlevel
import httpx
import pytest
import sniffio

from dli_async import ConfigurationError, RequestNotSent, ResponseLost, RetryPolicy, StaticToken
from dli_async._auth import Scope, bind
from dli_async._http.call import Call
from dli_async._http.exchange import Http, make_client
from dli_async._http.owned_tasks import OwnedTasks
from dli_async._http.throttle import Throttle
from dli_async._http.transport import (
    KEEPALIVE,
    TRANSPORT_ERRORS,
    check_proxy,
    environment_proxy,
    make_ssl_context,
    never_left,
    open_transport,
)
from dli_async._values.errors import DliError
from dli_async._values.events import Emitter

from ..conftest import REAL
from ..raw_server import DROP, RESET, RawServer, Seen, answer

pytestmark = pytest.mark.anyio

LOOPS = [*REAL, pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")]
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Real time, since sockets do not know of another."""
    return request.param


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def opened(
    endpoint: str,
    *,
    make_context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    proxy: str | None = None,
    trust_env: bool = False,
    max_connections: int = 16,
    request_timeout: float = 10.0,
    attempts: int = 1,
) -> AsyncIterator[Http]:
    """Exchanges over the transport of the running loop."""
    transport = await open_transport(make_context, proxy, trust_env, max_connections)
    async with make_client(transport, request_timeout) as wire:
        tasks = OwnedTasks()
        yield Http(
            wire,
            endpoint=endpoint,
            auth=bind(StaticToken("a-secret-token"), Scope(project_id="p", environ={}), wire.send),
            throttle=Throttle(max_connections),
            tasks=tasks,
            retry=RetryPolicy(attempts=attempts, wait_initial=0),
            request_timeout=request_timeout,
            emit=Emitter(None),
        )
        await tasks.drain()


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"
GET = Call("GET", "/v1.0/p/jobs")


POST = Call("POST", "/x", body={"a": "é"})


async def post(http: Http) -> Any:
    """What became of a POST."""
    outcomes: list[Any] = []
    await http.post(POST, anyio.lowlevel.checkpoint, outcomes.append)
    [outcome] = outcomes
    return outcome


@pytest.fixture
def refusing() -> str:
    """The URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}"


async def test_the_right_pool_carries_the_requests() -> None:
    """aiohttp's under asyncio, whatever its loop, and httpx's own under trio."""
    transport = await open_transport(ssl.create_default_context, None, False, 1)
    own = sniffio.current_async_library() == "trio"
    assert type(transport).__name__ == ("_HttpxTransports" if own else "AiohttpTransport")
    await transport.aclose()


async def test_the_bytes_sent_are_the_bytes_of_the_url() -> None:
    """Neither pool quotes again: what was signed is what goes out."""
    call = Call(
        "GET",
        "/v1.0/p/jobs/a%2Fb%2A%20%E5%AF%BC%2B~",
        {
            "z": "*",
            "tags": "k1=v1,k2=v 2",
            "path": "/a/1+1",
            "enable": True,
            "none": None,
            "t": "一",
        },
    )
    with RawServer() as server:
        async with opened(server.url) as http:
            await http.request(call)
            await http.request(GET)
        first, second = server.requests
    assert first.line == (
        "GET /v1.0/p/jobs/a%2Fb%2A%20%E5%AF%BC%2B~"
        "?enable=true&path=%2Fa%2F1%2B1&t=%E4%B8%80&tags=k1%3Dv1%2Ck2%3Dv%202&z=%2A HTTP/1.1"
    )
    assert first.line.split()[1] == call.target()
    assert second.line == "GET /v1.0/p/jobs HTTP/1.1"
    assert first.headers["host"] == f"127.0.0.1:{server.port}"
    assert first.headers["x-auth-token"] == "a-secret-token"
    assert first.headers["user-agent"].startswith("dli_async/")
    assert (first.headers["content-type"], first.body) == ("application/json", b"")


async def test_a_body_arrives_as_compact_json() -> None:
    """UTF-8 without escapes, and its length told."""
    with RawServer() as server:
        async with opened(server.url) as http:
            await post(http)
        [seen] = server.requests
    assert (seen.line, seen.body) == ("POST /x HTTP/1.1", '{"a":"é"}'.encode())


@pytest.mark.parametrize(
    "end", [RESET, DROP, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{" + DROP]
)
async def test_a_connection_lost_after_the_request_is_a_lost_answer(end: bytes) -> None:
    """The request was read, so it may have been carried out: never "not sent"."""

    def respond(seen: Seen) -> bytes:
        return end

    with RawServer(respond) as server:
        async with opened(server.url) as http:
            assert type(await post(http)) is ResponseLost
            with pytest.raises(ResponseLost):
                await http.request(GET)
        assert len(server.requests) == 2


async def test_a_kept_connection_that_is_reset_is_a_lost_answer_and_not_repeated_below() -> None:
    """A second request over the same connection is sent once, whatever the pool would do."""

    def respond(seen: Seen) -> bytes:
        return RESET if "last" in seen.line else answer()

    with RawServer(respond) as server:
        async with opened(server.url) as http:
            await http.request(GET)
            with pytest.raises(ResponseLost):
                await http.request(Call("GET", "/last"))
        assert len(server.requests) == 2
        assert server.opened == 1


async def test_an_answer_that_is_no_http_is_a_lost_answer() -> None:
    """Whatever spoke there, it may have heard the request."""
    with RawServer(lambda seen: b"SSH-2.0-OpenSSH\r\n\r\n" + b"x" * 100) as server:
        async with opened(server.url, request_timeout=2.0) as http:
            assert type(await post(http)) is ResponseLost


async def test_a_refused_connection_is_a_request_not_sent(refusing: str) -> None:
    """Nobody listened, so nothing was carried out."""
    async with opened(refusing) as http:
        outcome = await post(http)
        assert type(outcome) is RequestNotSent
        assert "POST /x" in str(outcome)
        assert "ssl" not in str(outcome)
        with pytest.raises(RequestNotSent):
            await http.request(GET)


async def test_a_name_that_nobody_knows_is_a_request_not_sent() -> None:
    """`.invalid` is never in the DNS (RFC 6761)."""
    async with opened("http://dli.invalid") as http:
        assert type(await post(http)) is RequestNotSent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody trusts, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    options = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *options, "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return cert, key


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a server needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_a_certificate_that_nobody_trusts_is_a_request_not_sent(tls: ssl.SSLContext) -> None:
    """TLS fails before any request is written."""
    with RawServer(context=tls) as server:
        async with opened(server.url) as http:
            assert type(await post(http)) is RequestNotSent
        assert server.requests == []


async def test_a_certificate_file_is_trusted(
    tls: ssl.SSLContext, certificate: tuple[Path, Path]
) -> None:
    """`verify` may name the file of a private authority."""
    context = partial(make_ssl_context, certificate[0], None, False)
    with RawServer(context=tls) as server:
        async with opened(server.url, make_context=context) as http:
            assert (await http.request(GET)).data == {"is_success": True}


async def test_a_connect_that_takes_too_long_is_a_request_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connecting has a limit of its own, and what has no connection was not sent."""
    monkeypatch.setattr("dli_async._http.exchange._CONNECT_LIMIT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with opened(f"https://127.0.0.1:{port}", request_timeout=60.0) as http:
            assert type(await post(http)) is RequestNotSent


@pytest.mark.parametrize("request_timeout", [0.01, 1.0, 11.0, 3_600.0])
def test_connecting_ends_before_the_exchange(request_timeout: float) -> None:
    """Whatever the limit of an exchange is, the two can be told apart."""
    wire = make_client(httpx.MockTransport(lambda _: httpx.Response(200)), request_timeout)
    assert wire._timeout["connect"] is not None
    assert wire._timeout["connect"] < request_timeout


async def test_headers_of_64_kb_are_accepted() -> None:
    """Tokens in headers are larger than many parsers allow by default."""
    token = "t" * 64 * 1024
    with RawServer(lambda seen: answer("{}", "200 OK", f"X-Subject-Token: {token}")) as server:
        async with opened(server.url) as http:
            assert (await http.request(GET)).data == {}


async def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    """One request, one answer, and no state between them."""
    moved = answer("", "302 Found", "Location: /elsewhere", "Set-Cookie: a=b; Path=/")
    with RawServer(lambda seen: moved) as server:
        async with opened(server.url) as http:
            for _ in range(2):
                with pytest.raises(DliError, match="not followed"):
                    await http.request(GET)
        assert server.lines() == ["GET /v1.0/p/jobs HTTP/1.1"] * 2
        assert not any("cookie" in seen.headers for seen in server.requests)


async def test_there_are_never_more_connections_than_allowed() -> None:
    """A hundred requests at once share four connections, which are kept between them."""
    with RawServer() as server:
        async with (
            opened(server.url, max_connections=4) as http,
            anyio.create_task_group() as group,
        ):
            for _ in range(100):
                group.start_soon(http.request, GET)
        assert len(server.requests) == 100
        assert server.peak <= 4
        assert server.opened <= 4


async def test_an_idle_connection_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before servers do it, so that a POST does not meet a connection that is just closing."""
    assert KEEPALIVE < 60
    monkeypatch.setattr("dli_async._http.transport.KEEPALIVE", 0.05)
    with RawServer() as server:
        async with opened(server.url) as http:
            await http.request(GET)
            await anyio.sleep(0.3)
            await http.request(GET)
        assert server.opened == 2


async def test_cancelling_thousands_under_contention_costs_no_slot() -> None:
    """After 5,000 cancelled requests, 20 more all succeed."""
    release = threading.Event()

    def respond(seen: Seen) -> bytes:
        if "slow" in seen.line:
            release.wait(0.002)
        return answer()

    with RawServer(respond) as server:
        async with opened(server.url, max_connections=8) as http:
            for _ in range(50):
                async with anyio.create_task_group() as group:
                    for _ in range(100):
                        group.start_soon(http.request, Call("GET", "/slow"))
                    with anyio.move_on_after(0.005):
                        await anyio.sleep_forever()
                    group.cancel_scope.cancel()
            done: list[Any] = []

            async def succeed() -> None:
                done.append(await http.request(GET))

            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    for _ in range(20):
                        group.start_soon(succeed)
            assert len(done) == 20


# Proxies.


def forwarding(seen: Seen) -> bytes:
    """A proxy that answers by itself."""
    return answer('{"via": "proxy"}')


@pytest.mark.parametrize("how", ["argument", "environment", "without a scheme", "all"])
async def test_a_proxy_gets_the_request(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given by hand or by the environment, with its password, and with the URL as it was built."""
    with RawServer(forwarding) as server:
        where = f"user:pass@127.0.0.1:{server.port}"
        if how == "environment":
            monkeypatch.setenv("HTTP_PROXY", f"http://{where}")
        elif how == "without a scheme":
            monkeypatch.setenv("http_proxy", where)
        elif how == "all":
            monkeypatch.setenv("ALL_PROXY", f"http://{where}")
        proxy = f"http://{where}" if how == "argument" else None
        async with opened("http://dli.invalid", proxy=proxy, trust_env=True) as http:
            answered = await http.request(Call("GET", "/a%2Fb", {"c": "*"}))
        [seen] = server.requests
    assert answered.data == {"via": "proxy"}
    assert seen.line == "GET http://dli.invalid/a%2Fb?c=%2A HTTP/1.1"
    assert seen.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


async def test_the_environment_counts_only_if_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """`trust_env=False` ignores proxies."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with opened("http://dli.invalid") as http:
        with pytest.raises(RequestNotSent) as caught:
            await http.request(GET)
    assert "proxy" not in str(caught.value).lower()


async def test_a_proxy_that_refuses_a_tunnel_means_not_sent() -> None:
    """The request waits for the tunnel, so it never left; the password stays secret."""
    with RawServer(lambda seen: answer("no", "407 Proxy Authentication Required")) as server:
        proxy = f"http://user:hush-hush@127.0.0.1:{server.port}"
        async with opened("https://dli.invalid", proxy=proxy) as http:
            outcome = await post(http)
        assert server.lines() == ["CONNECT dli.invalid:443 HTTP/1.1"]
    assert type(outcome) is RequestNotSent
    assert "hush-hush" not in str(outcome)


async def test_a_proxy_that_is_down_means_not_sent(refusing: str) -> None:
    """No proxy, no request; the password stays secret."""
    proxy = f"http://user:hush-hush@{urlsplit(refusing).netloc}"
    for endpoint in ("http://dli.invalid", "https://dli.invalid"):
        async with opened(endpoint, proxy=proxy) as http:
            outcome = await post(http)
            assert type(outcome) is RequestNotSent
            assert "hush-hush" not in str(outcome)


async def test_the_metadata_service_is_never_asked_through_a_proxy() -> None:
    """It answers this machine alone, and what it says is secret."""
    transport = await open_transport(ssl.create_default_context, "http://proxy.test:1", True, 1)
    proxy_for: Any = transport._proxy_for  # type: ignore[attr-defined]
    assert proxy_for(httpx.URL("http://169.254.169.254/openstack")) is None
    assert proxy_for(httpx.URL("https://dli.example.com")) == "http://proxy.test:1"
    await transport.aclose()


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxied"),
    [
        ("https://dli.example.com", "", True),
        ("https://dli.example.com", "example.com", False),
        ("https://dli.example.com", ".example.com", False),
        ("https://dli.example.com", "other.com", True),
        ("https://dli.example.com:8443", "dli.example.com:8443", False),
        ("https://dli.example.com:8443", "dli.example.com:9443", True),
        ("https://dli.example.com", "*", False),
        ("https://localhost:8765", "", False),
        ("https://127.0.0.1:8765", "", False),
        ("https://[::1]:8765", "", False),
        ("http://dli.example.com", "", False),
    ],
)
def test_no_proxy_is_honoured(
    url: str, no_proxy: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suffixes, ports and `*` as elsewhere; this machine's own addresses never take a proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    expected = "http://proxy.example:3128" if proxied else None
    assert environment_proxy(httpx.URL(url)) == expected


def test_a_proxy_of_the_environment_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SOCKS is refused with its scheme, and without what else the URL holds."""
    monkeypatch.setenv("ALL_PROXY", "socks5://user:hush-hush@proxy.example:1080")
    with pytest.raises(ConfigurationError, match="socks5") as caught:
        environment_proxy(httpx.URL("https://dli.example.com"))
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["proxy.example:3128", "socks5://a:hush@b", "http://", "http://a:hush@"]
)
def test_a_proxy_that_cannot_be_used_is_refused(proxy: str) -> None:
    """Before anything is sent, and without its password."""
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        check_proxy(proxy)
    assert "hush" not in str(caught.value)
    check_proxy("http://user:pass@proxy.example:3128")
    check_proxy(None)


# Certificates.


def test_certificates_are_loaded_from_files_and_folders(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """All forms that httpx understands."""
    cert, key = certificate
    assert make_ssl_context(True, None, True).verify_mode is ssl.CERT_REQUIRED
    assert make_ssl_context(False, None, True).verify_mode is ssl.CERT_NONE
    assert make_ssl_context(str(cert), None, True).cert_store_stats()["x509"] == 1
    assert make_ssl_context(tmp_path, None, True).verify_mode is ssl.CERT_REQUIRED
    mine = ssl.create_default_context()
    assert make_ssl_context(mine, (str(cert), str(key)), True) is mine
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    make_ssl_context(True, str(both), True)


def test_certificates_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    """The field and the file are told, the key's password is not."""
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(ConfigurationError, match=r"verify=.*missing"):
        make_ssl_context(tmp_path / "missing", None, True)
    with pytest.raises(ConfigurationError, match=r"verify=.*junk\.pem"):
        make_ssl_context(str(junk), None, True)
    with pytest.raises(ConfigurationError, match="cert=") as caught:
        make_ssl_context(True, (str(junk), str(junk), "hush-hush"), True)
    assert "hush-hush" not in str(caught.value)


# Errors.

LEFT = {
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.RemoteProtocolError,
    httpx.LocalProtocolError,
    httpx.DecodingError,
    httpx.TooManyRedirects,
}
NOT_LEFT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}
# Raised only by what is not used here, or the parents of the others.
ELSEWHERE = {
    httpx.CookieConflict,
    httpx.HTTPError,
    httpx.HTTPStatusError,
    httpx.NetworkError,
    httpx.ProtocolError,
    httpx.RequestError,
    httpx.RequestNotRead,
    httpx.ResponseNotRead,
    httpx.StreamClosed,
    httpx.StreamConsumed,
    httpx.StreamError,
    httpx.TimeoutException,
    httpx.TransportError,
}


def test_every_error_of_httpx_has_a_place() -> None:
    """A class that a later version adds must be judged before it is trusted."""
    errors = {
        value
        for value in vars(httpx).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert errors == LEFT | NOT_LEFT | ELSEWHERE
    for kind in LEFT | NOT_LEFT:
        assert never_left(kind("no")) is (kind in NOT_LEFT)
        assert issubclass(kind, TRANSPORT_ERRORS)


def test_a_cause_of_aiohttp_decides_over_the_class() -> None:
    """Its bridge calls every lost connection a connect timeout."""

    def wrapped(cause: Exception) -> Exception:
        error = httpx.ConnectTimeout("lost")
        error.__cause__ = cause
        return error

    assert not never_left(wrapped(aiohttp.ServerDisconnectedError()))
    assert not never_left(wrapped(aiohttp.ClientOSError(104, "reset")))
    assert not never_left(wrapped(aiohttp.SocketTimeoutError()))
    assert never_left(wrapped(aiohttp.ConnectionTimeoutError()))
    assert never_left(wrapped(OSError()))
    assert not never_left(OSError())
