"""The vendor's own SDK submits statements, and reads what the emulator says about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkdli.v1 import (
    CreateSqlJobRequest,
    CreateSqlJobRequestBody,
    ExportSqlJobResultRequest,
    ExportSqlJobResultRequestBody,
    ExportTableRequest,
    ExportTableRequestBody,
    ListSqlJobsRequest,
    PreviewSqlJobResultRequest,
    ShowSqlJobDetailRequest,
    ShowSqlJobStatusRequest,
    Tag,
)

from dli_async.emulator import Emulator
from dli_async.emulator.server import running

from .test_vendor_sdk import Clock, connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

INSERT = (
    "INSERT OVERWRITE DIRECTORY 'obs://bucket/folder' USING csv "
    "OPTIONS('header'='true','compression'='none') SELECT store_id, city FROM `sales`.`stores`"
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emulator(clock: Clock, tmp_path: Path) -> Emulator:
    """Real tables and files, done at once; only the test's clock ends jobs."""
    return Emulator(
        obs_dir=tmp_path, clock=clock, inline=True, launch=1.0, run=20.0, job_bucket="jobs",
        without=["export-table"],
    )  # fmt: skip


@pytest.fixture
def sdk(emulator: Emulator) -> Iterator[Any]:
    """The vendor's client, with the vendor's signatures."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(emulator)) as url,
    ):
        yield connect(url)
    emulator.close()


def submit(sdk: Any, sql: str, **fields: Any) -> Any:
    return sdk.create_sql_job(CreateSqlJobRequest(body=CreateSqlJobRequestBody(sql=sql, **fields)))


def status(sdk: Any, job_id: str) -> Any:
    return sdk.show_sql_job_status(ShowSqlJobStatusRequest(job_id=job_id))


def test_an_insert_writes_its_files(sdk: Any, clock: Clock, tmp_path: Path) -> None:
    """Submit, status, list by tags and detail parse, and the files are there."""
    accepted = submit(
        sdk,
        INSERT,
        currentdb="sales",
        current_catalog="dli",
        queue_name="queue1",
        engine_type="spark",
        conf=["spark.sql.files.maxRecordsPerFile = 0"],
        tags=[Tag(key="dli_async", value="5f0c-1")],
    )
    assert (accepted.is_success, accepted.job_type, accepted.job_mode) == (True, "INSERT", "async")

    clock.ahead = 800.0
    ended = status(sdk, accepted.job_id)
    assert (ended.status, ended.result_count, ended.input_row_count) == ("FINISHED", 40, 40)
    assert ended.bad_row_count == 0
    assert ended.statement == INSERT
    assert [(tag.key, tag.value) for tag in ended.tags] == [("dli_async", "5f0c-1")]

    listed = sdk.list_sql_jobs(ListSqlJobsRequest(tags="dli_async=5f0c-1", job_type="INSERT"))
    assert [row.job_id for row in listed.jobs] == [accepted.job_id]
    assert listed.jobs[0].tags[0].value == "5f0c-1"
    assert int(listed.jobs[0].output_byte) > 0
    fuzzy = sdk.list_sql_jobs(ListSqlJobsRequest(tags="async=5f0c", job_types=["INSERT", "QUERY"]))
    assert fuzzy.job_count == 1

    detail = sdk.show_sql_job_detail(ShowSqlJobDetailRequest(job_id=accepted.job_id))
    assert (detail.is_success, detail.data_path) == (True, None)
    (part,) = (tmp_path / "bucket" / "folder").glob("part-00000-*-c000.csv")
    assert part.read_text().splitlines()[0] == "store_id,city"
    assert len(part.read_text().splitlines()) == 41


def test_a_query_is_previewed_and_exported(sdk: Any, clock: Clock, tmp_path: Path) -> None:
    """Its columns, its rows, its full result, and an export of it with all fields."""
    query = submit(sdk, "SELECT store_id, city, opened_on FROM stores", currentdb="sales")
    assert query.job_type == "QUERY"
    clock.ahead = 200.0
    ended = status(sdk, query.job_id)
    columns = json.loads(ended.detail)["fields"]
    assert [column["type"] for column in columns] == ["int", "string", "date"]
    assert ended.result_path.startswith("obs://jobs/jobs/result/")
    assert ended.result_format == "csv"
    (full,) = (tmp_path / ended.result_path.removeprefix("obs://")).glob("part-*.csv")
    assert len(full.read_text().splitlines()) == ended.result_count == 40

    shown = sdk.preview_sql_job_result(PreviewSqlJobResultRequest(job_id=query.job_id))
    assert (shown.job_type, shown.row_count) == ("QUERY", 40)
    assert shown.schema == [{"store_id": "int"}, {"city": "string"}, {"opened_on": "date"}]
    assert len(shown.rows) == 40
    assert shown.rows[0][:2] == [0, "北京"]

    body = ExportSqlJobResultRequestBody(
        data_path="obs://bucket/result",
        data_type="csv",
        compress="none",
        queue_name="queue1",
        export_mode="ErrorIfExists",
        with_column_header=True,
        limit_num=2,
        encoding_type="gbk",
        quote_char="'",
        escape_char="'",
    )
    export = sdk.export_sql_job_result(ExportSqlJobResultRequest(job_id=query.job_id, body=body))
    assert (export.is_success, export.job_mode) == (True, "async")
    clock.ahead = 800.0
    assert status(sdk, export.job_id).status == "FINISHED"
    detail = sdk.show_sql_job_detail(ShowSqlJobDetailRequest(job_id=export.job_id))
    assert (detail.data_path, detail.quote_char) == ("obs://bucket/result", "'")
    (part,) = (tmp_path / "bucket" / "result").glob("part-*.csv")
    assert part.read_text("gbk").splitlines()[0] == "store_id,city,opened_on"
    assert [line[:4] for line in part.read_text("gbk").splitlines()[1:]] == ["0,北京", "1,上海"]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM sales.nope", "DLI.0002"),
        ("SELECT (", "DLI.0004"),
        ("SELECT nope FROM sales.stores", "DLI.0005"),
        ("DROP TABLE sales.stores", "DLI.0007"),
    ],
)
def test_refusals_are_understood(sdk: Any, sql: str, code: str) -> None:
    """The SDK finds code and text."""
    with pytest.raises(ClientRequestException) as refused:
        submit(sdk, sql)
    assert (refused.value.status_code, refused.value.error_code) == (400, code)
    assert refused.value.error_msg


def test_a_call_that_is_gone_is_understood(sdk: Any) -> None:
    """404 with the gateway's code."""
    body = ExportTableRequestBody(
        data_path="obs://bucket/folder", data_type="csv", database_name="sales",
        table_name="stores", compress="none",
    )  # fmt: skip
    with pytest.raises(ClientRequestException) as gone:
        sdk.export_table(ExportTableRequest(body=body))
    assert (gone.value.status_code, gone.value.error_code) == (404, "APIGW.0101")
