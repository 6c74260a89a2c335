"""The commands about many exports: bulk, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..._journal.entries import ExportState
from .._shell.connection import Connection
from .._shell.output import Output
from . import bulk_run as _bulk_run
from . import runs as _runs
from .options import BulkRequest


def bulk(*, request: BulkRequest, connection: Connection, output: Output) -> int:
    """Export many tables, and go on where an earlier run stopped.

    One failure does not stop the others. With --journal nothing is lost and nothing exported
    twice, whatever ends the run: start the same command line again. {date} stays that of the day
    on which the run began; a journal whose run is complete is refused on another day.

    Ctrl-C ends the run here; jobs that were accepted run on, and the next run awaits them.

    With --verify and --fetch the files of each export are checked and brought home when it has
    finished. With --journal the same command line tries again what did not go well, and exports
    nothing again; a run is complete when that is done too.

    Exit code: 0 all finished; else what is the worst: 1 some failed, or their files are not
    complete or could not be fetched, which are listed, 5 some are in doubt, 3 some timed out. An
    export in doubt gets a line with the token that looks for it, or with --journal the next run
    looks; where several jobs could be it, their ids are told.

    \b
    Examples:
      dli-async bulk --database sales --tables 'fact_*' --compress gzip \\
          --to 'obs://bucket/{date}/{database}/{table}' --journal run.db --verify --fetch out/
      dli-async bulk --plan plan.yaml --journal run.db --dry-run
    """
    return _bulk_run.bulk(output, connection, request)


def runs(
    *,
    journal: Annotated[
        Path,
        typer.Argument(
            metavar="JOURNAL",
            exists=True,
            dir_okay=False,
            help="The file that `bulk --journal` wrote.",
        ),
    ],
    state: Annotated[
        list[ExportState] | None,
        typer.Option(
            case_sensitive=False, help="Only exports in this state; may be repeated. Default: all."
        ),
    ] = None,
    output: Output,
) -> int:
    """List the exports that a journal holds, and their totals.

    It only reads, also while a run is writing. `submitting` means: a submit was about to leave,
    and the next run looks whether it arrived. `failed` without a job id was never accepted. The
    column `folder` is there if an attempt went to a fresh folder, and `files` if a run had files
    verified or fetched; what went wrong with them is under `error`.

    \b
    Example: dli-async runs run.db --state failed --json
    """
    return _runs.runs(output, journal, state or [])
