"""A fetch that is killed: whatever the moment, nothing looks whole that is not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from dli_async.emulator.server import running

from .conftest import DATA_PATH, Lake

pytestmark = pytest.mark.anyio

KILLS = 20
PARTS = 6
SIZE = 5 << 20

# One process forks a child for each fetch, which saves importing everything again.
SCRIPT = """
import os, signal, sys
import anyio
from dli_async import AkSk, DliClient
from dli_async._http import aiohttp_pool

url, folder, data_path, *delays = sys.argv[1:]

async def fetch():
    auth = AkSk("emulator-ak", "emulator-sk")
    async with DliClient(endpoint=url, project_id="p", auth=auth) as client:
        await client.files.fetch(data_path, folder)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
for delay in [*map(float, delays), None]:
    child = os.fork()
    if not child:
        anyio.run(fetch)
        os._exit(0)
    if delay is not None:
        signal.sigtimedwait({signal.SIGCHLD}, delay)
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    print(*sorted(f"{e.name}:{e.inode()}:{e.stat().st_mtime_ns}" for e in os.scandir(folder)
                  if e.name.endswith(".csv")), flush=True)
"""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_fetch_that_is_killed_again_and_again_ends_whole(
    lake: Lake, tmp_path: Path
) -> None:
    """Every file that has its name is whole and stays as it is; the rest comes in the end."""
    contents = {f"part-0000{n}.csv": os.urandom(SIZE) for n in range(PARTS)}
    for name, content in contents.items():
        lake.write(name, content)
    # So slow that a fetch takes a second or more, in pieces.
    lake.emulator.faults.set([{"route": "obs-get", "kind": "slow-body:0.4"}])
    dice = random.Random(5)
    delays = [str(dice.uniform(0.05, 0.6)) for _ in range(KILLS)]
    async with running(lake.emulator) as url:
        command = [sys.executable, "-c", SCRIPT, url, str(tmp_path), DATA_PATH, *delays]
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, capture_output=True, text=True, timeout=120)
        )
    lines = done.stdout.splitlines()

    assert done.stderr == ""
    assert lines[-2] == "0"
    assert lines[0:-2:2].count("-9") >= 3
    seen: set[str] = set()
    for line in lines[1::2]:
        assert seen <= set(line.split())
        seen = set(line.split())
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    assert len(seen) == PARTS
