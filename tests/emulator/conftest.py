"""An emulator on a clock that only moves when a test moves it, and people who call it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from dli_async.emulator import PROJECT_ID, TOKEN, Emulator, NullEngine

MIDDAY = 1_767_268_800.0
"""2026-01-01, 12:00 UTC."""

JSON = {"Content-Type": "application/json"}
"""What calls of `/_emulator` that change something need."""

TABLES = {"sales": ["orders", "items"], "crm": ["people"]}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops, in real time: what waits here waits for a clock of the test's own."""
    return str(request.param)


@dataclass
class Clock:
    """Seconds since the epoch, as the test says."""

    now: float = MIDDAY

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def make(clock: Clock) -> Iterator[Callable[..., Emulator]]:
    """Makes emulators that write nothing and whose jobs take exactly 1 s and then 10 s or so."""
    made: list[Emulator] = []

    def build(**options: Any) -> Emulator:
        defaults = {"engine": NullEngine(TABLES), "clock": clock, "inline": True}
        emulator = Emulator(**{**defaults, "launch": 1.0, "run": 10.0, **options})
        made.append(emulator)
        return emulator

    yield build
    for emulator in made:
        emulator.close()


@pytest.fixture
def emulator(make: Callable[..., Emulator]) -> Emulator:
    """One emulator on the test's clock."""
    return make()


class Caller:
    """Somebody who knows the token and the paths."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.http = client

    def path(self, rest: str, version: str = "v1.0") -> str:
        return f"/{version}/{PROJECT_ID}/{rest}"

    async def get(self, rest: str, **arguments: Any) -> httpx.Response:
        params = {name.replace("_", "-"): value for name, value in arguments.items()}
        return await self.http.get(self.path(rest), params=params)

    async def post(self, **fields: Any) -> httpx.Response:
        return await self.http.post(self.path("jobs/export-table"), json=export(**fields))

    async def submit(self, **fields: Any) -> str:
        answer = await self.post(**fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    async def state(self, job_id: str) -> str:
        return str((await self.get(f"jobs/{job_id}/status")).json()["status"])

    async def progress(self, job_id: str) -> dict[str, Any]:
        answer = await self.http.get(self.path(f"jobs/{job_id}/progress", "v1"))
        return dict(answer.json())

    async def cancel(self, job_id: str) -> httpx.Response:
        return await self.http.delete(self.path(f"jobs/{job_id}"))

    async def listed(self, **arguments: Any) -> list[str]:
        answer = await self.http.get(self.path("jobs"), params=arguments)
        assert answer.status_code == 200, answer.text
        return [row["job_id"] for row in answer.json()["jobs"]]


def export(**fields: Any) -> dict[str, Any]:
    """The body of an export; a field of None is left out."""
    body = {
        "data_path": "obs://bucket/folder",
        "data_type": "csv",
        "database_name": "sales",
        "table_name": "orders",
        "compress": "gzip",
        **fields,
    }
    return {name: value for name, value in body.items() if value is not None}


def connect(emulator: Emulator, **options: Any) -> httpx.AsyncClient:
    """An httpx client of an emulator in process."""
    headers = {"X-Auth-Token": TOKEN, **options.pop("headers", {})}
    return httpx.AsyncClient(
        transport=emulator.transport(), base_url=emulator.endpoint, headers=headers, **options
    )


@pytest.fixture
async def caller(emulator: Emulator) -> AsyncIterator[Caller]:
    """Somebody who calls the emulator of this test."""
    async with connect(emulator) as client:
        yield Caller(client)


@pytest.fixture
def vectors() -> Path:
    """Where signatures by the vendor's own signer are kept."""
    return Path(__file__).parent.parent / "vectors" / "aksk.json"
