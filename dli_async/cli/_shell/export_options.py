"""The options that say how an export writes its files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..._values.enums import ExportMode, FileFormat
from .option_groups import OptionGroup


@dataclass(frozen=True, kw_only=True)
class ExportOptions(OptionGroup):
    """Fields of a spec, under their names, that one command line gives all its exports."""

    data_type: Annotated[
        FileFormat,
        typer.Option(
            case_sensitive=False,
            help="Format of the files. All but csv and json take SQL: `query`, or `export`.",
        ),
    ] = FileFormat.CSV
    compress: Annotated[
        str | None,
        typer.Option(
            metavar="[none|gzip|bzip2|deflate|...]",
            help="Compression of the files; parquet, orc and avro have others, such as snappy and "
            "zstd. Default: none, or with these snappy.",
        ),
    ] = None
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

    def fields(self) -> dict[str, Any]:
        """The fields that were given, or have a default here."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class FilesOptions(OptionGroup):
    """What becomes of the files when an export has finished."""

    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Then read every file to its end, count the rows, and compare with what the job "
            "tells. The exit code is 1 if something differs, and then nothing is fetched.",
        ),
    ] = False
    fetch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Then bring the files into this folder. Each export of `bulk` gets one of its own "
            "in it, with the path of its folder below the bucket.",
        ),
    ] = None

    @property
    def wanted(self) -> bool:
        """Whether anything is to be done."""
        return self.verify or self.fetch is not None


class Via(StrEnum):
    """How whole tables are exported."""

    AUTO = "auto"
    EXPORT_TABLE = "export-table"
    SQL = "sql"


ViaOption = Annotated[
    Via | None,
    typer.Option(
        help="How whole tables are exported: by the call export-table; by SQL; or by export-table "
        "until the service says that it has no such call any more, then by SQL (auto). By SQL, "
        "ErrorIfExists needs eyes on OBS. Default: DLI_TABLE_EXPORTS, or auto."
    ),
]
