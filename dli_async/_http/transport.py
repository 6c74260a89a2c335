"""Which transport carries the requests, and which proxy they take.

httpx's own pool must not be used on asyncio under load: its cost grows with the requests in flight
and cancellations leak its slots for good (encode/httpcore#1093). There aiohttp's pool carries the
requests; on trio httpx's own does, behind tasks that are never cancelled (see `owned_tasks`).
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Generator
from contextlib import aclosing, closing
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.request import (  # type: ignore[attr-defined] # one is not in typeshed
    getproxies_environment,
    proxy_bypass_environment,
)

import anyio.to_thread
import httpx
import sniffio

from .._values.errors import ConfigurationError, RequestNotSent
from .bodies import MAX_RESPONSE_SIZE, read_body

if TYPE_CHECKING:
    from .aiohttp_pool import AiohttpTransport

# Servers and gateways keep idle connections for 60 s and more: drop ours well before, so that a
# POST does not meet one that is just closing.
KEEPALIVE = 20.0

Verify = bool | str | Path | ssl.SSLContext
Cert = str | tuple[str, str] | tuple[str, str, str]
MayLeave = Callable[[], bool]
"""Whether a request that was announced may still leave."""
ProxyFor = Callable[[httpx.URL], str | None]

# Raised by the transports; anything else that a user's own code raises is not the network's.
TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)
_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


def make_ssl_context(verify: Verify, cert: Cert | None, trust_env: bool) -> ssl.SSLContext:
    """The SSL context for `verify` and `cert`, as httpx understands them. Reads files.

    Raises:
        ConfigurationError: a file is missing or is no certificate.
    """
    try:
        context = _trusting(verify, trust_env)
    except OSError as error:
        raise ConfigurationError(f"verify={verify!r}: cannot be loaded: {error}") from error
    if cert is not None:
        files = (cert,) if isinstance(cert, str) else cert
        try:
            context.load_cert_chain(*files)
        except OSError as error:
            raise ConfigurationError(f"cert={files[:2]!r}: cannot be loaded: {error}") from error
    return context


def _trusting(verify: Verify, trust_env: bool) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, bool):
        return httpx.create_ssl_context(verify=verify, trust_env=trust_env)
    if Path(verify).is_dir():
        return ssl.create_default_context(capath=str(verify))
    return ssl.create_default_context(cafile=str(verify))


def environment_proxy(url: httpx.URL) -> str | None:
    """The proxy that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name for a URL.

    This machine's own addresses never take one.

    Raises:
        ConfigurationError: it is of a kind that cannot be used, such as SOCKS.
    """
    proxies = getproxies_environment()
    names = (url.host, url.netloc.decode("ascii"))
    if _is_local(url.host) or any(proxy_bypass_environment(name, proxies) for name in names):
        return None
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    check_proxy(proxy)
    return proxy or None


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_metadata(host: str) -> bool:
    try:
        return ip_address(host).is_link_local
    except ValueError:
        return False


async def open_transport(
    make_context: Callable[[], ssl.SSLContext],
    proxy: str | None,
    trust_env: bool,
    max_connections: int,
) -> httpx.AsyncBaseTransport:
    """The transport for the running event loop.

    Files are read, and the libraries below loaded, in a worker thread.

    Args:
        make_context: reads certificates.
        proxy: for all requests; None leaves it to the environment, if `trust_env`.
    """

    @cache  # reading the environment costs as much as a request
    def proxy_of(server: str) -> str | None:
        url = httpx.URL(server)
        if _is_metadata(url.host):  # the metadata service answers this machine alone
            return None
        return proxy or (environment_proxy(url) if trust_env else None)

    def proxy_for(url: httpx.URL) -> str | None:
        return proxy_of(f"{url.scheme}://{url.netloc.decode()}")

    if sniffio.current_async_library() == "trio":
        return await anyio.to_thread.run_sync(
            lambda: _HttpxTransports(make_context(), proxy_for, max_connections)
        )
    context, kind = await anyio.to_thread.run_sync(lambda: (make_context(), _load_aiohttp()))
    return kind(context, proxy_for, max_connections, KEEPALIVE)


def _load_aiohttp() -> type[AiohttpTransport]:
    from .aiohttp_pool import AiohttpTransport

    return AiohttpTransport


def stands_cancelling(transport: httpx.AsyncBaseTransport) -> bool:
    """Whether a request may be cancelled without harm to the transport's pool."""
    return bool(getattr(transport, "stands_cancelling", False))


