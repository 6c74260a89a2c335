"""The vendor's own SDK as the client: somebody else's parser is the best judge there is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anyio.from_thread
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkdli.v1 import (
    CancelSqlJobRequest,
    DliClient,
    ExportTableRequest,
    ExportTableRequestBody,
    ListDatabasesRequest,
    ListQueuesRequest,
    ListSqlJobsRequest,
    ListTablesRequest,
    ShowSqlJobDetailRequest,
    ShowSqlJobProgressRequest,
    ShowSqlJobStatusRequest,
    ShowTableRequest,
)

from dli_async.emulator import ACCESS_KEY, PROJECT_ID, SECRET_KEY, Emulator, NullEngine
from dli_async.emulator.server import running

from .conftest import TABLES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Clock:
    """Stands still at the present, which the vendor's signer signs, unless a test moves it."""

    def __init__(self) -> None:
        self.began = time.time()
        self.ahead = 0.0

    def __call__(self) -> float:
        return self.began + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emulator(clock: Clock) -> Emulator:
    """Jobs run for minutes, so that only the test's clock ends them."""
    engine = NullEngine(TABLES)
    return Emulator(engine=engine, clock=clock, inline=True, launch=1.0, run=120.0)


@pytest.fixture
def url(emulator: Emulator) -> Iterator[str]:
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(emulator)) as base,
    ):
        yield base
    emulator.close()


def connect(url: str, secret: str = SECRET_KEY, project: str | None = PROJECT_ID) -> Any:
    credentials = BasicCredentials(ACCESS_KEY, secret, project)
    builder = DliClient.new_builder().with_credentials(credentials)
    return builder.with_region(Region("cn-north-4", url)).build()


@pytest.fixture
def sdk(url: str) -> Any:
    """The vendor's client, with the vendor's signatures."""
    return connect(url)


def submit(sdk: Any, **fields: Any) -> Any:
    body = {
        "data_path": "obs://bucket/folder",
        "data_type": "csv",
        "database_name": "sales",
        "table_name": "orders",
        "compress": "gzip",
        "queue_name": "queue1",
        "with_column_header": True,
        **fields,
    }
    return sdk.export_table(ExportTableRequest(body=ExportTableRequestBody(**body)))


def test_an_export_is_submitted_and_watched_to_its_end(
    sdk: Any, emulator: Emulator, clock: Clock
) -> None:
    """Submit, status, detail and progress parse, and say what they should."""
    accepted = submit(sdk)
    job_id = accepted.job_id
    assert accepted.is_success is True
    assert accepted.job_mode == "async"

    clock.ahead = 2.0
    status = sdk.show_sql_job_status(ShowSqlJobStatusRequest(job_id=job_id))
    assert (status.status, status.job_type, status.job_mode) == ("RUNNING", "EXPORT", "async")
    assert (status.database_name, status.table_name) == ("sales", "orders")
    assert (status.queue_name, status.owner) == ("queue1", "emulator")
    assert abs(status.start_time / 1000 - time.time()) < 60
    assert json.loads(status.detail)["type"] == "struct"

    progress = sdk.show_sql_job_progress(ShowSqlJobProgressRequest(job_id=job_id))
    assert (progress.job_id, progress.status) == (job_id, "RUNNING")
    assert 0 <= progress.progress < 1
    assert progress.sub_jobs[0].num_tasks == 20

    detail = sdk.show_sql_job_detail(ShowSqlJobDetailRequest(job_id=job_id))
    assert (detail.data_path, detail.data_type) == ("obs://bucket/folder", "csv")
    assert (detail.export_mode, detail.compress) == ("ErrorIfExists", "gzip")
    assert detail.with_column_header is True

    clock.ahead = 800.0  # within the 15 minutes that signatures allow
    status = sdk.show_sql_job_status(ShowSqlJobStatusRequest(job_id=job_id))
    assert status.status == "FINISHED"
    assert status.result_count == emulator.ledger.jobs[0].exported.rows
    assert status.duration == int(emulator.ledger.jobs[0].seconds(clock()) * 1000)
    done = sdk.show_sql_job_progress(ShowSqlJobProgressRequest(job_id=job_id))
    assert done.progress == 1.0


def test_jobs_are_listed_and_cancelled(sdk: Any) -> None:
    """The list's rows, its filters, and the cancel parse."""
    ids = [submit(sdk, data_path=f"obs://bucket/{n}").job_id for n in range(3)]

    page = sdk.list_sql_jobs(
        ListSqlJobsRequest(
            job_type="EXPORT",
            job_types=["EXPORT", "QUERY"],
            page_size=2,
            current_page=1,
            order="start_time_asc",
            queue_name="queue1",
            engine_type="spark",
            start=0,
            end=0,
        )
    )
    assert page.job_count == 3
    assert [row.job_id for row in page.jobs] == ids[:2]
    assert {row.status for row in page.jobs} == {"LAUNCHING"}
    assert page.jobs[0].with_column_header is True

    assert sdk.cancel_sql_job(CancelSqlJobRequest(job_id=ids[0])).is_success is True
    cancelled = sdk.list_sql_jobs(ListSqlJobsRequest(job_status="CANCELLED"))
    assert [row.job_id for row in cancelled.jobs] == [ids[0]]
    assert cancelled.jobs[0].end_time > 0
    with pytest.raises(ClientRequestException) as refused:
        sdk.cancel_sql_job(CancelSqlJobRequest(job_id=ids[0]))
    assert (refused.value.status_code, refused.value.error_code) == (400, "DLI.0007")


def test_databases_tables_and_queues_are_listed(sdk: Any) -> None:
    """Everything a user would look up before an export parses."""
    databases = sdk.list_databases(ListDatabasesRequest(with_priv=False))
    assert [row.database_name for row in databases.databases] == ["crm", "sales"]
    assert databases.database_count == 2

    request = ListTablesRequest(database_name="sales", with_detail=True, page_size=100)
    tables = sdk.list_tables(request)
    assert {row.table_name for row in tables.tables} == {"orders", "items"}
    assert {row.table_type for row in tables.tables} == {"MANAGED"}
    assert tables.tables[0].create_time > 0

    table = sdk.show_table(ShowTableRequest(database_name="sales", table_name="orders"))
    assert table.column_count == len(table.columns) == 2
    assert (table.columns[0].column_name, table.table_type) == ("id", "MANAGED")

    queues = sdk.list_queues(ListQueuesRequest(queue_type="all"))
    assert [row.queue_name for row in queues.queues] == ["default", "queue1", "queue2"]


def test_refusals_are_understood(sdk: Any) -> None:
    """The SDK finds code, text and request id where it looks for them."""
    with pytest.raises(ClientRequestException) as missing:
        submit(sdk, table_name="nope")

    assert (missing.value.status_code, missing.value.error_code) == (400, "DLI.0002")
    assert "nope" in missing.value.error_msg
    assert missing.value.request_id


def test_a_wrong_secret_is_refused_by_the_gateway(url: str) -> None:
    """The SDK's signature is really checked."""
    with pytest.raises(ClientRequestException) as denied:
        connect(url, secret="wrong").list_queues(ListQueuesRequest())

    assert (denied.value.status_code, denied.value.error_code) == (401, "APIGW.0301")
    assert "canonicalRequest:GET|" in denied.value.error_msg


def test_the_project_is_looked_up_at_iam(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a project the SDK asks IAM by region, signed, and goes on with the answer."""
    monkeypatch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", url)

    queues = connect(url, project=None).list_queues(ListQueuesRequest())

    assert queues.queues
