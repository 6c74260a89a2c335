"""`dli-async demo --web`: the example application and its page, on an emulator of their own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from ..._values.spec import TableExport
from .._shell.failures import Exit
from .._shell.output import Output, fields_text
from .._shell.run import guarded
from .demo import connect, fresh_path, make_emulator, plan
from .emulator import need_folder, require
from .options import DemoOptions

_GRACE = 2  # seconds that open streams of events get at the end


def serve(output: Output, options: DemoOptions, port: int) -> Exit:
    """Serves the example application until SIGINT or SIGTERM."""

    def call() -> Exit:
        require("emulator", "fastapi")
        need_folder(options.obs_dir)
        asyncio.run(_serve(output, options, port))
        output.note("stopped")
        return Exit.FINISHED

    return guarded(output, call)


async def _serve(output: Output, options: DemoOptions, port: int) -> None:
    from ...emulator.server import running
    from ...fastapi.example import make_app

    emulator, engine = make_emulator(options)
    # The emulator forgets its jobs when it stops, so there is nothing to remember of them.
    with tempfile.TemporaryDirectory() as folder:
        async with emulator, running(emulator) as endpoint:
            client = partial(connect, endpoint)
            app = make_app(client, Path(folder) / "exports.db")
            async with client() as guide:
                specs = [spec async for spec in plan(guide, fresh_path(engine))]
            await _serve_app(output, app, port, endpoint, specs)


async def _serve_app(
    output: Output, app: Any, port: int, endpoint: str, specs: Sequence[TableExport]
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Ends in good order, rather than by the signal once more."""
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                # Windows has no such handlers; there KeyboardInterrupt ends the loop.
                with suppress(NotImplementedError, RuntimeError):
                    loop.add_signal_handler(number, self.handle_exit, number, None)
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE
    )
    ready = anyio.Event()
    with socket.create_server(("127.0.0.1", port)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_begin, output, url, endpoint, specs, ready)
            await Server(config).serve([listener])
            tasks.cancel_scope.cancel()


async def _begin(
    output: Output, url: str, endpoint: str, specs: Sequence[TableExport], ready: anyio.Event
) -> None:
    await ready.wait()
    document = {"page": f"{url}/exports/ui", "reference": f"{url}/docs", "emulator": endpoint}
    output.result(document, fields_text(document))
    await anyio.to_thread.run_sync(partial(_post, f"{url}/exports/bulk", specs))
    output.note(f"exporting {len(specs)} tables; Ctrl-C stops it")


def _post(url: str, specs: Sequence[TableExport]) -> None:
    """Starts exports as any caller would."""
    body = json.dumps([spec.body() for spec in specs]).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as answer:
        answer.read()
