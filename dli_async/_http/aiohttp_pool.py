"""aiohttp's connection pool under httpx: what carries the requests on asyncio.

A module of its own, so that aiohttp is loaded by the client that needs it and not by the import.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from functools import lru_cache

import aiohttp
import httpx
from httpx_aiohttp.transport import map_aiohttp_exceptions
from multidict import CIMultiDict
from yarl import URL

# Tokens travel in headers of several kB.
_HEADER_LIMIT = 128 * 1024

# Bodies are read at once: pausing the socket in between would only cost.
_READ_AHEAD = 1024 * 1024

# Of all that aiohttp raises, these alone prove that a request never left.
NEVER_LEFT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """aiohttp's connection pool under httpx.

    The transport of `httpx-aiohttp` lets yarl quote the URL again, so that other bytes are sent
    than were signed; this one passes it as it stands.

    Args:
        proxy_for: the proxy for a URL, or None.
        keepalive: seconds for which an idle connection is kept.
    """

    stands_cancelling = True

    def __init__(
        self,
        context: ssl.SSLContext,
        proxy_for: Callable[[httpx.URL], str | None],
        max_connections: int,
        keepalive: float,
    ) -> None:
        self._proxy_for = proxy_for
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections, keepalive_timeout=keepalive, ssl=context
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            auto_decompress=False,
            read_bufsize=_READ_AHEAD,
            # httpx has set its own, and a signature may cover them.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )
        # aiohttp repeats a GET on a dropped connection by itself; ours are counted and logged.
        self._session._retry_connection = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        times = request.extensions.get("timeout", {})
        proxy, proxy_login = _without_password(self._proxy_for(request.url))
        headers = CIMultiDict(request.headers.multi_items())
        if request.url.scheme == "http":  # no tunnel: the proxy reads the request itself
            headers.update(proxy_login)
        try:
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=headers,
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=_limits(times.get("connect"), times.get("read")),
                proxy=proxy,
                proxy_headers=proxy_login,
            )
        except aiohttp.ClientError as error:
            raise _as_httpx(error) from error
        answer = httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Body(response),
            request=request,
        )
        answer.headers.encoding = "iso-8859-1"
        return answer

    async def aclose(self) -> None:
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it comes; closed before its end, it costs the connection."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except aiohttp.ClientError as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        self._response.close()


def _without_password(proxy: str | None) -> tuple[str | None, dict[str, str]]:
    """A proxy's URL as it may be printed (aiohttp's errors do), and the header for its login."""
    url = httpx.URL(proxy) if proxy else None
    if url is None or not url.userinfo:
        return proxy, {}
    login = b64encode(f"{url.username}:{url.password}".encode()).decode()
    plain = str(url.copy_with(username=None, password=None))
    return plain, {"Proxy-Authorization": f"Basic {login}"}


@lru_cache(maxsize=16)
def _limits(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=connect, sock_read=read)


def _as_httpx(error: aiohttp.ClientError) -> httpx.HTTPError:
    try:
        with map_aiohttp_exceptions():
            raise error
    except httpx.HTTPError as mapped:
        # It names the setting of one request, which tells nothing: ours is the connector's.
        return type(mapped)(str(mapped).replace(" ssl:default", ""))
    except aiohttp.ClientError:  # their map leaves out an answer that is no HTTP, for one
        return httpx.RemoteProtocolError(str(error))
