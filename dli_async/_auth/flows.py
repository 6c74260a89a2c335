"""How a login rides on httpx: alone as a plain `httpx.Auth`, or bound to a client.

Alone, requests that the login needs for itself go out through the `httpx.AsyncClient` that uses
it. Bound by `bind(scope, send)` they go through `send`, `project_id()` answers, and every request
carries `X-Project-Id`. Binding makes a copy, so that one login may serve several clients.

The logins themselves are in `logins.py`.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Generic, Self, TypeVar

import httpx

from .._values.errors import (
    ConfigurationError,
    InvalidResponse,
    RateLimited,
    RequestError,
    RequestNotSent,
    ServerError,
)
from . import iam
from .credentials import Keys
from .first_use import FirstUse
from .fresh import Fresh
from .scope import Scope
from .steps import LoginAnswer, LoginCall, Steps

__all__ = ["Clock", "ForeignAuth", "RenewingAuth", "Request", "ScopedAuth", "Send"]

T = TypeVar("T")
Clock = Callable[[], float]
Auth = httpx.Auth
Request = httpx.Request
Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
"""Sends one request as it is (its `timeout` extension included) and without any `auth`."""

# No answer to a login is larger; what is cut off is no JSON, and says nothing.
_LARGEST = 1024 * 1024
_MAY_BE_REFUSAL = frozenset({400, 401, 403})


class ScopedAuth(httpx.Auth):
    """The base of the logins: what a client may ask of each of them.

    Attributes:
        now: the wall clock, epoch seconds; `time.time` by default.
        first_use: lets the first request go alone, where a wrong login would be locked.
    """

    requires_request_body = True
    _may_be_locked = True

    def __init__(self, now: Clock = time.time) -> None:
        self.now = now
        self._scope = Scope()
        self._send: Send | None = None
        self._reset()

    def bind(self, scope: Scope, send: Send) -> Self:
        """Return a copy that works within `scope` and sends its own requests through `send`."""
        bound = copy.copy(self)
        bound._scope, bound._send = scope, send
        bound._reset()
        return bound

    async def prepare(self) -> None:
        """Get or renew the credentials if it is time, so that the next request need not wait.

        Raises:
            AuthenticationError: they were refused.
            ConfigurationError: there are none.
            RequestNotSent, RateLimited, ServerError, InvalidResponse: asking again may help.
        """

    async def project_id(self) -> str:
        """Return the project: given, from the environment, the login's own, or asked at IAM.

        It is asked for once, whatever the number of tasks, and remembered.

        Raises:
            ConfigurationError: IAM knows no project of the region's name, or several; or the
                region is not known either. Further errors are those of `prepare`.
        """
        if not self._known_project():
            await self.prepare()
        if not self._known_project():
            await self._drive(self._project.renew(self._look_up_project))
        return self._known_project() or ""

    async def keys(self) -> Keys:
        """Return keys for OBS, which takes no token: those of IAM for it. Errors: see `prepare`."""
        await self.prepare()
        await self._drive(self._temporary.renew(self._ask_for_keys))
        assert self._temporary.value is not None
        return self._temporary.value

    def discard_keys(self, keys: Keys) -> None:
        """Forget temporary keys that were refused, so that `keys` gets new ones."""
        self._temporary.discard(keys)

    def describe(self) -> str:
        """Return in words which credentials are used, without secrets."""
        return repr(self)

    def redact(self, text: str) -> str:
        """Return `text` with the secrets of this login replaced by `***`.

        Meant for texts of a server: the gateway prints the signed headers, a security token
        among them, when a signature does not fit.
        """
        temporary = self._temporary.value
        for secret in (*self._secrets(), *(temporary.secrets() if temporary else ())):
            for spelling in (secret, json.dumps(secret)[1:-1]):
                text = text.replace(spelling, "***") if len(secret) > 3 else text
        return text

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the credentials on the request, anew each time."""
        self._apply(request)
        yield request

    def _reset(self) -> None:
        self._project: Fresh[str] = Fresh("project id", lambda: self.now())
        self._temporary: Fresh[Keys] = Fresh("temporary keys", lambda: self.now())
        self.first_use = FirstUse(needed=self._may_be_locked)

    def _secrets(self) -> Sequence[str]:
        return ()

    def _own_project(self) -> str | None:
        return None

    def _iam_endpoint(self) -> str:
        return self._scope.iam()

    def _known_project(self) -> str | None:
        return self._scope.given_project_id() or self._own_project() or self._project.value

    def _look_up_project(self) -> Steps[tuple[str, float | None]]:
        if not self._scope.region:
            raise ConfigurationError(
                "the project is not known: give project_id (or DLI_PROJECT_ID), or a region to "
                "look it up by"
            )
        return iam.find_project(self._iam_endpoint(), self._scope.region)

    def _ask_for_keys(self) -> Steps[tuple[Keys, float | None]]:
        return iam.fetch_keys(self._iam_endpoint(), self.now())

    def _apply(self, request: httpx.Request) -> None:
        project = self._known_project()
        if self._send and project and "X-Project-Id" not in request.headers:
            request.headers["X-Project-Id"] = project

    async def _drive(self, calls: AsyncGenerator[LoginCall, LoginAnswer]) -> None:
        async with aclosing(calls):
            call = await anext(calls, None)
            while call:
                try:
                    answer = await self._exchange(call)
                except Exception as error:
                    call = await _call_or_none(calls.athrow(error))
                else:
                    call = await _call_or_none(calls.asend(answer))

    async def _exchange(self, call: LoginCall) -> LoginAnswer:
        if self._send is None:
            raise ConfigurationError(f"{call.purpose} is known to a client only: bind the login")
        try:
            return await self._read(await self._send(self._build(call)))
        except RequestNotSent:
            raise
        except (httpx.TransportError, RequestError, OSError) as error:
            # Whatever became of this request, the one that waits for it has not left.
            raise RequestNotSent(f"no answer about {call.purpose}: {error!r}") from error

    async def _read(self, response: httpx.Response) -> LoginAnswer:
        """What came back; errors may quote it, and it may quote what was sent."""
        answer = await _answer(response)
        if answer.status < 400:
            return answer
        return replace(answer, body=self.redact(answer.text).encode())

    def _build(self, call: LoginCall) -> httpx.Request:
        request = httpx.Request(
            call.method,
            call.url,
            headers=dict(call.headers),
            content=call.body or None,
            extensions={"timeout": httpx.Timeout(call.timeout).as_dict()},
        )
        if call.signed:
            self._apply(request)
        return request


