"""The command line in this process or in one of its own, and emulators behind real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner, Result

from dli_async.cli.app import app
from dli_async.emulator import PROJECT_ID, TOKEN, Emulator, NullEngine
from dli_async.emulator.server import running

COMMAND = [sys.executable, "-c", "from dli_async.cli import main; main()"]


@dataclass(frozen=True)
class Server:
    """An emulator that is being served."""

    url: str

    def environ(self) -> dict[str, str]:
        return {"DLI_ENDPOINT": self.url, "DLI_PROJECT_ID": PROJECT_ID, "DLI_TOKEN": TOKEN}

    def ledger(self) -> Any:
        return httpx.get(f"{self.url}/_emulator/ledger", trust_env=False).json()

    def fail(self, *faults: Mapping[str, Any]) -> None:
        url = f"{self.url}/_emulator/faults"
        httpx.post(url, json=list(faults), trust_env=False).raise_for_status()

    def reset(self) -> None:
        url = f"{self.url}/_emulator/reset?files=true"
        headers = {"Content-Type": "application/json"}
        httpx.post(url, headers=headers, trust_env=False).raise_for_status()


@asynccontextmanager
async def _serve(emulator: Emulator) -> AsyncIterator[str]:
    async with emulator, running(emulator) as url:
        yield url


@contextmanager
def serving(emulator: Emulator) -> Iterator[Server]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_serve(emulator)) as u,
    ):
        yield Server(u)


@pytest.fixture(scope="session")
def _quick() -> Iterator[Server]:
    with serving(Emulator(engine=NullEngine(), launch=0, run=0)) as server:
        yield server


@pytest.fixture(scope="session")
def _endless() -> Iterator[Server]:
    with serving(Emulator(engine=NullEngine(), launch=0, run=100_000)) as server:
        yield server


@pytest.fixture
def quick(_quick: Server) -> Server:
    """Jobs end at once."""
    _quick.reset()
    return _quick


@pytest.fixture
def endless(_endless: Server) -> Server:
    """Jobs run on and on."""
    _endless.reset()
    return _endless


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("DLI_", "HUAWEICLOUD_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


class Cli:
    """`dli-async`, led to one server or to none."""

    def __init__(self, server: Server | None = None) -> None:
        self.environ = server.environ() if server else {}

    def __call__(self, *args: str, env: Mapping[str, str] | None = None) -> Result:
        """Runs it in this process."""
        return CliRunner().invoke(
            app, list(args), env={**self.environ, **(env or {})}, prog_name="dli-async"
        )

    def json(self, *args: str, code: int = 0) -> Any:
        """Runs it with `--json`; the one document on stdout."""
        result = self(*args, "--json")
        assert (result.exit_code, "Traceback" in result.output) == (code, False), result.output
        return json.loads(result.stdout)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Starts it in a process of its own."""
        return subprocess.Popen(
            [*COMMAND, *args],
            env={**os.environ, **self.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def error_line(result: Result) -> str:
    """The only line of stderr, which must be an error."""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("dli-async: error: ")
    return lines[0]
