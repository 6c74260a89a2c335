"""The commands that need no account: demo, emulator."""

from __future__ import annotations

from typing import Annotated

import typer

from .._shell.output import Output
from . import demo as _demo
from . import demo_web as _demo_web
from . import emulator as _emulator
from .options import DemoOptions, EmulatorOptions


def demo(
    *,
    options: DemoOptions,
    web: Annotated[
        bool, typer.Option("--web", help="Start the exports through a web backend with a page.")
    ] = False,
    port: Annotated[
        int,
        typer.Option(min=0, max=65_535, help="With --web: port of the page; 0 takes a free one."),
    ] = 0,
    output: Output,
) -> int:
    """Try it: export all sample tables, offline.

    A server on a free port of the loopback address plays DLI. All of its tables are exported at
    the same time, in every format and compression, over real HTTP; then the files are read back
    and their rows are counted. It takes some 10 seconds and needs no account.

    Exit code: 0 if all files hold what the tables hold, else 1.

    With --web, a FastAPI application on another free port starts the exports, and its page shows
    them live. Its URL is printed; Ctrl-C or SIGTERM stops it, with exit code 0.

    \b
    Examples: dli-async demo --obs-dir ./files --slots 4
              dli-async demo --web --run 10
    """
    if web:
        return _demo_web.serve(output, options, port)
    return _demo.demo(output, options)


def emulator(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 8765,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; others than 127.0.0.1 let other machines in.",
        ),
    ] = "127.0.0.1",
    options: EmulatorOptions,
    output: Output,
) -> int:
    """Play DLI on this machine, offline.

    It speaks the protocol of the service, and its exports write real files. Prints its URL when
    it is ready, and the variables that lead `dli-async` to it. Ctrl-C or SIGTERM stops
    it, with exit code 0.

    \b
    Example: dli-async emulator --port 8765 --obs-dir ./obs --run 5
    """
    return _emulator.serve(output, host, port, options)
