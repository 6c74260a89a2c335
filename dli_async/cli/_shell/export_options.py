"""The options that say how an export writes its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from ..._values.enums import Compress, DataType, ExportMode
from .option_groups import OptionGroup


@dataclass(frozen=True, kw_only=True)
class ExportOptions(OptionGroup):
    """Fields of a `TableExport`, under their names, that one command line gives all its exports."""

    data_type: Annotated[
        DataType, typer.Option(case_sensitive=False, help="Format of the files.")
    ] = DataType.CSV
    compress: Annotated[
        Compress, typer.Option(case_sensitive=False, help="Compression of the files.")
    ] = Compress.NONE
    export_mode: Annotated[
        ExportMode,
        typer.Option(
            "--mode",
            case_sensitive=False,
            help="When the folder exists: fail, or delete what it holds and write anew.",
        ),
    ] = ExportMode.ERROR_IF_EXISTS
    with_column_header: Annotated[
        bool, typer.Option("--header/--no-header", help="Write the names of the columns (csv).")
    ] = False
    queue_name: Annotated[
        str | None,
        typer.Option(
            "--queue",
            metavar="NAME",
            help="Queue that runs the job. Default: the shared queue `default`.",
        ),
    ] = None
