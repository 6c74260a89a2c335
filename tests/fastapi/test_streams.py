"""Live events over HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI

from dli_async.emulator import Emulator
from dli_async.fastapi import ExportPolicy, dli_lifespan, exports_router
from dli_async.fastapi._service import ExportService

from .backend import current_user
from .conftest import ENDLESS, fast_client, spec
from .serving import run_app

pytestmark = pytest.mark.asyncio

ALICE = {"Authorization": "Bearer alice"}


App = Callable[..., AbstractContextManager[tuple[str, uvicorn.Server, ExportService]]]


@pytest.fixture
def serve_http(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """Serves an application over real HTTP, since streams need a connection."""
    made: list[ExportService] = []

    class Kept(ExportService):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr("dli_async.fastapi.router.ExportService", Kept)

    @contextmanager
    def serve(**options: Any) -> Iterator[tuple[str, uvicorn.Server, ExportService]]:
        app = FastAPI(lifespan=dli_lifespan(lambda: fast_client(emulator)))
        given = {"identity": Depends(current_user), "journal": tmp_path / "exports.db"}
        app.include_router(exports_router(ExportPolicy.allow_all(), **(given | options)))
        with run_app(app) as (url, server):
            yield url, server, made[-1]

    return serve


def http(url: str, **options: Any) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    given: dict[str, Any] = {"trust_env": False, "headers": ALICE, "limits": limits, "timeout": 60}
    return httpx.AsyncClient(base_url=url, **(given | options))


async def told(response: httpx.Response) -> AsyncGenerator[tuple[str, str | None, Any]]:
    """Kind, number and data of the events of a stream, and comments as the kind `:`."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield ":", None, line
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield fields["event"], fields.get("id"), json.loads(fields["data"])
            fields = {}


async def test_the_stream_of_an_export_ends_with_its_end(serve_http: App) -> None:
    """A listener hears how the export gets on until its end, may go on where it stopped, and is
    told not to come back when there is nothing more."""
    with serve_http() as (url, _, _):
        async with http(url) as client:
            place = (await client.post("/exports", json=spec())).headers["location"]
            async with client.stream("GET", f"{place}/events") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                heard = [event async for event in told(response) if event[1]]
            kinds = [kind for kind, _, _ in heard]
            assert kinds == ["status"] * (len(kinds) - 1) + ["end"]
            assert [data["state"] for _, _, data in heard][:3] == [
                "planned",
                "submitting",
                "submitted",
            ]
            assert heard[-1][2]["state"] == "finished"
            assert heard[-1][2]["row_count"] > 0
            again = await client.get(f"{place}/events", headers={"Last-Event-ID": heard[1][1]})
            assert [event async for event in told(again) if event[1]] == heard[2:]
            after_all = {"last_event_id": heard[-1][1]}
            assert (await client.get(f"{place}/events", params=after_all)).status_code == 204


async def test_a_silent_stream_has_heartbeats(serve_http: App) -> None:
    """Comments keep the connection open while nothing happens."""
    with serve_http(heartbeat=0.05) as (url, _, _):
        async with http(url) as client, client.stream("GET", "/exports/events") as response:
            async with aclosing(told(response)) as heard:
                with anyio.fail_after(60):
                    comments = [(await anext(heard))[0] for _ in range(4)]
            assert comments == [":"] * 4


@ENDLESS
async def test_progress_is_told_while_somebody_listens(
    serve_http: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running jobs are asked for their progress, which comes without a number; lists know it
    too."""
    with serve_http() as (url, _, service):
        monkeypatch.setattr(service.progress, "_interval", 0.02)
        async with http(url) as client, client.stream("GET", "/exports/events") as response:
            place = (await client.post("/exports", json=spec())).headers["location"]
            async with aclosing(told(response)) as heard:
                with anyio.fail_after(60):
                    while (said := await anext(heard))[0] != "progress":
                        pass
            assert said[1] is None
            assert 0 <= said[2]["progress"] < 1
            assert (await client.get(place)).json()["progress"] == said[2]["progress"]


async def test_each_of_many_listeners_hears_every_end_once_and_costs_nothing_afterwards(
    serve_http: App,
) -> None:
    """50 listeners, a few of which reconnect on the way, hear 20 ends once each; when they have
    gone, no connection, listener or task is left."""
    exports, listeners = 20, 50
    with serve_http() as (url, server, service):
        ends: list[Counter[int]] = [Counter() for _ in range(listeners)]

        async def listen(client: httpx.AsyncClient, number: int) -> None:
            last, breaks = 0, number % 3
            while len(ends[number]) < exports:
                headers = {"Last-Event-ID": str(last)}
                async with client.stream("GET", "/exports/events", headers=headers) as response:
                    async for kind, seq, data in told(response):
                        if kind == ":":
                            continue
                        last = int(seq or last)
                        ends[number][data["export_id"]] += kind == "end"
                        ends[number] += Counter()  # drops zeros
                        if len(ends[number]) == exports:
                            break
                        if breaks and last > 15 * breaks:
                            breaks -= 1
                            break

        async with http(url) as client:
            with anyio.fail_after(120):
                async with anyio.create_task_group() as tasks:
                    for number in range(listeners):
                        tasks.start_soon(listen, client, number)
                    bodies = [spec(number) for number in range(exports)]
                    await client.post("/exports/bulk", json=bodies)
        assert all(set(seen.values()) == {1} for seen in ends)
        with anyio.fail_after(60):
            state = server.server_state
            while service.feed.listeners or state.connections or state.tasks:  # noqa: ASYNC110
                await anyio.sleep(0.01)
