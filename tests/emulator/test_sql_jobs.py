"""Jobs by SQL over the wire: what is accepted, refused, shown, listed and exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from dli_async.emulator import PROJECT_ID, Emulator, NullEngine

from .conftest import TABLES, Caller, Clock, connect

pytestmark = pytest.mark.anyio

INTO = "INSERT OVERWRITE DIRECTORY 'obs://bucket/folder' USING csv "
INSERT = f"{INTO}SELECT * FROM sales.orders"
TAGS = [{"key": "dli_async", "value": "5f0c-1"}]


async def sql(caller: Caller, statement: str, **fields: Any) -> httpx.Response:
    body = {"sql": statement, **fields}
    return await caller.http.post(caller.path("jobs/submit-job"), json=body)


async def job(caller: Caller, statement: str, **fields: Any) -> str:
    answer = await sql(caller, statement, **fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


async def status(caller: Caller, job_id: str) -> dict[str, Any]:
    return dict((await caller.get(f"jobs/{job_id}/status")).json())


async def row(caller: Caller, job_id: str) -> dict[str, Any]:
    (found,) = (await caller.get("jobs", job_id=job_id)).json()["jobs"]
    return dict(found)


async def export_result(caller: Caller, job_id: str, **fields: Any) -> httpx.Response:
    body = {"data_path": "obs://bucket/result", "data_type": "csv", **fields}
    return await caller.http.post(caller.path(f"jobs/{job_id}/export-result"), json=body)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


async def test_an_insert_is_accepted_as_a_job(caller: Caller, clock: Clock) -> None:
    """It is asynchronous, of type INSERT, and its statement is all that tells its target."""
    answer = await sql(caller, INSERT, queue_name="Queue1", tags=TAGS, engine_type="spark")
    told = answer.json()
    clock.forward(1_000.0)
    seen = await status(caller, told["job_id"])

    assert told.items() >= {"is_success": True, "job_type": "INSERT", "job_mode": "async"}.items()
    assert seen["status"] == "FINISHED"
    assert (seen["job_type"], seen["queue_name"]) == ("INSERT", "queue1")
    assert seen["statement"] == INSERT
    assert seen["tags"] == TAGS
    assert seen["result_count"] == seen["input_row_count"] > 0
    assert seen["bad_row_count"] == 0
    assert seen["detail"] == '{"type": "struct", "fields": []}'
    for place in (seen, await row(caller, told["job_id"])):
        assert not {"database_name", "table_name", "data_path", "with_column_header"} & set(place)
    detail = (await caller.get(f"jobs/{told['job_id']}/detail")).json()
    assert "data_path" not in detail
    assert detail["tags"] == TAGS


async def test_a_query_tells_its_columns_and_rows(caller: Caller, clock: Clock) -> None:
    """Type QUERY, with the columns as JSON text."""
    job_id = await job(caller, "SELECT id AS Key, name FROM orders", currentdb="sales")
    clock.forward(1_000.0)
    seen = await status(caller, job_id)

    assert (seen["job_type"], seen["status"]) == ("QUERY", "FINISHED")
    assert '"name": "Key", "type": "bigint"' in seen["detail"]
    assert seen["result_count"] > 0
    assert "result_path" not in seen


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELEC 1", "DLI.0004"),
        ("SELECT (1", "DLI.0004"),
        ("SELECT CASE WHEN 1 THEN 2", "DLI.0004"),
        ("SELECT nope FROM sales.orders", "DLI.0005"),
        ("SELECT o.nope FROM sales.orders o", "DLI.0005"),
        ("SELECT * FROM sales.nope", "DLI.0002"),
        ("SELECT * FROM nope.orders", "DLI.0002"),
        ("SELECT * FROM orders", "DLI.0002"),
        ("SELECT * FROM other.sales.orders", "DLI.0002"),
    ],
)
@pytest.mark.parametrize("check", ["submit", "job"])
async def test_a_wrong_statement_is_refused_or_fails(
    make: Callable[..., Emulator], clock: Clock, statement: str, code: str, check: str
) -> None:
    """The documents leave it open, so there is a switch."""
    async with connect(make(sql_check=check)) as client:
        caller = Caller(client)
        answer = await sql(caller, INTO + statement if statement[:6] == "SELECT" else statement)
        if check == "submit":
            assert refusal(answer) == (400, code)
            return
        job_id = answer.json()["job_id"]
        clock.forward(1_000.0)
        seen = await status(caller, job_id)
        assert seen["status"] == "FAILED"
        assert seen["message"].startswith(f"{code}: ")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"sql": ""}, "DLI.0001"),
        ({"sql": 1}, "DLI.0001"),
        ({"sql": "SELECT 1", "spam": 1}, "DLI.0001"),
        ({"sql": "SELECT 1", "currentdb": "_x"}, "DLI.0001"),
        ({"sql": "SELECT 1", "queue_name": "12"}, "DLI.0001"),
        ({"sql": "SELECT 1", "queue_name": "nope"}, "DLI.0008"),
        ({"sql": "SELECT 1", "engine_type": "hetuEngine"}, "DLI.0007"),
        ({"sql": "SELECT 1", "current_catalog": "lake"}, "DLI.0002"),
        ({"sql": "SELECT 1", "conf": "a=b"}, "DLI.0001"),
        ({"sql": "SELECT 1", "conf": ["a"]}, "DLI.0001"),
        ({"sql": "SELECT 1", "conf": ["spark.sql.spam = 1"]}, "DLI.0007"),
        ({"sql": "SELECT 1", "conf": ["dli.sql.job.timeout = 1"]}, "DLI.0007"),
        ({"sql": "SELECT 1", "conf": ["spark.sql.shuffle.partitions = x"]}, "DLI.0001"),
        ({"sql": "SELECT 1", "tags": {"a": "b"}}, "DLI.0001"),
        ({"sql": "SELECT 1", "tags": [{"key": "a"}]}, "DLI.0001"),
        ({"sql": "SELECT 1", "tags": [{"key": "_sys_a", "value": "b"}]}, "DLI.0001"),
        ({"sql": "SELECT 1", "tags": [{"key": " a", "value": "b"}]}, "DLI.0001"),
        ({"sql": "SELECT 1", "tags": [{"key": "a", "value": "b=c"}]}, "DLI.0001"),
        ({"sql": "SELECT 1", "tags": [{"key": "a", "value": "b" * 256}]}, "DLI.0001"),
        ({"sql": f"SELECT '{'x' * 500_000}'"}, "DLI.0009"),
        ({"sql": "DROP TABLE sales.orders"}, "DLI.0007"),
        ({"sql": "SELECT * FROM sales.orders TABLESAMPLE (10 ROWS)"}, "DLI.0007"),
        ({"sql": "SELECT spam(1) AS x"}, "DLI.0007"),
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, "DLI.0007"),
        ({"sql": "SELECT read_text('/etc/passwd') AS x"}, "DLI.0007"),
        ({"sql": "SELECT getenv('HOME') AS x"}, "DLI.0007"),
        ({"sql": "SELECT * FROM `/etc/passwd`"}, "DLI.0002"),
        ({"sql": INTO.replace("csv", "carbon") + "SELECT 1 AS a"}, "DLI.0007"),
        ({"sql": INTO + "OPTIONS(spam='1') SELECT 1 AS a"}, "DLI.0007"),
        ({"sql": INTO + "OPTIONS(compression='lz4') SELECT 1 AS a"}, "DLI.0007"),
        ({"sql": INTO + "OPTIONS(encoding='utf-16') SELECT 1 AS a"}, "DLI.0007"),
        ({"sql": INTO + "OPTIONS(dateFormat='QQQ') SELECT 1 AS a"}, "DLI.0007"),
    ],
)
async def test_what_is_bad_or_unknown_is_refused_and_makes_no_job(
    emulator: Emulator, caller: Caller, fields: dict[str, Any], code: str
) -> None:
    """Loudly, whatever the switch says."""
    answer = await caller.http.post(caller.path("jobs/submit-job"), json=fields)

    assert refusal(answer) == (400, code)
    assert not emulator.ledger.jobs


async def test_a_codec_that_spark_has_not_fails_the_job(caller: Caller, clock: Clock) -> None:
    """Spark finds it out only when it writes."""
    job_id = await job(caller, INTO + "OPTIONS(compression='zip') SELECT 1 AS a")
    clock.forward(1_000.0)

    seen = await status(caller, job_id)
    assert seen["status"] == "FAILED"
    assert "DLI.0999: IllegalArgumentException: Codec [zip]" in seen["message"]


async def test_lists_follow_types_tags_and_statements(caller: Caller) -> None:
    """Types exactly, tags by any fragment, statements by any fragment in any case."""
    export = await caller.submit()
    insert = await job(caller, INSERT, tags=TAGS)
    query = await job(caller, "SELECT 1 AS a /* 5F0C */", tags=[{"key": "x", "value": "y"}])

    assert set(await caller.listed()) == {export, insert, query}
    assert await caller.listed(**{"job-type": "EXPORT"}) == [export]
    assert await caller.listed(**{"job-type": "INSERT"}) == [insert]
    assert set(await caller.listed(job_types="EXPORT,QUERY")) == {export, query}
    assert await caller.listed(job_types="EXPORT,QUERY", **{"job-type": "QUERY"}) == [query]
    assert await caller.listed(job_types="EXPORT", **{"job-type": "QUERY"}) == []
    assert await caller.listed(tags="dli_async=5f0c-1") == [insert]
    assert await caller.listed(tags="async=5f0") == [insert]
    assert await caller.listed(tags="dli_async=5f0c-1,x=y") == []
    assert await caller.listed(sql_pattern="overwrite DIRECTORY") == [insert]
    assert await caller.listed(sql_pattern="5f0c") == [query]
    assert (await row(caller, insert))["tags"] == TAGS
    assert (await row(caller, insert))["statement"] == INSERT


async def test_the_result_of_a_query_is_exported(caller: Caller, clock: Clock) -> None:
    """A job of type EXPORT of its own, whose detail shows all that was asked for."""
    query = await job(caller, "SELECT * FROM sales.orders")
    clock.forward(1_000.0)
    answer = await export_result(
        caller, query, limit_num=3, with_column_header=True, compress="gzip"
    )
    export = answer.json()["job_id"]
    clock.forward(1_000.0)

    seen = await status(caller, export)
    assert (seen["job_type"], seen["status"], seen["result_count"]) == ("EXPORT", "FINISHED", 3)
    assert "table_name" not in seen
    detail = (await caller.get(f"jobs/{export}/detail")).json()
    assert detail["data_path"] == "obs://bucket/result"
    assert (detail["compress"], detail["export_mode"]) == ("gzip", "ErrorIfExists")
    assert detail["with_column_header"] is True


async def test_an_existing_folder_is_an_error_unless_overwritten(
    caller: Caller, clock: Clock
) -> None:
    """As for export-table."""
    query = await job(caller, "SELECT 1 AS a")
    clock.forward(1_000.0)
    first = (await export_result(caller, query)).json()["job_id"]
    clock.forward(1_000.0)
    second = (await export_result(caller, query)).json()["job_id"]
    third = (await export_result(caller, query, export_mode="overwrite")).json()["job_id"]
    clock.forward(1_000.0)

    assert [await caller.state(each) for each in (first, second, third)] == [
        "FINISHED",
        "FAILED",
        "FINISHED",
    ]
    assert "already exists" in (await status(caller, second))["message"]


async def test_only_finished_queries_have_a_result(caller: Caller, clock: Clock) -> None:
    """Neither exports nor previews of anything else."""
    insert, query = await job(caller, INSERT), await job(caller, "SELECT 1 AS a")
    for each in (insert, query):
        assert refusal(await export_result(caller, each)) == (400, "DLI.0001")
        assert refusal(await caller.get(f"jobs/{each}/preview")) == (400, "DLI.0001")
    clock.forward(1_000.0)
    assert refusal(await export_result(caller, insert)) == (400, "DLI.0001")
    assert refusal(await export_result(caller, "nope")) == (400, "DLI.0002")


@pytest.mark.parametrize(
    "fields",
    [
        {"data_path": None},
        {"data_type": "parquet"},
        {"compress": "zip"},
        {"limit_num": -1},
        {"limit_num": "3"},
        {"encoding_type": "latin1"},
        {"quote_char": "ab"},
        {"escape_char": 1},
        {"export_mode": "append"},
        {"data_path": "obs://bucket"},
        {"spam": 1},
    ],
)
async def test_bad_fields_of_an_export_are_named(
    caller: Caller, clock: Clock, fields: dict[str, Any]
) -> None:
    """DLI.0001, with the field in the text."""
    query = await job(caller, "SELECT 1 AS a")
    clock.forward(1_000.0)
    answer = await export_result(caller, query, **fields)

    assert refusal(answer) == (400, "DLI.0001")
    assert next(iter(fields)) in answer.json()["error_msg"]


async def test_results_expire(make: Callable[..., Emulator], clock: Clock) -> None:
    """After `result_life` seconds, with DLI.0100."""
    async with connect(make(result_life=3_600.0)) as client:
        caller = Caller(client)
        query = await job(caller, "SELECT 1 AS a")
        clock.forward(1_000.0)
        assert (await caller.get(f"jobs/{query}/preview")).status_code == 200
        clock.forward(3_600.0)
        assert refusal(await caller.get(f"jobs/{query}/preview")) == (400, "DLI.0100")
        assert refusal(await export_result(caller, query)) == (400, "DLI.0100")


async def test_a_job_bucket_tells_where_results_lie(
    make: Callable[..., Emulator], clock: Clock
) -> None:
    """In the documented place, once the query has finished; an INSERT has none."""
    async with connect(make(job_bucket="jobs")) as client:
        caller = Caller(client)
        query, insert = await job(caller, "SELECT 1 AS a"), await job(caller, INSERT)
        assert "result_path" not in await status(caller, query)
        clock.forward(1_000.0)
        path = f"obs://jobs/jobs/result/{PROJECT_ID}/2026/01/01/{query}"
        assert (await status(caller, query))["result_path"] == path
        assert (await row(caller, query))["result_path"] == path
        assert "result_path" not in await status(caller, insert)


@pytest.mark.parametrize("name", ["export-table", "submit-job"])
async def test_a_call_can_be_taken_away(make: Callable[..., Emulator], name: str) -> None:
    """The gateway no longer knows it, whoever asks."""
    async with connect(make(without=[name]), headers={"X-Auth-Token": "nobody"}) as client:
        caller = Caller(client)
        answer = await caller.http.post(caller.path(f"jobs/{name}"), json={})
        assert refusal(answer) == (404, "APIGW.0101")
        assert answer.json()["request_id"]


async def test_a_call_can_be_refused_by_dli_itself(make: Callable[..., Emulator]) -> None:
    """With any of its codes; the other calls work."""
    async with connect(make(without=["export-table:DLI.0007"])) as client:
        caller = Caller(client)
        assert refusal(await caller.post()) == (400, "DLI.0007")
        assert (await sql(caller, INSERT)).status_code == 200


@pytest.mark.parametrize("word", ["export", "export-table:DLI.9999", "ledger"])
def test_an_unknown_call_cannot_be_taken_away(word: str) -> None:
    """A misspelt word would make a test prove nothing."""
    with pytest.raises(ValueError):
        Emulator(without=[word])


async def test_an_answer_can_be_lost_after_the_job_was_made(
    emulator: Emulator, caller: Caller
) -> None:
    """Faults know the call, and match tables and paths of its statement."""
    lost = {"route": "submit-job", "when": "after", "kind": "reset", "times": 1}
    emulator.faults.set([{**lost, "match": "obs://bucket/folder"}])

    with pytest.raises(httpx.ReadError):
        await sql(caller, INSERT)
    emulator.faults.set([{**lost, "match": "sales.orders"}])
    with pytest.raises(httpx.ReadError):
        await sql(caller, INSERT)

    assert len(emulator.ledger.jobs) == 2
    assert len(emulator.ledger.duplicate_submissions()) == 1


async def test_jobs_by_sql_can_be_made_to_fail(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """The same faults as for export-table."""
    emulator.faults.set([{"route": "submit-job", "kind": "fail:DLI.0999"}])
    job_id = await job(caller, INSERT)
    clock.forward(1_000.0)

    assert await caller.state(job_id) == "FAILED"


async def test_the_ledger_has_statements_and_tags(caller: Caller) -> None:
    """The fields of an export, and what it does not have."""
    await job(caller, INSERT, tags=TAGS, queue_name="queue1")
    (entry,) = (await caller.http.get("/_emulator/ledger")).json()["jobs"]

    assert entry["spec"] == {
        "data_path": "obs://bucket/folder",
        "data_type": "csv",
        "database_name": "default",
        "table_name": "",
        "compress": "none",
        "queue_name": "queue1",
        "export_mode": "Overwrite",
        "with_column_header": False,
        "job_type": "INSERT",
        "statement": INSERT,
        "conf": [],
        "tags": {"dli_async": "5f0c-1"},
    }


class OwnEngine:
    """An engine of somebody's own, which knows nothing of SQL."""

    def __init__(self) -> None:
        self._tables = NullEngine(TABLES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)


async def test_an_engine_of_ones_own_runs_no_sql(make: Callable[..., Emulator]) -> None:
    """It is said so; tables are exported as ever."""
    async with connect(make(engine=OwnEngine())) as client:
        caller = Caller(client)
        assert refusal(await sql(caller, INSERT)) == (400, "DLI.0007")
        assert await caller.submit()
