"""One client for an application."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request

from dli_async import ClientClosed, ConfigurationError, DliClient, DliError
from dli_async.emulator import Emulator
from dli_async.fastapi import (
    ClientDep,
    ExportPolicy,
    dli_error_handler,
    dli_lifespan,
    exports_router,
)

from .conftest import TestClient


def app_with(lifespan: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    app.add_exception_handler(DliError, dli_error_handler)

    @app.get("/tables")
    async def tables(client: ClientDep) -> list[str]:
        return [row.table_name async for row in client.tables("db")]

    @app.get("/same")
    async def same(client: ClientDep, request: Request) -> bool:
        return client is request.app.state.dli_client is request.state.dli_client

    return app


def test_routes_get_the_one_client_of_the_application(emulator: Emulator) -> None:
    """Every request gets the same open client; it is closed with the application, and an
    application that is started again has a new one."""
    made: list[DliClient] = []

    def client() -> DliClient:
        made.append(emulator.client())
        return made[-1]

    app = app_with(dli_lifespan(client))
    for _ in range(2):
        with TestClient(app) as http:
            assert "t1" in http.get("/tables").json()
            assert http.get("/same").json() is True
        with pytest.raises(ClientClosed):
            _ = made[-1].api
    assert len(made) == 2


def test_a_lifespan_that_is_there_already_runs_inside(emulator: Emulator) -> None:
    """The user's own lifespan finds the open client, and its state reaches the requests."""
    seen: list[Any] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        seen.append(app.state.dli_client.api)
        yield {"answer": 42}
        seen.append(app.state.dli_client.api)

    app = app_with(dli_lifespan(emulator.client, lifespan=own))

    @app.get("/answer")
    async def answer(request: Request, client: ClientDep) -> int:
        return int(request.state.answer)

    with TestClient(app) as http:
        assert http.get("/answer").json() == 42
    assert len(seen) == 2


def test_options_make_a_client_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a client of the user's own, the environment and the options set one up."""
    monkeypatch.setenv("DLI_ENDPOINT", "https://dli.example")
    monkeypatch.setenv("DLI_PROJECT_ID", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("DLI_TOKEN", "a-token")
    app = FastAPI(lifespan=dli_lifespan(max_connections=2))

    @app.get("/endpoint")
    async def endpoint(client: ClientDep) -> str:
        return client.endpoint

    with TestClient(app) as http:
        assert http.get("/endpoint").json() == "https://dli.example"


def test_a_mounted_application_uses_the_client_of_the_outer_one(emulator: Emulator) -> None:
    """`ClientDep` works below a mount, whose own lifespan never runs."""
    inner = app_with(None)
    app = FastAPI(lifespan=dli_lifespan(emulator.client))
    app.mount("/inner", inner)
    with TestClient(app) as http:
        assert "t1" in http.get("/inner/tables").json()


def test_an_application_without_the_lifespan_is_told_so() -> None:
    """A missing lifespan is a 500 that tells callers nothing, and an error at start for a
    router."""
    assert TestClient(app_with(None)).get("/tables").status_code == 500
    app = FastAPI()
    app.include_router(exports_router(ExportPolicy.allow_all()))
    with pytest.raises(ConfigurationError, match="dli_lifespan"), TestClient(app):
        pass


def test_wrong_arguments_are_refused(emulator: Emulator) -> None:
    """A client in place of a function that makes one, options beside it, and a bare generator."""

    async def bare(app: FastAPI) -> AsyncIterator[None]:
        yield

    with pytest.raises(ConfigurationError, match="lambda"):
        dli_lifespan(emulator.client())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="region"):
        dli_lifespan(emulator.client, region="cn-north-4")
    with pytest.raises(ConfigurationError, match="asynccontextmanager"):
        dli_lifespan(emulator.client, lifespan=bare)  # type: ignore[arg-type]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_core_does_not_import_fastapi() -> None:
    """Whoever does not use it does not pay for it."""
    code = "import dli_async, sys; print({'fastapi', 'starlette'} & set(sys.modules))"
    assert run_python(code) == "set()"


def test_a_missing_extra_is_named() -> None:
    """Without the packages of the extra, the error says what to install."""
    code = """
import sys
sys.modules["sse_starlette"] = None
try:
    import dli_async.fastapi
except ImportError as error:
    print(error)
"""
    said = run_python(code)
    assert "needs sse_starlette" in said
    assert "pip install 'dli-async[fastapi]'" in said
