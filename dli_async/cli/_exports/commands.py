"""The commands that talk to the service: export, status, wait, cancel, jobs, tables, whoami."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..._values.enums import Compress, DataType, ExportMode
from .._shell.options import (
    CompressedBy,
    Connection,
    Endpoint,
    FilesAs,
    Header,
    JobId,
    Json,
    Mode,
    OnTimeout,
    Order,
    ProjectId,
    Queue,
    Region,
    Token,
    WaitTimeout,
    read_moment,
    read_status,
    read_table,
)
from .._shell.output import Output
from . import jobs as _jobs
from . import look as _look


def export(
    table: Annotated[
        str,
        typer.Argument(
            metavar="DB.TABLE",
            help="Database and table, such as sales.orders; it must be a MANAGED table.",
        ),
    ],
    data_path: Annotated[
        str,
        typer.Argument(
            metavar="obs://BUCKET/FOLDER",
            help="Folder to write to, at least one level below the bucket.",
        ),
    ],
    data_type: FilesAs = DataType.CSV,
    compress: CompressedBy = Compress.NONE,
    mode: Mode = ExportMode.ERROR_IF_EXISTS,
    header: Header = False,
    queue: Queue = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the job id as soon as the job is accepted.")
    ] = False,
    timeout: WaitTimeout = None,
    on_timeout: Annotated[
        OnTimeout,
        typer.Option(
            help="What becomes of the job when --timeout is over: it runs on, or it is cancelled, "
            "which is waited for up to 60 s. The exit code is 3 either way."
        ),
    ] = OnTimeout.DETACH,
    precheck: Annotated[
        bool,
        typer.Option("--precheck", help="First look whether database, table and queue are there."),
    ] = False,
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """Export one table to a folder in OBS.

    Waits until it is written. The export is submitted exactly once: if the answer of the service
    is lost, the job is looked for. Ctrl-C ends the wait, not the job; the id, or a token, to
    resume with is printed.

    Prints what the export came to (row_count in rows, input_size in bytes), or with --no-wait
    only the job id. Exit code: 0 finished, 1 failed or cancelled, 3 timed out, 5 in doubt.

    \b
    Examples:
      dli-async export sales.orders obs://bucket/orders --data-type json --compress gzip
      dli-async export sales.orders obs://bucket/orders --mode Overwrite --timeout 3600
      id=$(dli-async export sales.orders obs://bucket/orders --no-wait)
    """
    database_name, table_name = read_table(table)
    request = _jobs.ExportRequest(
        fields={
            "database_name": database_name,
            "table_name": table_name,
            "data_path": data_path,
            "data_type": data_type,
            "compress": compress,
            "export_mode": mode,
            "with_column_header": header,
            "queue_name": queue,
        },
        wait=not no_wait,
        timeout=timeout,
        on_timeout="cancel" if on_timeout is OnTimeout.CANCEL else "detach",
        precheck=precheck,
    )
    return _jobs.export(Output(json), Connection(endpoint, region, project_id, token), request)


def status(
    job_id: JobId,
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """Look at a job once.

    Tells its state, and the folder of an export where the service tells it.

    Exit code: 0 while it waits or runs and when it has finished, 1 if it failed or was cancelled.

    \b
    Example: dli-async status 828d4044-3d39-449b-b32c-957f7cfadfc9 --json
    """
    return _jobs.status(Output(json), Connection(endpoint, region, project_id, token), job_id)


def wait(
    job: Annotated[
        str,
        typer.Argument(
            metavar="JOB_ID|TOKEN",
            help="Id of the job, or the token (a JSON text) that a submit in doubt printed: its "
            "job is looked for, and submitted again only if that is safe.",
        ),
    ],
    timeout: WaitTimeout = None,
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """Wait for the end of a job.

    Exit code: 0 finished, 1 failed or cancelled, 3 timed out (wait again), 5 in doubt.

    \b
    Examples:
      dli-async wait 828d4044-3d39-449b-b32c-957f7cfadfc9 --timeout 600
      dli-async wait '{"v": 1, "spec": {...}, "doubted_at": 1767225600.0}'
    """
    connection = Connection(endpoint, region, project_id, token)
    return _jobs.wait(Output(json), connection, job, timeout)


def cancel(
    job_id: JobId,
    timeout: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="How long to wait for the confirmation, in seconds."
        ),
    ] = 60.0,
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """Cancel a job, and look until that is confirmed.

    Prints the outcome: cancelled, already ended, or not confirmed. Exit code: 0 if the job runs no
    more, 3 if that was not confirmed in time.

    \b
    Example: dli-async cancel 828d4044-3d39-449b-b32c-957f7cfadfc9
    """
    connection = Connection(endpoint, region, project_id, token)
    return _jobs.cancel(Output(json), connection, job_id, timeout)


def jobs(
    status: Annotated[
        Any,
        typer.Option(
            metavar="STATUS",
            parser=read_status,
            help="Only jobs that are LAUNCHING, RUNNING, SCALING, FINISHED, FAILED or CANCELLED.",
        ),
    ] = None,
    job_type: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Kind of jobs: EXPORT, QUERY, ALL, ...")
    ] = "EXPORT",
    queue: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only jobs of this queue.")
    ] = None,
    since: Annotated[
        Any,
        typer.Option(
            metavar="MOMENT",
            parser=read_moment,
            help="Only jobs that started then or later, such as 2026-01-31T08:00:00+08:00; "
            "without a zone it is local time.",
        ),
    ] = None,
    until: Annotated[
        Any,
        typer.Option(
            metavar="MOMENT", parser=read_moment, help="Only jobs that started before then."
        ),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="USER", help="Only jobs that this user submitted.")
    ] = None,
    order: Annotated[Order, typer.Option(help="What comes first.")] = Order.START_TIME_DESC,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N jobs. Default: all.")
    ] = None,
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """List jobs, the newest first.

    \b
    Example: dli-async jobs --status FAILED --since 2026-01-31 --json
    """
    filters: dict[str, Any] = {
        "status": status,
        "job_type": job_type,
        "queue_name": queue,
        "since": since,
        "until": until,
        "owner": owner,
        "order": order.value,
    }
    connection = Connection(endpoint, region, project_id, token)
    return _jobs.jobs(Output(json), connection, filters, limit)


def tables(
    database: Annotated[
        str | None,
        typer.Argument(metavar="[DATABASE]", help="The database. Default: all of them."),
    ] = None,
    keyword: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only tables with this in their name.")
    ] = None,
    detail: Annotated[
        bool, typer.Option("--detail", help="Tell sizes in bytes, times and owners too.")
    ] = False,
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """List the tables of one database, or of all.

    Only MANAGED tables can be exported.

    \b
    Examples:
      dli-async tables
      dli-async tables sales --detail --json
    """
    filters = {"keyword": keyword, "with_detail": detail}
    connection = Connection(endpoint, region, project_id, token)
    return _look.tables(Output(json), connection, database, filters)


def whoami(
    endpoint: Endpoint = None,
    region: Region = None,
    project_id: ProjectId = None,
    token: Token = None,
    json: Json = False,
) -> int:
    """Show and check the login that was found.

    Tells the source of the credentials, region, project and endpoint; secrets are masked. The
    check lists the databases, which every user may. Exit code: 0 if the service accepts it.

    \b
    Example: HUAWEICLOUD_SDK_AK=... HUAWEICLOUD_SDK_SK=... dli-async whoami --region cn-north-4
    """
    return _look.whoami(Output(json), Connection(endpoint, region, project_id, token))
