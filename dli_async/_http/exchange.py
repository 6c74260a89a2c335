"""One reliable JSON exchange: slot, clock, transport, error mapping, and trying again.

Trying again stands above authentication, so that every try is signed anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from importlib.metadata import version
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx
from pydantic_core import to_json

from .._auth import ScopedAuth
from .._values.errors import (
    ClientClosed,
    DliError,
    InvalidResponse,
    RateLimited,
    RequestNotSent,
    ResponseLost,
    ServerError,
)
from .._values.events import Emitter, RequestEvent, RetryEvent
from .._values.policies import RetryCallState, RetryPolicy, is_transient
from .answers import Answer, is_large, read_answer
from .bodies import MAX_RESPONSE_SIZE as MAX_RESPONSE_SIZE
from .call import Call
from .owned_tasks import OwnedTasks
from .server_clock import ServerClock
from .throttle import Throttle
from .transport import TRANSPORT_ERRORS, MayLeave, Wire, never_left, stands_cancelling

_log = logging.getLogger("dli_async.http")

T = TypeVar("T")

Settle = Callable[[Answer | DliError], None]

_CONNECT_LIMIT = 10.0
# Seconds after which a POST that was announced and has not left may not leave any more, at most.
HELD_UP = 5.0
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "Content-Type": "application/json",
    "User-Agent": f"dli_async/{version('dli-async')}",
    "X-Language": "en-us",
}


def make_client(
    transport: httpx.AsyncBaseTransport,
    request_timeout: float,
    max_response_size: int = MAX_RESPONSE_SIZE,
) -> Wire:
    """What sends the requests, with the limits that the transport itself heeds."""
    connect = min(_CONNECT_LIMIT, request_timeout * 0.9)
    # The rest is bounded as a whole, and nobody need wind up a clock for every read.
    return Wire(transport, httpx.Timeout(None, connect=connect), max_response_size)


class Http:
    """Exchanges JSON with one endpoint, within one client's budget.

    Args:
        client: carries the requests.
        endpoint: base URL without a trailing slash.
        auth: authenticates each try; renews its credentials beforehand if need be.
        request_timeout: seconds from holding a slot to the last byte of the answer.
    """

    def __init__(
        self,
        client: Wire,
        *,
        endpoint: str,
        auth: ScopedAuth,
        throttle: Throttle,
        tasks: OwnedTasks,
        retry: RetryPolicy,
        request_timeout: float,
        emit: Emitter,
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        # Submits all go to one URL, and parsing it takes as long as hashing.
        self._url = lru_cache(maxsize=64)(httpx.URL)
        host = httpx.URL(endpoint).netloc.decode("ascii")
        self._headers = httpx.Headers({"Host": host, **_HEADERS})
        self._auth = auth
        self._throttle = throttle
        self._first_use = auth.first_use
        self._tasks = tasks
        self._retry = retry
        self.request_timeout = request_timeout
        # How long after its announcement a POST may still leave, in seconds.
        self.longest_hold = min(HELD_UP, request_timeout)
        self._emit = emit
        self.server_clock = ServerClock()
        # Read, an answer takes several times its size.
        self._large_answers = anyio.CapacityLimiter(1)
        # Other pools may lose a slot when a request is cancelled, so theirs never is.
        self._stands_cancelling = stands_cancelling(client.transport)

    async def request(self, call: Call, *, repeat: bool = True) -> Answer:
        """Carries out a call that may be repeated safely (GET, DELETE).

        Args:
            repeat: whether to try again after trouble (default). A poll does not, since it will be
                repeated anyway, and it gives way to other requests where the budget is short.

        Raises:
            RequestError, ApiError: what the last try came to.
        """
        if not repeat:
            return await self._once(call, urgent=False)
        once = partial(self._once, call, urgent=True)
        return await self._retry.run(once, is_transient, partial(self._tell_retry, call))

    async def post(self, call: Call, leave: Callable[[], Awaitable[None]], settle: Settle) -> None:
        """Carries out one try of a call that must not be repeated blindly.

        `leave` is awaited when it has a slot, and what it raises keeps it from leaving. From then
        on it runs to its end whatever happens to the caller, and `settle` is called with its
        outcome, exactly once.
        """
        await self.unsent(self._auth.prepare())
        alone = await self._enter(urgent=True)
        try:
            await leave()
        except BaseException:
            self._leave(alone)
            raise
        outcome: Answer | DliError = ResponseLost(f"{call.method} {call.path}: cut off")
        may_leave = _for_seconds(self.longest_hold)

        async def exchange() -> None:
            nonlocal outcome
            try:
                outcome = await self._exchange(call, may_leave)
            except DliError as error:
                outcome = error

        def ended() -> None:
            self._leave(alone)
            settle(outcome)

        await self._tasks.run(exchange, may_stop=False, ended=ended)

    async def unsent(self, preparing: Awaitable[T]) -> T:
        """Awaits what a POST needs before it can leave.

        Raises:
            RequestNotSent: that had trouble, which of a POST would mean that it is in doubt.
        """
        try:
            return await preparing
        except (ServerError, RateLimited, InvalidResponse) as error:
            trouble = RequestNotSent(f"not sent: {error}")
            trouble.retry_after = getattr(error, "retry_after", None)
            raise trouble from error

    async def send_for_login(self, request: httpx.Request) -> httpx.Response:
        """Sends a request that a login needs for itself: no slot, no login, no repeats."""
        if self._client.is_closed:
            raise ClientClosed(f"{request.method} {request.url.path}: its client is closed")
        send = partial(self._client.send, request, auth=None)
        return await (send() if self._stands_cancelling else self._tasks.run(send, may_stop=True))

    async def _once(self, call: Call, *, urgent: bool) -> Answer:
        await self._auth.prepare()
        alone = await self._enter(urgent=urgent)
        if not self._stands_cancelling:
            exchange, ended = partial(self._exchange, call), partial(self._leave, alone)
            return await self._tasks.run(exchange, may_stop=True, ended=ended)
        try:
            return await self._exchange(call)
        finally:
            self._leave(alone)

    async def _enter(self, *, urgent: bool) -> bool:
        """Waits for the verdict on the login, if need be, and for a slot."""
        alone = not self._first_use.proven and await self._first_use.enter()
        try:
            await self._throttle.enter(urgent=urgent)
        except BaseException:
            if alone:
                self._first_use.leave()
            raise
        return alone

    def _leave(self, alone: bool) -> None:
        self._throttle.leave()
        if alone:
            self._first_use.leave()

    async def _exchange(self, call: Call, may_leave: MayLeave | None = None) -> Answer:
        started = anyio.current_time()
        outcome: Answer | BaseException | None = None
        try:
            outcome = await self._read(*await self._send(call, may_leave))
        except BaseException as error:
            outcome = error
            self._heed(error, started)
            raise
        else:
            if not self._first_use.proven:
                self._first_use.heed(None)
        finally:
            self._tell_request(call, outcome, started)
        return outcome

    async def _read(self, status_code: int, headers: httpx.Headers, content: bytes) -> Answer:
        self.server_clock.note(headers.get("date"))
        read = partial(read_answer, status_code, headers, content, self._auth.redact)
        if not is_large(content):
            return read()
        return await anyio.to_thread.run_sync(read, limiter=self._large_answers)

    async def _send(
        self, call: Call, may_leave: MayLeave | None
    ) -> tuple[int, httpx.Headers, bytes]:
        request = self._build(call)
        if may_leave is not None:
            request.extensions["may_leave"] = may_leave
        if self._client.is_closed:
            raise ClientClosed(f"{call.method} {call.path}: its client is closed")
        try:
            with anyio.move_on_after(self.request_timeout):
                response = await self._client.send(request, auth=self._auth)
                return response.status_code, response.headers, response.content
        except TRANSPORT_ERRORS as error:
            kind = RequestNotSent if never_left(error) else ResponseLost
            raise kind(f"{call.method} {call.path}: {_reason(error)}") from error
        raise ResponseLost(
            f"{call.method} {call.path}: no answer within {self.request_timeout:g} s"
        )

    def _build(self, call: Call) -> httpx.Request:
        # Given a body as `content`, httpx would look for headers that are known to be missing.
        body = b"" if call.body is None else to_json(call.body)
        request = httpx.Request(
            call.method,
            self._url(self._endpoint + call.target()),
            headers=self._headers,
            stream=httpx.ByteStream(body),
        )
        request.headers.encoding = "utf-8"
        if body:
            request.headers["Content-Length"] = str(len(body))
        request.read()
        return request

    def _heed(self, error: BaseException, started: float) -> None:
        self._first_use.heed(error)
        if isinstance(error, RateLimited):
            self._throttle.slow_down(started)
        delay = getattr(error, "retry_after", None) or 0.0
        if delay:
            self._throttle.pause(min(delay, self._retry.retry_after_max))

    def _tell_request(
        self, call: Call, outcome: Answer | BaseException | None, started: float
    ) -> None:
        if not self._emit and not _log.isEnabledFor(logging.DEBUG):
            return
        spent = anyio.current_time() - started
        status = getattr(outcome, "status_code", None)
        request_id = getattr(outcome, "request_id", None)
        error = _reason(outcome) if isinstance(outcome, BaseException) else None
        _log.debug(
            "%s %s -> %s in %.3f s, request %s%s",
            call.method,
            call.path,
            status or "no answer",
            spent,
            request_id,
            f": {error}" if error else "",
        )
        self._emit(
            RequestEvent(
                method=call.method,
                path=call.path,
                status_code=status,
                error=error,
                request_id=request_id,
                duration=spent,
            )
        )

    def _tell_retry(self, call: Call, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        delay = state.next_action.sleep if state.next_action else 0.0
        _log.debug("%s %s again in %.2f s: %s", call.method, call.path, delay, error)
        self._emit(
            RetryEvent(
                method=call.method,
                path=call.path,
                attempt=state.attempt_number,
                delay=delay,
                error=str(error),
            )
        )


def _for_seconds(span: float) -> MayLeave:
    """Whether it is still about now, by the clock of the event loop and by that of the machine.

    The first stands still while a machine sleeps, the second may be set.
    """
    began, wall = anyio.current_time(), time.time()
    return lambda: anyio.current_time() - began <= span and time.time() - wall <= span


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
