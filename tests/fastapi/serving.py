"""Uvicorn, with several workers, in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import uvicorn
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from dli_async.emulator import PROJECT_ID, TOKEN, Emulator
from dli_async.emulator.server import running

ROOT = Path(__file__).parents[2]


@contextmanager
def emulator_url(emulator: Emulator) -> Iterator[str]:
    """Serves an emulator behind a real socket."""
    with start_blocking_portal() as portal:
        serving = portal.wrap_async_context_manager(running(emulator))
        with serving as url:
            yield url


def reserved_port() -> socket.socket:
    """A port that nobody else is given as long as the socket is open, but a server may take."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


@contextmanager
def run_app(app: FastAPI) -> Iterator[tuple[str, uvicorn.Server]]:
    """Serves an application in a thread of this process."""
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.should_exit = True
            thread.join()


class Backend:
    """The application of `backend.py` under uvicorn."""

    def __init__(self, endpoint: str, journal: Path, workers: int) -> None:
        self._holder = reserved_port()
        port = self._holder.getsockname()[1]
        self._command = [
            *(sys.executable, "-m", "uvicorn", "tests.fastapi.backend:make_app", "--factory"),
            *("--port", str(port), "--workers", str(workers), "--log-level", "warning"),
        ]
        self._environ = {
            **os.environ,
            "DLI_ENDPOINT": endpoint,
            "DLI_PROJECT_ID": PROJECT_ID,
            "DLI_TOKEN": TOKEN,
            "EXPORTS_DB": str(journal),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            trust_env=False,
            headers={"Authorization": "Bearer alice", "Connection": "close"},
            timeout=60,
        )

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = subprocess.Popen(
            self._command, env=self._environ, cwd=ROOT, start_new_session=True
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            with suppress(httpx.TransportError):
                self.http.get("/pid")
                return
            time.sleep(0.02)
        raise AssertionError("the backend does not start")

    def worker(self) -> int:
        """The process of a worker."""
        return int(self.http.get("/pid").json())

    def kill(self) -> None:
        """Kills all of it without warning."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Asks it to end, and returns its exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(60)
        self._process = None
        return code

    def close(self) -> None:
        self.kill()
        self.http.close()
        self._holder.close()
