"""A scripted service for tests of the client alone, without the emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx

from dli_async import DliClient, StaticToken, TableExport

PROJECT = "0123456789abcdef0123456789abcdef"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

Reply = httpx.Response | Exception | Callable[[httpx.Request], Any]


def spec(**changes: Any) -> TableExport:
    """An export; `changes` replace its fields."""
    fields = {"database_name": "db2", "table_name": "t2", "data_path": "obs://home/data1/test"}
    return TableExport(**(fields | changes))


def accepted(job_id: str = "job-1") -> httpx.Response:
    """The service's yes to a submit."""
    return httpx.Response(200, json={"is_success": True, "message": "", "job_id": job_id})


def report(status: str, job_id: str = "job-1", **fields: Any) -> httpx.Response:
    """A status answer."""
    body = {"is_success": True, "message": "", "job_id": job_id, "status": status} | fields
    return httpx.Response(200, json=body)


def refused(status_code: int, code: str, message: str = "no", **headers: str) -> httpx.Response:
    """An error of the service or the gateway."""
    body = {"error_code": code, "error_msg": message, "request_id": "req-1"}
    return httpx.Response(status_code, json=body, headers=headers)


def row(job_id: str, path: str | None = None, *, age: float = 0.0, **fields: Any) -> dict[str, Any]:
    """A row of the job list, `age` seconds after `EPOCH`."""
    start = EPOCH + timedelta(seconds=age)
    return {
        "job_id": job_id,
        "job_type": "EXPORT",
        "status": "RUNNING",
        "start_time": int(start.timestamp() * 1000),
        "database_name": "db2",
        "table_name": "t2",
    } | fields


class Service:
    """Answers each route from its own script; the last reply repeats.

    Attributes:
        calls: (method, path, query, body) of every request, in order.
        times: when each came, in seconds on the loop's clock.
    """

    def __init__(self, **scripts: Reply | list[Reply]) -> None:
        self.scripts: dict[str, list[Reply]] = {}
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.times: list[float] = []
        self.set(**scripts)

    def set(self, **scripts: Reply | list[Reply]) -> None:
        """Replaces the scripts of the named routes."""
        for route, replies in scripts.items():
            self.scripts[route] = list(replies) if isinstance(replies, list) else [replies]

    def count(self, route: str) -> int:
        """How many requests a route got."""
        return sum(route == route_of(method, path) for method, path, _, _ in self.calls)

    def client(self, **options: Any) -> DliClient:
        """A client of this service."""
        given: dict[str, Any] = {
            "endpoint": "https://dli.test",
            "project_id": PROJECT,
            "auth": StaticToken("a-secret-token"),
            "transport": httpx.MockTransport(self.handle),
        }
        return DliClient(**(given | options))

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """The handler of an `httpx.MockTransport`."""
        body = json.loads(request.content) if request.content else None
        path = request.url.path
        self.calls.append((request.method, path, dict(request.url.params), body))
        self.times.append(anyio.current_time())
        script = self.scripts[route_of(request.method, path)]
        reply = script[0] if len(script) == 1 else script.pop(0)
        if callable(reply):
            reply = reply(request)
            if hasattr(reply, "__await__"):
                reply = await reply
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)


def route_of(method: str, path: str) -> str:
    """The script's name of a route."""
    last = path.rsplit("/", 1)[-1]
    known = {
        "export-table": "submit",
        "submit-job": "sql",
        "export-result": "result",
        "status": "status",
        "detail": "detail",
        "jobs": "jobs",
    }
    if method == "DELETE":
        return "cancel"
    return known.get(last, last)


def dated(moment: datetime, **body: Any) -> httpx.Response:
    """A 200 answer with the server's clock."""
    headers = {"Date": format_datetime(moment, usegmt=True)}
    return httpx.Response(200, json={"is_success": True} | body, headers=headers)


def counter(prefix: str = "job-") -> Iterator[str]:
    """Job ids."""
    number = 0
    while True:
        number += 1
        yield f"{prefix}{number}"
