"""The commands that await a job: export, query, wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..._export.job import ExportJob
from ..._values.enums import DataType
from ..._values.errors import ConfigurationError
from ..._values.results import ExportResult
from ..._values.spec import ExportSpec, QueryExport, TableExport
from .._shell.connection import Connection
from .._shell.export_options import FilesOptions
from .._shell.failures import Exit, Failure
from .._shell.output import Output, fields_text
from .._shell.run import run
from .files import complete
from .jobs import job_of
from .options import OnTimeout, WaitOptions
from .progress import job_progress

MakeSpec = Callable[[], ExportSpec]


class _AwaitedJob:
    """A job that a command awaits; an interrupt tells how to go on with it."""

    def __init__(self, output: Output, connection: Connection) -> None:
        self._output = output
        self._connection = connection
        self._job: ExportJob | None = None

    def interrupted(self) -> Failure:
        return Failure.interrupted(self._job)

    async def export(
        self,
        make: MakeSpec,
        waiting: WaitOptions,
        landed: FilesOptions,
        precheck: bool,
        via: str | None,
    ) -> Exit:
        if waiting.no_wait and landed.wanted:
            raise ConfigurationError("--no-wait: there are no files yet to verify or fetch")
        spec = make()
        async with self._connection.client(table_exports=via) as client:
            self._job = job = ExportJob(client, spec)
            if precheck:
                await client.precheck(spec)
            if not waiting.no_wait:
                result = await self._follow(job, waiting.timeout, waiting.on_timeout)
                return self._tell(result, await complete(client, self._output, result, landed))
            job_id = await job.submit()
        self._output.result({"job_id": job_id, "token": job.token, "spec": spec}, job_id)
        return Exit.FINISHED

    async def wait(self, job: str, timeout: float | None) -> Exit:
        async with self._connection.client() as client:
            self._job = job_of(client, job)
            return self._tell(await self._follow(self._job, timeout, OnTimeout.DETACH), {})

    async def _follow(
        self, job: ExportJob, timeout: float | None, on_timeout: OnTimeout
    ) -> ExportResult:
        with job_progress(self._output) as progress:
            return await job.result(
                timeout=timeout,
                on_report=progress,
                on_timeout="cancel" if on_timeout is OnTimeout.CANCEL else "detach",
            )

    def _tell(self, result: ExportResult, landed: dict[str, Any]) -> Exit:
        document = _result_document(result) | landed
        self._output.result(document, fields_text(document))
        return Exit.FINISHED


def table_spec(
    table: tuple[str, str], data_path: str, files: Mapping[str, Any], part: Mapping[str, Any]
) -> ExportSpec:
    """A table as a whole, or by SQL what only that can do.

    Args:
        files: fields about the files.
        part: columns and condition, where they are given.
    """
    database_name, table_name = table
    if part or files["data_type"] not in list(DataType):
        return QueryExport.of_table(database_name, table_name, data_path, **part, **files)
    return TableExport(
        database_name=database_name, table_name=table_name, data_path=data_path, **files
    )


def export(
    output: Output,
    connection: Connection,
    make: MakeSpec,
    waiting: WaitOptions,
    landed: FilesOptions,
    *,
    precheck: bool = False,
    via: str | None = None,
) -> Exit:
    """Submits an export and, unless told otherwise, waits for its end.

    Args:
        make: makes the spec; what it raises is told like other errors.
        via: how whole tables are exported; None leaves it to the environment.
    """
    awaited = _AwaitedJob(output, connection)
    work = partial(awaited.export, make, waiting, landed, precheck, via)
    return run(output, work, awaited.interrupted)


def wait(output: Output, connection: Connection, job: str, timeout: float | None) -> Exit:
    """Waits for a job, given by id or token."""
    awaited = _AwaitedJob(output, connection)
    return run(output, lambda: awaited.wait(job, timeout), awaited.interrupted)


def _result_document(result: ExportResult) -> dict[str, Any]:
    told = (result.report.database_name, result.report.table_name)
    database_name, table_name = (result.spec.table if result.spec else None) or told
    return {
        "job_id": result.job_id,
        "status": result.status,
        "database_name": database_name,
        "table_name": table_name,
        "data_path": result.data_path,
        "row_count": result.row_count,
        "input_size": result.input_size,
        "started_at": result.started_at,
        "duration": result.duration,
        "queue_name": result.queue_name,
    }
