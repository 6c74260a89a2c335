"""Every block of the README runs as it stands."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dli_async.emulator import PROJECT_ID, TOKEN, Emulator
from dli_async.emulator.server import running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHELL = [text.strip() for kind, text in BLOCKS if kind == "sh"]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
SET_UP = re.compile(
    r"^python3 -m venv \.venv && \.venv/bin/pip install -q -e '\.\[([\w,]+)\]' && (\.venv/bin/.+)$"
)


def test_the_readme_is_short_and_has_only_blocks_that_are_run() -> None:
    """At most 150 lines, and no block of a kind that no test runs."""
    assert len(README.splitlines()) <= 150
    assert {kind for kind, _ in BLOCKS} == {"sh", "python"}
    assert len(SHELL) == 2
    assert all(SET_UP.match(command) for command in SHELL)


@pytest.mark.slow
def test_the_first_command_exports_all_samples(tmp_path: Path) -> None:
    """The demo of the README ends with 0; its installation is what CI does anyway."""
    command = SET_UP.match(SHELL[0])
    assert command is not None
    assert command[1] == "cli,emulator"
    words = command[2].replace(".venv/bin", str(Path(sys.executable).parent)).split()
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "obs").rglob("_SUCCESS"))


def test_the_second_command_is_the_one_that_ci_runs() -> None:
    """CI installs the same extra and runs the same command, with coverage on top."""
    command = SET_UP.match(SHELL[1])
    assert command is not None
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert f"-e '.[{command[1]}]'" in ci
    assert command[2] == ".venv/bin/python -m pytest -q"
    assert '"$oldest/bin/python" -m pytest -q --cov' in ci


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_the_python_blocks_run(number: int, tmp_path: Path) -> None:
    """Examples against "the real service" run against the emulator, set up by the environment."""

    async def run() -> subprocess.CompletedProcess[str]:
        emulator = Emulator(launch=0.0, run=0.05)
        async with running(emulator) as url:
            return await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-W", "error", "-c", PYTHON[number]],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                env=os.environ
                | {"DLI_ENDPOINT": url, "DLI_PROJECT_ID": PROJECT_ID, "DLI_TOKEN": TOKEN},
            )

    done = asyncio.run(run())
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout.strip()) == ("print(" in PYTHON[number])
