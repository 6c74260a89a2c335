"""Applications with a router, on an emulator: in this process or under uvicorn."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer releases would rather have another HTTP client
    from fastapi.testclient import TestClient

from fastapi import Depends, FastAPI

from dli_async import DliClient, PollPolicy, RetryPolicy, SubmitPolicy
from dli_async.emulator import Emulator, NullEngine
from dli_async.fastapi import ExportPolicy, dli_lifespan, exports_router

from .backend import current_user

POLLING = PollPolicy(initial_delay=0.05, wait_initial=0.05, wait_max=0.2, wait_jitter=0)
TABLES = [f"t{n}" for n in range(200)]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("DLI_", "HUAWEICLOUD_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dli_async.fastapi._runner._DELAYS", (0.05,))


def fast_client(emulator: Emulator, **options: Any) -> DliClient:
    """A client that asks for each job often, so that tests are quick."""

    async def look(job_id: str) -> Any:
        return await client.api.status(job_id, repeat=False)

    settings = {
        "polling": POLLING,
        "submit": SubmitPolicy(grace=0.2),
        "retry": RetryPolicy(attempts=2, wait_initial=0.01),
        "status_source": look,
    }
    client = emulator.client(**(settings | options))
    return client


def spec(number: int = 1, **changes: Any) -> dict[str, Any]:
    """The body of a request."""
    fields = {
        "database_name": "db",
        "table_name": f"t{number}",
        "data_path": f"obs://bucket/team/t{number}",
    }
    return fields | changes


class Web:
    """Callers of an application."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def by(self, name: str) -> TestClient:
        """Requests of a caller."""
        headers = {"Authorization": f"Bearer {name}", "X-User": name}
        client = TestClient(self.http.app, headers=headers)
        client.portal = self.http.portal
        return client

    def until(
        self, path: str, arrived: Callable[[Mapping[str, Any]], bool], name: str = "alice"
    ) -> Any:
        """Asks again and again until the answer is as wanted."""
        caller = self.by(name)
        deadline = time.monotonic() + 120
        while not arrived(body := caller.get(path).json()):
            assert time.monotonic() < deadline, body
            time.sleep(0.02)
        return body


def is_over(body: Mapping[str, Any]) -> bool:
    """Whether an export has ended."""
    return body["state"] in ("finished", "failed", "cancelled")


Serve = Callable[..., AbstractContextManager[Web]]


ENDLESS = pytest.mark.parametrize("emulator", [1_000_000.0], indirect=True, ids=["endless"])
"""Jobs that run on and on."""


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Jobs that take a moment, unless a test is marked `ENDLESS`."""
    run = getattr(request, "param", 0.1)
    made = Emulator(engine=NullEngine({"db": TABLES}), launch=0.02, run=run)
    yield made
    made.close()


@pytest.fixture
def serve(emulator: Emulator, tmp_path: Path) -> Serve:
    """Runs an application with a router while a block lasts."""

    @contextmanager
    def run(
        policy: ExportPolicy | None = None,
        *,
        client: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Iterator[Web]:
        app = FastAPI(lifespan=dli_lifespan(lambda: fast_client(emulator, **(client or {}))))
        settings: dict[str, Any] = {
            "identity": Depends(current_user),
            "journal": tmp_path / "exports.db",
            "lease": 1.0,
        }
        allowed = policy or ExportPolicy.allow_all()
        app.include_router(exports_router(allowed, **(settings | options)))
        with TestClient(app) as http:
            yield Web(http)

    return run
