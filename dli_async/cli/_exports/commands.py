"""The commands about one export, and about what there is: export, query, status, wait and so on."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from ..._values.spec import read_spec
from .._shell.connection import Connection
from .._shell.export_options import ExportOptions, FilesOptions, ViaOption
from .._shell.output import Output
from . import export as _export
from . import jobs as _jobs
from . import tables as _tables
from . import whoami as _whoami
from .options import (
    DataPath,
    JobFilters,
    JobId,
    PartOfTable,
    QueryOptions,
    TableFilters,
    WaitOptions,
    WaitTimeout,
    read_table,
)


def export(
    *,
    table: Annotated[
        str,
        typer.Argument(
            metavar="DB.TABLE",
            help="Database and table, such as sales.orders; a MANAGED one, unless SQL reads it.",
        ),
    ],
    data_path: DataPath,
    part: PartOfTable,
    files: ExportOptions,
    via: ViaOption = None,
    waiting: WaitOptions,
    landed: FilesOptions,
    precheck: Annotated[
        bool,
        typer.Option("--precheck", help="First look whether database, table and queue are there."),
    ] = False,
    connection: Connection,
    output: Output,
) -> int:
    """Export one table to a folder in OBS.

    Waits until it is written. The export is submitted exactly once: if the answer of the service
    is lost, the job is looked for. Ctrl-C ends the wait, not the job; the id, or a token, to
    resume with is printed.

    Prints what the export came to (row_count in rows, input_size in bytes), or with --no-wait
    only the job id. Exit code: 0 finished, 1 failed, cancelled or not complete, 3 timed out, 5 in
    doubt.

    \b
    Examples:
      dli-async export sales.orders obs://bucket/orders --data-type json --compress gzip
      dli-async export sales.orders obs://bucket/orders --mode Overwrite --timeout 3600
      dli-async export sales.orders obs://bucket/orders --verify --fetch out/
      dli-async export sales.orders obs://bucket/new --columns id,total --where 'total > 10'
      id=$(dli-async export sales.orders obs://bucket/orders --no-wait)
    """
    names = read_table(table)
    make = partial(_export.table_spec, names, data_path, files.fields(), part.fields())
    return _export.export(output, connection, make, waiting, landed, precheck=precheck, via=via)


def query(
    *,
    query: Annotated[
        str, typer.Argument(metavar="SELECT", help="One SELECT, or WITH and a SELECT.")
    ],
    data_path: DataPath,
    more: QueryOptions,
    files: ExportOptions,
    waiting: WaitOptions,
    landed: FilesOptions,
    connection: Connection,
    output: Output,
) -> int:
    """Export what a query gives to a folder in OBS.

    One job runs INSERT OVERWRITE DIRECTORY, which always overwrites; with --mode ErrorIfExists, the
    default, it is looked beforehand whether the folder exists. Else it is like `export`, exit
    codes included.

    \b
    Examples:
      dli-async query 'SELECT * FROM sales.orders' obs://bucket/orders --data-type parquet
      dli-async query "$(cat q.sql)" obs://bucket/q --option 'delimiter=|' --mode Overwrite
    """
    fields = {"query": query, "data_path": data_path, **files.fields(), **more.fields()}
    return _export.export(output, connection, partial(read_spec, fields), waiting, landed)


def status(*, job_id: JobId, connection: Connection, output: Output) -> int:
    """Look at a job once.

    Tells its state, and the folder of an export where the service tells it.

    Exit code: 0 while it waits or runs and when it has finished, 1 if it failed or was cancelled.

    \b
    Example: dli-async status 828d4044-3d39-449b-b32c-957f7cfadfc9 --json
    """
    return _jobs.status(output, connection, job_id)


def wait(
    *,
    job: Annotated[
        str,
        typer.Argument(
            metavar="JOB_ID|TOKEN",
            help="Id of the job, or the token (a JSON text) that a submit in doubt printed: its "
            "job is looked for, and submitted again only if that is safe.",
        ),
    ],
    timeout: WaitTimeout = None,
    connection: Connection,
    output: Output,
) -> int:
    """Wait for the end of a job.

    Exit code: 0 finished, 1 failed or cancelled, 3 timed out (wait again), 5 in doubt.

    \b
    Examples:
      dli-async wait 828d4044-3d39-449b-b32c-957f7cfadfc9 --timeout 600
      dli-async wait '{"v": 1, "spec": {...}, "doubted_at": 1767225600.0}'
    """
    return _export.wait(output, connection, job, timeout)


def cancel(
    *,
    job_id: JobId,
    timeout: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="How long to wait for the confirmation, in seconds."
        ),
    ] = 60.0,
    connection: Connection,
    output: Output,
) -> int:
    """Cancel a job, and look until that is confirmed.

    Prints the outcome: cancelled, already ended, or not confirmed. Exit code: 0 if the job runs no
    more, 3 if that was not confirmed in time.

    \b
    Example: dli-async cancel 828d4044-3d39-449b-b32c-957f7cfadfc9
    """
    return _jobs.cancel(output, connection, job_id, timeout)


def jobs(
    *,
    filters: JobFilters,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N jobs. Default: all.")
    ] = None,
    connection: Connection,
    output: Output,
) -> int:
    """List jobs, the newest first.

    \b
    Example: dli-async jobs --status FAILED --since 2026-01-31 --json
    """
    return _jobs.jobs(output, connection, filters, limit)


def tables(
    *,
    database: Annotated[
        str | None,
        typer.Argument(metavar="[DATABASE]", help="The database. Default: all of them."),
    ] = None,
    filters: TableFilters,
    connection: Connection,
    output: Output,
) -> int:
    """List the tables of one database, or of all.

    Only MANAGED tables can be exported.

    \b
    Examples:
      dli-async tables
      dli-async tables sales --detail --json
    """
    return _tables.tables(output, connection, database, filters)


def whoami(*, connection: Connection, output: Output) -> int:
    """Show and check the login that was found.

    Tells the source of the credentials, region, project and endpoint; secrets are masked. The
    check lists the databases, which every user may. Exit code: 0 if the service accepts it.

    \b
    Example: HUAWEICLOUD_SDK_AK=... HUAWEICLOUD_SDK_SK=... dli-async whoami --region cn-north-4
    """
    return _whoami.whoami(output, connection)
