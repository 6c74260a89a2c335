"""One exchange of bytes with any service: slot, clock, and what a failure means."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import anyio
import httpx

from .._values.errors import ClientClosed, RequestNotSent, ResponseLost
from .._values.events import Emitter, RequestEvent
from .owned_tasks import OwnedTasks
from .throttle import Throttle
from .transport import TRANSPORT_ERRORS, Wire, never_left, stands_cancelling

_log = logging.getLogger("dli_async.http")


class RawAnswer(NamedTuple):
    """What came back; the names of `headers` ignore case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class Raw:
    """Exchanges bytes, each within a slot of its own budget.

    Args:
        wire: carries the requests.
        throttle: the budget, which is not that of DLI.
        request_timeout: seconds from holding a slot to the last byte of the answer.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        throttle: Throttle,
        tasks: OwnedTasks,
        request_timeout: float,
        emit: Emitter,
    ) -> None:
        self._wire = wire
        self.throttle = throttle
        self._tasks = tasks
        self._timeout = request_timeout
        self._emit = emit
        self._stands_cancelling = stands_cancelling(wire.transport)

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, limit: int
    ) -> RawAnswer:
        """One try; every answer is one, whatever its status.

        Args:
            limit: bytes that the body of the answer may have.

        Raises:
            RequestNotSent, ResponseLost: there is no answer.
            ClientClosed: the client has closed.
        """
        request = httpx.Request(method, url, headers=dict(headers), content=body or None)
        await self.throttle.enter()
        if not self._stands_cancelling:
            send = partial(self._send, request, limit)
            return await self._tasks.run(send, may_stop=True, ended=self.throttle.leave)
        try:
            return await self._send(request, limit)
        finally:
            self.throttle.leave()

    async def _send(self, request: httpx.Request, limit: int) -> RawAnswer:
        started = anyio.current_time()
        status: int | None = None
        error: BaseException | None = None
        try:
            answer = await self._try(request, limit)
            status = answer.status_code
            return answer
        except BaseException as problem:
            error = problem
            raise
        finally:
            self._tell(request, status, error, anyio.current_time() - started)

    async def _try(self, request: httpx.Request, limit: int) -> RawAnswer:
        what = f"{request.method} {request.url.path}"
        if self._wire.is_closed:
            raise ClientClosed(f"{what}: its client is closed")
        try:
            with anyio.move_on_after(self._timeout):
                response = await self._wire.send_raw(request, limit)
                return RawAnswer(response.status_code, response.headers, response.content)
        except TRANSPORT_ERRORS as error:
            kind = RequestNotSent if never_left(error) else ResponseLost
            raise kind(f"{what}: {error or type(error).__name__}") from error
        raise ResponseLost(f"{what}: no answer within {self._timeout:g} s")

    def _tell(
        self, request: httpx.Request, status: int | None, error: BaseException | None, spent: float
    ) -> None:
        path, reason = request.url.path, error and (str(error) or type(error).__name__)
        _log.debug(
            "%s %s -> %s in %.3f s", request.method, path, reason or status or "no answer", spent
        )
        self._emit(
            RequestEvent(
                method=request.method,
                path=path,
                status_code=status,
                error=reason or None,
                request_id=None,
                duration=spent,
            )
        )
