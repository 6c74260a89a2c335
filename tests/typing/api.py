"""Uses of the public names as their types allow them; checked by mypy and never run."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

import httpx

from dli_async import (
    AkSk,
    ApiError,
    CancelOutcome,
    Compress,
    DliClient,
    Event,
    ExportJob,
    ExportResult,
    IamToken,
    JobFailed,
    JobRow,
    JobStatus,
    PollPolicy,
    QueryExport,
    ResultExport,
    RetryPolicy,
    StaticToken,
    StatusEndpoint,
    StatusReport,
    SubmitPolicy,
    TableExport,
)

SPEC = TableExport(
    database_name="db2",
    table_name="t2",
    data_path="obs://home/data1/DLI/test",
    data_type="json",
    compress=Compress.GZIP,
    queue_name=None,
    with_column_header=True,
)


QUERY = QueryExport("SELECT 1", "obs://b/q", data_type="parquet", conf={"a.b": "1"})
PART = QueryExport.of_table("db2", "t2", "obs://b/p", columns=["id"], where="id > 1")
RESULT = ResultExport("828d4044", "obs://b/r", limit_num=10, encoding_type="gbk")


async def exists(folder: str) -> bool:
    return bool(folder)


async def look(job_id: str) -> StatusReport:
    return StatusReport(job_id=job_id, status=JobStatus.FINISHED)


def watch(event: Event) -> None: ...


async def awaits_an_export() -> None:
    async with DliClient(region="cn-north-4", project_id="p", auth=AkSk("ak", "sk")) as client:
        result = await client.export(SPEC, timeout=3600, on_report=print)
        assert_type(result, ExportResult)
        assert_type(result.duration, timedelta | None)
        assert_type(await client.export(QUERY), ExportResult)
        async with client.export_many([SPEC, QUERY, PART, RESULT]):
            pass
        job = await client.submit(SPEC)
        assert_type(job, ExportJob)
        assert_type(await job, ExportResult)
        assert_type(await job.status(), StatusReport)
        assert_type(await job.cancel(), CancelOutcome)
        assert_type(job.token, str)
        resumed = ExportJob.resume(client, job.token)
        assert_type(await resumed.result(timeout=None, on_timeout="cancel"), ExportResult)
        attached = client.job("828d4044", status_source=look, polling=PollPolicy(wait_max=5))
        assert_type(attached.job_id, str | None)
        async for row in client.jobs(status=JobStatus.RUNNING):
            assert_type(row, JobRow)


def builds_clients() -> list[DliClient]:
    return [
        DliClient.from_env(),
        DliClient(endpoint="http://127.0.0.1:8765", auth=StaticToken("t")),
        DliClient(
            endpoint="http://127.0.0.1:8765",
            auth=httpx.BasicAuth("user", "password"),
            retry=RetryPolicy(attempts=3),
            submit=SubmitPolicy(grace=60),
            polling=PollPolicy(give_up_after=600),
            status_source=look,
            table_exports="auto",
            folder_check=exists,
            transport=httpx.MockTransport(lambda request: httpx.Response(200)),
            on_event=watch,
        ),
        DliClient(region="cn-north-4", auth=IamToken("user", "password", "domain")),
    ]


def makes_a_source(client: DliClient) -> StatusEndpoint:
    return StatusEndpoint(client, path="/gateway/{job_id}")


def reads_errors(error: Exception) -> str | None:
    if isinstance(error, ApiError):
        assert_type(error.retry_after, float | None)
        return error.error_code
    if isinstance(error, JobFailed):
        return error.report.message if error.report else None
    return None
