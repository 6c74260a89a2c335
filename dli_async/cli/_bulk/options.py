"""The options of `dli-async bulk`: which tables, to which folders, within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - `date` is an option
from pathlib import Path
from typing import Annotated

import typer

from .._shell.export_options import ExportOptions, FilesOptions, ViaOption
from .._shell.option_groups import OptionGroup
from .plan import check_template
from .plan_file import PLAN_FILES


def _read_folder(text: str) -> str:
    try:
        check_template(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def _read_date(text: str) -> str:
    try:
        return Date.fromisoformat(text).isoformat()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2026-01-31") from None


@dataclass(frozen=True, kw_only=True)
class PlanSource(OptionGroup):
    """What to export, and to where.

    Raises:
        typer.BadParameter: options are missing, or do not go together.
    """

    databases: Annotated[
        list[str] | None,
        typer.Option(
            "--database",
            metavar="NAME",
            help="Export the MANAGED tables of this database; may be repeated.",
        ),
    ] = None
    patterns: Annotated[
        list[str] | None,
        typer.Option(
            "--tables",
            metavar="PATTERN",
            help="Only tables whose names match, such as 'fact_*'; may be repeated.",
        ),
    ] = None
    plan_file: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Export what this file says in place of --database: .yaml (a list), .csv (with "
            "a header) or .jsonl, one export each with the fields of an export: database_name, "
            "table_name, data_path, data_type, compress, queue_name, export_mode, "
            "with_column_header; or those of a query: query, data_path and so on. What it leaves "
            "out is taken from the options here.",
        ),
    ] = None
    to: Annotated[
        str | None,
        typer.Option(
            metavar="obs://BUCKET/FOLDER",
            parser=_read_folder,
            help="Folder of each export; {date}, {database} and {table} are filled in.",
        ),
    ] = None
    date: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            parser=_read_date,
            help="What {date} stands for. Default: the date on which the run in the journal "
            "began, or today.",
        ),
    ] = None

    def __post_init__(self) -> None:
        for name in self.databases or []:
            if Path(name).suffix.lower() in PLAN_FILES:
                raise typer.BadParameter(
                    f"--database {name!r} is the name of a file; for a plan file give --plan {name}"
                )
        if bool(self.databases) is bool(self.plan_file):
            raise typer.BadParameter("give either --database or --plan")
        if self.patterns and not self.databases:
            raise typer.BadParameter("--tables goes with --database, not with --plan")
        if self.databases and self.to is None:
            raise typer.BadParameter(
                "--database needs --to, such as 'obs://bucket/{date}/{database}/{table}'"
            )


@dataclass(frozen=True, kw_only=True)
class RunLimits(OptionGroup):
    """How much is done at a time: options of `DliClient.export_many`, under their names."""

    max_running: Annotated[
        int, typer.Option(min=1, metavar="N", help="Exports under way at the same time.")
    ] = 32
    max_running_per_queue: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The same for each queue. Default: no limit."),
    ] = None
    attempts: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Jobs per export at most; after a failed one the next goes to a fresh folder, "
            "FOLDER-attempt-2 and so on.",
        ),
    ] = 1
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait for each export from its turn on, in seconds; its job runs on "
            "after it. A submit under way is heard out, which may take 30 s more. Default: no "
            "limit.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class BulkRequest(OptionGroup):
    """What `dli-async bulk` was asked."""

    source: PlanSource
    files: ExportOptions
    limits: RunLimits
    landed: FilesOptions
    via: ViaOption = None
    requests_per_second: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            metavar="N",
            help="Requests to the service at most. Default: as many as it takes without refusing.",
        ),
    ] = None
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Record of the run, made if need be: the same command line goes on where an "
            "earlier one stopped, also after a crash. One file for each run.",
        ),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, and submit nothing.")
    ] = False
