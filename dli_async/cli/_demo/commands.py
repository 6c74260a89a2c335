"""The commands that need no account: demo, emulator."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .._shell.options import Json
from .._shell.output import Output
from . import demo as _demo
from . import serve as _serve
from . import web as _web

Slots = Annotated[int, typer.Option(min=1, help="How many jobs each queue runs at a time.")]
Launch = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long a job is LAUNCHING, in seconds.")
]
RunTime = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Median of how long a job is RUNNING, in seconds."),
]


def demo(
    obs_dir: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Folder that stands for OBS. Each run makes a new folder below DIR/demo.",
        ),
    ] = Path("obs"),
    slots: Slots = 8,
    max_running: Annotated[
        int, typer.Option(min=1, help="How many exports to await at the same time.")
    ] = 32,
    launch: Launch = 0.5,
    run: RunTime = 1.5,
    web: Annotated[
        bool, typer.Option("--web", help="Start the exports through a web backend with a page.")
    ] = False,
    port: Annotated[
        int,
        typer.Option(min=0, max=65_535, help="With --web: port of the page; 0 takes a free one."),
    ] = 0,
    json: Json = False,
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
    options = _demo.DemoOptions(
        obs_dir=obs_dir, slots=slots, max_running=max_running, launch=launch, run=run
    )
    if web:
        return _web.serve(Output(json), options, port)
    return _demo.demo(Output(json), options)


class ExistsCheck(StrEnum):
    """When the emulator looks whether the folder of an ErrorIfExists export is there."""

    JOB = "job"
    SUBMIT = "submit"


def emulator(
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
    obs_dir: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Folder that stands for OBS.")
    ] = Path("obs"),
    database: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            exists=True,
            help="Tables to serve: a DuckDB file, or a folder of CSV and Parquet files. "
            "Default: sample tables.",
        ),
    ] = None,
    slots: Slots = 8,
    launch: Launch = 0.2,
    run: RunTime = 1.0,
    exists_check: Annotated[
        ExistsCheck,
        typer.Option(
            help="What happens to an ErrorIfExists export when the folder is there: the job "
            "fails (job), or the request is refused (submit)."
        ),
    ] = ExistsCheck.JOB,
    seed: Annotated[
        int, typer.Option(help="Makes ids, times and sample tables the same in every run.")
    ] = 0,
    json: Json = False,
) -> int:
    """Play DLI on this machine, offline.

    It speaks the protocol of the service, and its exports write real files. Prints its URL when
    it is ready, and the variables that lead `dli-async` to it. Ctrl-C or SIGTERM stops
    it, with exit code 0.

    \b
    Example: dli-async emulator --port 8765 --obs-dir ./obs --run 5
    """
    return _serve.serve(
        Output(json),
        host=host,
        port=port,
        obs_dir=obs_dir,
        database=database,
        slots=slots,
        launch=launch,
        run=run,
        exists_check="submit" if exists_check is ExistsCheck.SUBMIT else "job",
        seed=seed,
    )