def never_left(error: Exception) -> bool:
    """Whether a failed request provably never left this machine.

    `httpx-aiohttp` reports every lost connection as a connect timeout, so the cause decides where
    it is aiohttp's.
    """
    cause = error.__cause__
    if cause is not None and type(cause).__module__.startswith("aiohttp."):
        from .aiohttp_pool import NEVER_LEFT

        return isinstance(cause, NEVER_LEFT)
    return isinstance(error, _NEVER_LEFT)


class Wire:
    """Sends requests over a transport, each with its login.

    That is all of `httpx.AsyncClient` that is needed here. The rest of it (cookies, redirects,
    merging of URLs and headers) would have to be switched off, and costs a third of a request.

    Args:
        timeout: of those requests that have none of their own.
        max_response_size: bytes of an answer at most, after decompression.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        timeout: httpx.Timeout,
        max_response_size: int = MAX_RESPONSE_SIZE,
    ) -> None:
        self.transport = transport
        self.is_closed = False
        self._timeout = timeout.as_dict()
        self._max_response_size = max_response_size

    async def __aenter__(self) -> Self:
        await self.transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.is_closed = True
        await self.transport.__aexit__(kind, error, traceback)

    async def send(self, request: httpx.Request, auth: httpx.Auth | None = None) -> httpx.Response:
        """Sends a request as often as its login asks for, and reads the last answer."""
        if auth is None:
            return await self._exchange(request)
        if type(auth).async_auth_flow is httpx.Auth.async_auth_flow:
            return await self._follow(auth.auth_flow(request))
        async with aclosing(auth.async_auth_flow(request)) as flow:
            request = await anext(flow)
            while True:
                response = await self._exchange(request)
                try:
                    request = await flow.asend(response)
                except StopAsyncIteration:
                    return response

    async def _follow(self, flow: Generator[httpx.Request, httpx.Response, None]) -> httpx.Response:
        """A login that has nothing to await; an asynchronous generator costs as much as a hash."""
        with closing(flow):
            request = next(flow)
            while True:
                response = await self._exchange(request)
                try:
                    request = flow.send(response)
                except StopIteration:
                    return response

    async def send_raw(self, request: httpx.Request, limit: int) -> httpx.Response:
        """Sends a request as it is; the body of its answer is left as it came.

        Raises:
            InvalidResponse: it has more than `limit` bytes.
        """
        return await self._exchange(request, limit, is_raw=True)

    async def _exchange(
        self, request: httpx.Request, limit: int | None = None, *, is_raw: bool = False
    ) -> httpx.Response:
        request.extensions.setdefault("timeout", self._timeout)
        # Right before the bytes, since a login may renew its credentials before and between POSTs.
        may_leave: MayLeave | None = request.extensions.get("may_leave")
        if may_leave is not None and not may_leave():
            raise RequestNotSent(f"{request.method} {request.url.path}: held up before it left")
        response = await self.transport.handle_async_request(request)
        response.request = request
        try:
            await read_body(response, limit or self._max_response_size, is_raw=is_raw)
        except BaseException:
            await response.aclose()
            raise
        return response


def _holds_no_headers(record: logging.LogRecord) -> bool:
    return "response_headers.complete" not in str(record.msg)


class _HttpxTransports(httpx.AsyncBaseTransport):
    """httpx's own transport, one for each proxy in use."""

    def __init__(self, context: ssl.SSLContext, proxy_for: ProxyFor, max_connections: int) -> None:
        # At DEBUG httpcore prints the headers of every answer, and with them the tokens of IAM.
        logging.getLogger("httpcore.http11").addFilter(_holds_no_headers)
        self._context = context
        self._proxy_for = proxy_for
        self._limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=KEEPALIVE,
        )
        self._by_proxy: dict[str | None, httpx.AsyncHTTPTransport] = {None: self._make(None)}

    def _make(self, proxy: str | None) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._context, limits=self._limits, proxy=proxy, trust_env=False
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxy_for(request.url)
        if proxy not in self._by_proxy:
            self._by_proxy[proxy] = self._make(proxy)
        return await self._by_proxy[proxy].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._by_proxy.values():
            await transport.aclose()


def check_proxy(proxy: str | None) -> None:
    """Refuses a proxy that the transports cannot use, before anything is sent.

    Raises:
        ConfigurationError: without the URL, which may hold a password.
    """
    if not proxy:
        return
    scheme, found, rest = proxy.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        given = scheme if found else "(none)"
        raise ConfigurationError(f"proxy with scheme {given}: must be an http:// or https:// URL")
    if not rest.rpartition("@")[2].strip("/"):
        raise ConfigurationError("proxy without a host: must be like http://proxy.example:3128")
