"""The commands about jobs: export, status, wait, cancel, jobs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from ..._client import DliClient
from ..._export.job import ExportJob
from ..._values.enums import JobStatus
from ..._values.errors import DliError
from ..._values.reports import JobRow
from ..._values.results import CancelOutcome, ExportResult
from ..._values.spec import TableExport
from .._shell.failures import Exit, Failure
from .._shell.options import Connection
from .._shell.output import Output, fields_text, rows_table
from .._shell.progress import following
from .._shell.run import run

_JOB_COLUMNS = (
    "job_id",
    "status",
    "database_name",
    "table_name",
    "queue_name",
    "start_time",
    "duration",
    "result_count",
    "message",
)
_NO_REASON = "no reason given"


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What `dli-async export` was asked: the fields of a `TableExport`, and how to wait."""

    fields: dict[str, Any]
    wait: bool
    timeout: float | None
    on_timeout: Literal["detach", "cancel"]
    precheck: bool


class _Errand:
    """Work with one job, which an interrupt or an error must not lose."""

    def __init__(self, output: Output, connection: Connection) -> None:
        self._output = output
        self._connection = connection
        self._job: ExportJob | None = None

    def interrupted(self) -> Failure:
        return Failure.interrupted(self._job)

    async def export(self, request: ExportRequest) -> Exit:
        spec = TableExport(**request.fields)
        async with self._connection.client() as client:
            self._job = job = ExportJob(client, spec)
            if request.precheck:
                await client.precheck(spec)
            if request.wait:
                return await self._follow(job, request.timeout, request.on_timeout)
            job_id = await job.submit()
        self._output.result({"job_id": job_id, "token": job.token, "spec": spec}, job_id)
        return Exit.FINISHED

    async def wait(self, job: str, timeout: float | None) -> Exit:
        async with self._connection.client() as client:
            self._job = _job_of(client, job)
            return await self._follow(self._job, timeout, "detach")

    async def _follow(
        self, job: ExportJob, timeout: float | None, on_timeout: Literal["detach", "cancel"]
    ) -> Exit:
        with following(self._output) as follower:
            result = await job.result(timeout=timeout, on_report=follower, on_timeout=on_timeout)
        document = _result_document(result)
        self._output.result(document, fields_text(document))
        return Exit.FINISHED


def export(output: Output, connection: Connection, request: ExportRequest) -> Exit:
    """Submits an export and, unless told otherwise, waits for its end."""
    errand = _Errand(output, connection)
    return run(output, lambda: errand.export(request), errand.interrupted)


def wait(output: Output, connection: Connection, job: str, timeout: float | None) -> Exit:
    """Waits for a job, given by id or token."""
    errand = _Errand(output, connection)
    return run(output, lambda: errand.wait(job, timeout), errand.interrupted)


def status(output: Output, connection: Connection, job: str) -> Exit:
    """One look at a job."""

    async def work() -> Exit:
        async with connection.client() as client:
            handle = _job_of(client, job)
            report = await handle.status()
            document = dict(report) | {"data_path": await _path_of(handle)}
        output.result(document, fields_text(_shown(document)))
        unhappy = report.status in (JobStatus.FAILED, JobStatus.CANCELLED)
        return Exit.JOB_FAILED if unhappy else Exit.FINISHED

    return run(output, work)


def cancel(output: Output, connection: Connection, job: str, timeout: float) -> Exit:
    """Cancels a job and looks until that is confirmed."""

    async def work() -> Exit:
        async with connection.client() as client:
            handle = _job_of(client, job)
            outcome = await handle.cancel(timeout=timeout)
        report = handle.report
        document = {
            "job_id": handle.job_id,
            "outcome": outcome,
            "status": report.status if report else None,
        }
        output.result(document, fields_text(document))
        confirmed = outcome is not CancelOutcome.NOT_CONFIRMED
        return Exit.FINISHED if confirmed else Exit.TIMED_OUT

    return run(output, work)


def jobs(
    output: Output, connection: Connection, filters: dict[str, Any], limit: int | None
) -> Exit:
    """Lists jobs; `filters` are those of `DliClient.jobs`."""

    async def work() -> Exit:
        rows: list[JobRow] = []
        async with connection.client() as client:
            async for row in client.jobs(**filters):
                rows.append(row)
                if len(rows) == limit:
                    break
        output.result(rows, rows_table(map(_with_reason, rows), _JOB_COLUMNS))
        return Exit.FINISHED

    return run(output, work)


def _job_of(client: DliClient, text: str) -> ExportJob:
    """The job of an id, or of the JSON text of an `ExportJob.token`."""
    is_token = text.lstrip().startswith("{")
    return ExportJob.resume(client, text) if is_token else client.job(text.strip())


async def _path_of(job: ExportJob) -> str | None:
    """The folder of a job, as far as it can be told."""
    if job.spec is not None:
        return job.spec.data_path
    with suppress(DliError):
        return (await job.detail()).data_path
    return None


def _shown(status: dict[str, Any]) -> dict[str, Any]:
    """What people want to see of a job: its state once, a reason if it failed, no schema."""
    hidden = {"detail"} if status["status"] is JobStatus.UNKNOWN else {"detail", "raw_status"}
    status = {name: value for name, value in status.items() if name not in hidden}
    failed = status["status"] is JobStatus.FAILED
    return status | {"message": status["message"] or (_NO_REASON if failed else None)}


def _with_reason(row: JobRow) -> JobRow:
    """A row that tells why its job failed, and nothing of the kind if it did not."""
    failed = row.status is JobStatus.FAILED
    return row.model_copy(update={"message": (row.message or _NO_REASON) if failed else None})


def _result_document(result: ExportResult) -> dict[str, Any]:
    spec = result.spec
    return {
        "job_id": result.job_id,
        "status": result.status,
        "database_name": spec.database_name if spec else result.report.database_name,
        "table_name": spec.table_name if spec else result.report.table_name,
        "data_path": result.data_path,
        "row_count": result.row_count,
        "input_size": result.input_size,
        "started_at": result.started_at,
        "duration": result.duration,
        "queue_name": result.queue_name,
    }
