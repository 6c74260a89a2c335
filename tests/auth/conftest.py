"""A clock to turn by hand, and a small cloud behind `httpx.MockTransport`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from anyio.lowlevel import checkpoint

IAM = "https://iam.cn-north-4.myhuaweicloud.com"
DLI = "https://dli.cn-north-4.myhuaweicloud.com"
PROJECT = "0123456789abcdef0123456789abcdef"
JOBS = f"{DLI}/v1.0/{PROJECT}/jobs"
EXPIRED = {"error_code": "APIGW.0307", "error_msg": "The token must be updated"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both."""
    return str(request.param)


class Clock:
    """A wall clock that moves only when told."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


def stamp(time: float) -> str:
    """Write a time as IAM does."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Cloud:
    """IAM and DLI: issues tokens of a given life, and refuses those that have expired.

    `before` runs ahead of each answer and may give another one, wait, or raise.
    """

    clock: Clock
    life: float = 86400.0
    before: Callable[[httpx.Request], Awaitable[httpx.Response | None]] | None = None
    projects: tuple[str, ...] = (PROJECT,)
    in_token: str | None = PROJECT
    requests: list[httpx.Request] = field(default_factory=list)
    issued: dict[str, float] = field(default_factory=dict)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await checkpoint()
        given = await self.before(request) if self.before else None
        if given is not None:
            return given
        if request.url.path == "/v3/auth/tokens":
            return self.token()
        if request.url.path == "/v3/projects":
            return httpx.Response(200, json={"projects": [{"id": one} for one in self.projects]})
        return self.dli(request)

    def token(self) -> httpx.Response:
        value = f"token-{self.tokens}-" + "x" * 9000
        self.issued[value] = self.clock.time + self.life
        token: dict[str, Any] = {
            "issued_at": stamp(self.clock.time),
            "expires_at": stamp(self.clock.time + self.life),
        }
        if self.in_token:
            token["project"] = {"id": self.in_token, "name": "cn-north-4"}
        return httpx.Response(201, headers={"X-Subject-Token": value}, json={"token": token})

    def dli(self, request: httpx.Request) -> httpx.Response:
        token = request.headers.get("X-Auth-Token")
        if token is not None and self.issued.get(token, 0.0) <= self.clock.time:
            return httpx.Response(401, json=EXPIRED)
        return httpx.Response(200, json={"is_success": True})

    def client(self, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self), auth=auth)

    def count(self, path: str) -> int:
        return sum(request.url.path == path for request in self.requests)

    @property
    def tokens(self) -> int:
        return self.count("/v3/auth/tokens")

    def scopes(self) -> list[Any]:
        """Return what each token request asked for."""
        bodies = [r.content for r in self.requests if r.url.path == "/v3/auth/tokens"]
        return [json.loads(body)["auth"].get("scope") for body in bodies]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud(clock: Clock) -> Cloud:
    return Cloud(clock)
