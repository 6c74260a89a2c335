"""The commands about the files that exports left on OBS: ls, verify, fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._shell.connection import Connection
from .._shell.output import Output
from . import files as _files

Source = Annotated[
    str,
    typer.Argument(
        metavar="JOB_ID|obs://BUCKET/FOLDER",
        help="Id of a job, whose end is waited for, or the folder of an export.",
    ),
]


def ls(*, source: Source, connection: Connection, output: Output) -> int:
    """List the files that an export left on OBS.

    Tells name, size in bytes, format and codec of each; without `_SUCCESS` and hidden names.

    \b
    Examples:
      dli-async ls obs://bucket/orders
      dli-async ls 828d4044-3d39-449b-b32c-957f7cfadfc9 --json
    """
    return _files.ls(output, connection, source)


def verify(
    *,
    source: Source,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether csv files begin with the names of the columns. Default: as the job was "
            "asked; no, where only a folder is given.",
        ),
    ] = None,
    connection: Connection,
    output: Output,
) -> int:
    """Check whether the files of an export are complete.

    Reads every file to its end, counts the rows, and compares with what the job tells. Of a folder
    nobody knows how many rows there should be; then `_SUCCESS` has to be there.

    Exit code: 0 complete, 1 something differs.

    \b
    Example: dli-async verify 828d4044-3d39-449b-b32c-957f7cfadfc9
    """
    return _files.verify(output, connection, source, header)


def fetch(
    *,
    source: Source,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Local folder; it is made if need be.")
    ],
    connection: Connection,
    output: Output,
) -> int:
    """Bring the files of an export into a local folder.

    Each is written to NAME.part and renamed when it is whole. The same line again goes on after a
    crash or Ctrl-C, and fetches nothing twice that is whole.

    \b
    Example: dli-async fetch obs://bucket/orders out/
    """
    return _files.fetch(output, connection, source, folder)