class RenewingAuth(ScopedAuth, Generic[T]):
    """The base of the logins whose credentials have an end. For `httpx.AsyncClient` only."""

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse: renewing waits, which a blocking client cannot do for others.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(f"{type(self).__name__} needs an httpx.AsyncClient")

    async def prepare(self) -> None:
        """Get or renew the credentials if it is time; see `ScopedAuth.prepare`."""
        if self._held.due():
            await self._drive(self._held.renew(partial(self._steps, self._scope)))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request; if its credentials are refused, once more with new ones.

        A refusal comes from the gateway, or from DLI before it does anything: even a POST is safe
        to send again. If the new ones are refused too, that answer is the result.
        """
        await request.aread()
        refused: T | None = None
        while True:
            if self._send:
                await self._prepare_for_request()
            else:
                steps = partial(self._steps, _scope_of(request))
                async with aclosing(self._held.renew(steps)) as calls:
                    call = await anext(calls, None)
                    while call:
                        answer = await self._read((yield self._build(call)))
                        call = await _call_or_none(calls.asend(answer))
            held = self._held.value
            if self._send and refused is not None and self._unchanged(refused, held):
                return
            self._apply(request)
            response = yield request
            if refused is not None or not await self._is_refusal(response):
                return
            refused = held
            self._held.discard(held)

    async def _prepare_for_request(self) -> None:
        try:
            await self.prepare()
        except (RateLimited, ServerError, InvalidResponse) as error:
            # These would say of a POST that it may have been carried out.
            raise RequestNotSent(f"not sent, there are no credentials: {error}") from error

    async def _is_refusal(self, response: httpx.Response) -> bool:
        if response.status_code not in _MAY_BE_REFUSAL:
            return False
        return self._refuses(await _answer(response))

    def _reset(self) -> None:
        super()._reset()
        self._held: Fresh[T] = Fresh(type(self).__name__, lambda: self.now())

    def _steps(self, scope: Scope) -> Steps[tuple[T, float | None]]:
        raise NotImplementedError

    def _refuses(self, answer: LoginAnswer) -> bool:
        return iam.token_refused(answer)

    def _unchanged(self, refused: T, held: T | None) -> bool:
        return False


class ForeignAuth(ScopedAuth):
    """Lets any `httpx.Auth` stand where a login of ours is expected.

    Its project is given, or in the environment; it is never looked up.
    """

    def __init__(self, auth: httpx.Auth) -> None:
        self._auth = auth
        super().__init__()

    def __repr__(self) -> str:
        return f"{type(self._auth).__name__}(...)"

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Run the flow of the auth within."""
        self._apply(request)
        return self._auth.sync_auth_flow(request)

    def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Run the flow of the auth within."""
        self._apply(request)
        return self._auth.async_auth_flow(request)

    def _look_up_project(self) -> Steps[tuple[str, float | None]]:
        raise ConfigurationError("give project_id (or DLI_PROJECT_ID) with an auth of your own")

    async def keys(self) -> Keys:
        """Refuse: an auth of the user's own signs for DLI alone."""
        raise ConfigurationError("files on OBS need AkSk, IamToken, StaticToken or a chain as auth")


def _scope_of(request: httpx.Request) -> Scope:
    project = request.headers.get("X-Project-Id")
    return Scope.of_request(str(request.url), request.url.path, project)


async def _answer(response: httpx.Response) -> LoginAnswer:
    body = await response.aread()
    return LoginAnswer(response.status_code, response.headers, body[:_LARGEST])


async def _call_or_none(step: Awaitable[LoginCall]) -> LoginCall | None:
    try:
        return await step
    except StopAsyncIteration:
        return None
