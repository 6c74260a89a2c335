"""The commands about jobs that there are: status, cancel, jobs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ..._client import DliClient
from ..._export.job import ExportJob
from ..._values.enums import JobStatus
from ..._values.errors import DliError
from ..._values.reports import JobRow
from ..._values.results import CancelOutcome
from .._shell.connection import Connection
from .._shell.failures import Exit
from .._shell.output import Output, fields_text, rows_table
from .._shell.run import run
from .options import JobFilters

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


def status(output: Output, connection: Connection, job: str) -> Exit:
    """One look at a job."""

    async def work() -> Exit:
        async with connection.client() as client:
            handle = job_of(client, job)
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
            handle = job_of(client, job)
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


def jobs(output: Output, connection: Connection, filters: JobFilters, limit: int | None) -> Exit:
    """Lists jobs, at most `limit` unless it is None."""

    async def work() -> Exit:
        rows: list[JobRow] = []
        async with connection.client() as client:
            async for row in client.jobs(**asdict(filters)):
                rows.append(row)
                if len(rows) == limit:
                    break
        output.result(rows, rows_table(map(_with_reason, rows), _JOB_COLUMNS))
        return Exit.FINISHED

    return run(output, work)


def job_of(client: DliClient, text: str) -> ExportJob:
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
