"""A folder that stands for OBS, an emulator that serves it, and clients of that emulator."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from dli_async import AkSk, DliClient, ExportResult, RetryPolicy, StatusReport, TableExport
from dli_async.emulator import ACCESS_KEY, SECRET_KEY, Emulator, NullEngine

DATA_PATH = "obs://lake/exp/run1"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".deflate": zlib.compress,
}


def virtual(param: Any) -> Any:
    """A clock of its own for each test in virtual time."""
    if param == "trio-virtual":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
    return param


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both event loops, in real time, as files are read in threads, unless a test says other."""
    return virtual(request.param)


@dataclass
class Lake:
    """The emulator and the folder of one export in it."""

    emulator: Emulator
    folder: Path

    def write(self, name: str, content: bytes) -> Path:
        """Puts an object into the folder, or into one beside it (`../run10/x`)."""
        path = Path(os.path.normpath(self.folder / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def client(self, **options: Any) -> DliClient:
        """A client with permanent keys that does not wait long between tries."""
        retry = RetryPolicy(attempts=3, wait_initial=0.001)
        given = {"auth": AkSk(ACCESS_KEY, SECRET_KEY), "retry": retry}
        return self.emulator.client(**(given | options))

    def gets(self) -> int:
        """How many objects were asked for."""
        return self.emulator.ledger.requests["obs-get"]


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    root = tmp_path_factory.mktemp("obs")
    emulator = Emulator(obs_dir=root, engine=NullEngine({"db": ["t"]}))
    folder = root / "lake" / "exp" / "run1"
    folder.mkdir(parents=True)
    yield Lake(emulator, folder)
    emulator.close()


@pytest.fixture
async def client(lake: Lake) -> AsyncIterator[DliClient]:
    async with lake.client() as client:
        yield client


def result(rows: int | None, data_path: str = DATA_PATH, **fields: Any) -> ExportResult:
    """What a finished export of so many rows tells."""
    spec = TableExport(database_name="db", table_name="t", data_path=data_path, **fields)
    report = StatusReport(job_id="job-1", status="FINISHED", result_count=rows)
    return ExportResult.of(report, spec)
