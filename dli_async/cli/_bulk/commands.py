"""The commands about many exports: bulk, runs."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812 - `date` is an option
from pathlib import Path
from typing import Annotated, Any

import typer

from ..._journal.entries import ExportState
from ..._values.enums import Compress, DataType, ExportMode
from .._shell.options import (
    CompressedBy,
    Connection,
    Endpoint,
    FilesAs,
    Header,
    Json,
    Mode,
    ProjectId,
    Queue,
    Region,
    Token,
)
from .._shell.output import Output
from . import errand as _bulk
from . import runs as _runs
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


def bulk(
    database: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Export the MANAGED tables of this database; may be repeated."
        ),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only tables whose names match, such as 'fact_*'; may be repeated.",
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Export what this file says in place of --database: .yaml (a list), .csv (with "
            "a header) or .jsonl, one export each with the fields of an export: database_name, "
            "table_name, data_path, data_type, compress, queue_name, export_mode, "
            "with_column_header. What it leaves out is taken from the options here.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="obs://BUCKET/FOLDER",
            parser=_read_folder,
            help="Folder of each export; {date}, {database} and {table} are filled in.",
        ),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            parser=_read_date,
            help="What {date} stands for. Default: the date on which the run in the journal "
            "began, or today.",
        ),
    ] = None,
    data_type: FilesAs = DataType.CSV,
    compress: CompressedBy = Compress.NONE,
    mode: Mode = ExportMode.ERROR_IF_EXISTS,
    header: Header = False,
    queue: Queue = None,
    max_running: Annotated[
        int, typer.Option(min=1, metavar="N", help="Exports under way at the same time.")
    ] = 32,
    max_running_per_queue: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The same for each queue. Default: no limit."),
    ] = None,
    attempts: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Jobs per export at most; after a failed one the next goes to a fresh folder, "
            "FOLDER-attempt-2 and so on.",
        ),
    ] = 1,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait for each export from its turn on, in seconds; its job runs on "
            "after it. A submit under way is heard out, which may take 30 s more. Default: no "
            "limit.",
        ),
    ] = None,
    requests_per_second: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            metavar="N",
            help="Requests to the service at most. Default: as many as it takes without refusing.",
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Record of the run, made if need be: the same command line goes on where an "
            "earlier one stopped, also after a crash. One file for each run.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, and submit nothing.")
    ] = False,
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """Export many tables, and go on where an earlier run stopped.

    One failure does not stop the others. With --journal nothing is lost and nothing exported
    twice, whatever ends the run: start the same command line again. {date} stays that of the day
    on which the run began; a journal whose run is complete is refused on another day.

    Ctrl-C ends the run here; jobs that were accepted run on, and the next run awaits them.

    Exit code: 0 all finished; else what is the worst: 1 some failed, which are listed, 5 some are
    in doubt, 3 some timed out. An export in doubt gets a line with the token that looks for it, or
    with --journal the next run looks; where several jobs could be it, their ids are told.

    \b
    Examples:
      dli-async bulk --database sales --tables 'fact_*' --compress gzip \\
          --to 'obs://bucket/{date}/{database}/{table}' --journal run.db
      dli-async bulk --plan plan.yaml --journal run.db --dry-run
    """
    for name in database or []:
        if Path(name).suffix.lower() in PLAN_FILES:
            raise typer.BadParameter(
                f"--database {name!r} is the name of a file; for a plan file give --plan {name}"
            )
    if bool(database) is bool(plan):
        raise typer.BadParameter("give either --database or --plan")
    if tables and not database:
        raise typer.BadParameter("--tables goes with --database, not with --plan")
    if database and to is None:
        raise typer.BadParameter(
            "--database needs --to, such as 'obs://bucket/{date}/{database}/{table}'"
        )
    fields: dict[str, Any] = {
        "data_type": data_type,
        "compress": compress,
        "export_mode": mode,
        "with_column_header": header,
        "queue_name": queue,
    }
    request = _bulk.BulkRequest(
        databases=database or [],
        tables=tables or [],
        plan_file=plan,
        fields=fields if to is None else {**fields, "data_path": to},
        date=date,
        journal=journal,
        options={
            "max_running": max_running,
            "max_running_per_queue": max_running_per_queue,
            "attempts": attempts,
            "timeout": timeout,
        },
        requests_per_second=requests_per_second,
        dry_run=dry_run,
    )
    return _bulk.bulk(Output(json), Connection(endpoint, region, project_id, token), request)


def runs(
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
    json: Json = False,
) -> int:
    """List the exports that a journal holds, and their totals.

    It only reads, also while a run is writing. `submitting` means: a submit was about to leave,
    and the next run looks whether it arrived. `failed` without a job id was never accepted. The
    column `folder` is there if an attempt went to a fresh folder.

    \b
    Example: dli-async runs run.db --state failed --json
    """
    return _runs.runs(Output(json), journal, state or [])
