"""Which endpoints exist: path and model in, model out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio.lowlevel
import httpx
import pytest

from dli_async import (
    ConfigurationError,
    ExportAccepted,
    InvalidResponse,
    JobStatus,
    RetryPolicy,
    StaticToken,
    TableExport,
)
from dli_async._auth import Scope, bind
from dli_async._http.api import PAGE_SIZE, Api
from dli_async._http.exchange import Http, make_client
from dli_async._http.owned_tasks import OwnedTasks
from dli_async._http.throttle import Throttle
from dli_async._values.events import Emitter

pytestmark = pytest.mark.anyio

PROJECT = "0123456789abcdef0123456789abcdef"
SPEC = TableExport(database_name="db2", table_name="t2", data_path="obs://home/a", compress="gzip")


class Called:
    """What a service was asked, and the answer it gives: a body, or a function of the query."""

    def __init__(self, body: Any, **headers: str) -> None:
        self.body = body
        self.headers = headers
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        body = self.body(request.url.params) if callable(self.body) else self.body
        return httpx.Response(200, json={"is_success": True} | body, headers=self.headers)

    @property
    def target(self) -> str:
        [request] = self.requests
        return f"{request.method} {request.url.raw_path.decode()}"

    def pages(self, name: str) -> list[str]:
        return [request.url.params[name] for request in self.requests]


@asynccontextmanager
async def over(
    handler: Callable[[httpx.Request], Any], project: str = PROJECT
) -> AsyncIterator[Api]:
    async with make_client(httpx.MockTransport(handler), 30) as client:
        tasks = OwnedTasks()
        auth = bind(StaticToken("t"), Scope(project_id=project, environ={}), client.send)
        http = Http(
            client,
            endpoint="https://dli.test",
            auth=auth,
            throttle=Throttle(4),
            tasks=tasks,
            retry=RetryPolicy(attempts=1),
            request_timeout=30,
            emit=Emitter(None),
        )
        yield Api(http, auth.project_id)
        await tasks.drain()


async def exported(body: Any) -> Any:
    outcomes: list[Any] = []
    called = Called(body)
    async with over(called) as api:
        await api.export(
            SPEC.posting("export-table", "k"), anyio.lowlevel.checkpoint, outcomes.append
        )
    assert called.target == f"POST /v1.0/{PROJECT}/jobs/export-table"
    assert json.loads(called.requests[0].content) == SPEC.body()
    [outcome] = outcomes
    return outcome


async def test_an_export_is_posted_with_its_body() -> None:
    """The spec's own body goes to the spec's own route."""
    outcome = await exported({"job_id": "j-1", "message": "", "job_mode": "async"})
    assert isinstance(outcome, ExportAccepted)
    assert (outcome.job_id, outcome.job_mode) == ("j-1", "async")


@pytest.mark.parametrize("body", [{}, {"job_id": ""}, {"job_id": None}])
async def test_a_yes_without_a_job_id_is_no_usable_answer(body: dict[str, Any]) -> None:
    """It may have been accepted, so it is not taken for a refusal."""
    assert isinstance(await exported(body), InvalidResponse)


async def test_a_status_is_read_from_its_page() -> None:
    """The id asked for stands in where the answer has none, and `Retry-After` is kept."""
    called = Called(
        {"status": "RUNNING", "message": None, "retry_after": "x"}, **{"Retry-After": "9"}
    )
    async with over(called) as api:
        report = await api.status("a/b c")
    assert called.target == f"GET /v1.0/{PROJECT}/jobs/a%2Fb%20c/status"
    assert (report.job_id, report.status, report.retry_after) == ("a/b c", JobStatus.RUNNING, 9.0)


async def test_a_status_without_a_state_cannot_be_understood() -> None:
    """What the job is doing cannot be guessed; the answer is told."""
    async with over(Called({"job_id": "1"}, **{"X-Request-Id": "r-1"})) as api:
        with pytest.raises(InvalidResponse, match="status") as caught:
            await api.status("1")
    assert (caught.value.request_id, caught.value.status_code) == ("r-1", 200)


async def test_a_status_page_of_the_users_own_needs_no_project() -> None:
    """The project is looked up only where the path has it."""

    async def unknown() -> str:
        raise AssertionError("not needed")

    called = Called({"status": "FINISHED"})
    async with over(called) as api:
        api.project_id = unknown
        await api.status("1", path="/gateway/{job_id}")
    assert called.target == "GET /gateway/1"


@pytest.mark.parametrize("path", ["/a/{job_id}/{other}", "/a/{job_id}/{", "/a/{0}/{job_id}"])
async def test_a_path_that_cannot_be_filled_in_is_told(path: str) -> None:
    """A typing error in a path of the user's own is theirs to see."""
    async with over(Called({})) as api:
        with pytest.raises(ConfigurationError, match="path="):
            await api.status("1", path=path)


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_cannot_change_the_path(name: str) -> None:
    """An id from elsewhere never reaches another endpoint."""
    called = Called({})
    async with over(called) as api:
        for ask in (api.status, api.cancel_job, api.job_detail, api.job_progress):
            with pytest.raises(ConfigurationError, match="job_id="):
                await ask(name)
        with pytest.raises(ConfigurationError, match="table="):
            await api.table("db", name)
    assert called.requests == []


async def test_the_endpoints_of_one_job() -> None:
    """Detail and cancel are under /v1.0/, progress is under /v1/."""
    called = Called({"job_id": "1", "data_path": "obs://a/b"})
    async with over(called) as api:
        assert (await api.job_detail("1")).data_path == "obs://a/b"
    assert called.target == f"GET /v1.0/{PROJECT}/jobs/1/detail"
    called = Called({"status": "RUNNING", "progress": 0.5})
    async with over(called) as api:
        assert (await api.job_progress("1")).progress == 0.5
    assert called.target == f"GET /v1/{PROJECT}/jobs/1/progress"
    called = Called({})
    async with over(called) as api:
        await api.cancel_job("1")
    assert called.target == f"DELETE /v1.0/{PROJECT}/jobs/1"


async def test_a_table_is_described() -> None:
    """Names stand in from the question; columns are read."""
    column = {"column_name": "c", "type": "int", "is_partition_column": "false"}
    called = Called({"columns": [column], "table_type": "MANAGED"})
    async with over(called) as api:
        table = await api.table("数据库", "t/1")
    assert called.target == (
        f"GET /v1.0/{PROJECT}/databases/%E6%95%B0%E6%8D%AE%E5%BA%93/tables/t%2F1"
    )
    assert (table.database_name, table.table_name) == ("数据库", "t/1")
    assert table.columns[0].is_partition_column is False


async def test_queues_of_every_type_are_listed() -> None:
    """The service hides general queues unless it is asked for all."""
    called = Called({"queues": [{"queue_name": "a"}, {"queue_name": "b"}]})
    async with over(called) as api:
        assert [row.queue_name async for row in api.queues()] == ["a", "b"]
    assert called.target == f"GET /v1.0/{PROJECT}/queues?queue_type=all"


def job(number: int) -> dict[str, Any]:
    return {"job_id": f"j{number}", "status": "RUNNING"}


async def test_all_pages_are_read() -> None:
    """The last page is the one that is not full."""

    def page(params: httpx.QueryParams) -> dict[str, Any]:
        number, size = int(params["current-page"]), int(params["page-size"])
        return {
            "jobs": [job(n) for n in range(250)][(number - 1) * size :][:size],
            "job_count": 250,
        }

    called = Called(page)
    async with over(called) as api:
        rows = [row.job_id async for row in api.jobs({"job-type": "EXPORT", "owner": None})]
    assert rows == [f"j{n}" for n in range(250)]
    assert called.pages("current-page") == ["1", "2", "3"]
    assert "owner" not in called.requests[0].url.params


async def test_pages_smaller_than_asked_for_lose_nothing() -> None:
    """A service that caps its pages still tells how many rows there are."""

    def page(params: httpx.QueryParams) -> dict[str, Any]:
        number = int(params["current-page"])
        return {"jobs": [job(n) for n in range(120)][(number - 1) * 50 :][:50], "job_count": "120"}

    async with over(Called(page)) as api:
        assert len([row async for row in api.jobs({})]) == 120


async def test_rows_that_move_between_pages_are_given_once() -> None:
    """New jobs push old ones onto the next page while it is read."""

    def page(params: httpx.QueryParams) -> dict[str, Any]:
        number = int(params["current-page"])
        newest = range(30 * (number - 1), 0, -1)
        rows = [*(job(1000 + n) for n in newest), *(job(n) for n in range(150))]
        return {"jobs": rows[(number - 1) * 100 :][:100], "job_count": len(rows)}

    async with over(Called(page)) as api:
        rows = [row.job_id async for row in api.jobs({})]
    assert len(rows) == len(set(rows))
    assert {f"j{n}" for n in range(150)} <= set(rows)


async def test_a_service_that_ignores_paging_does_not_hold_us_for_ever() -> None:
    """A page without news is the last, even if it is full."""
    rows = [{"database_name": f"d{n}"} for n in range(PAGE_SIZE + 20)]
    called = Called({"databases": rows})
    async with over(called) as api:
        assert len([row async for row in api.databases("d")]) == PAGE_SIZE + 20
    assert called.pages("offset") == ["0", str(PAGE_SIZE + 20)]


async def test_tables_carry_the_database_that_was_asked() -> None:
    """Rows do not say whose they are."""
    called = Called({"tables": [{"table_name": "t", "database_name": None, "table_size": 5}]})
    async with over(called) as api:
        rows = [row async for row in api.tables("db", {"with-detail": True, "keyword": None})]
    assert [(row.database_name, row.table_name, row.table_size) for row in rows] == [("db", "t", 5)]
    assert called.target == (
        f"GET /v1.0/{PROJECT}/databases/db/tables?current-page=1&page-size=100&with-detail=true"
    )


@pytest.mark.parametrize("rows", ["none", {"a": 1}, [1], [None], ["t"]])
async def test_a_list_that_is_none_cannot_be_understood(rows: Any) -> None:
    """Odd rows are an `InvalidResponse` and no crash."""
    async with over(Called({"jobs": rows, "tables": rows})) as api:
        with pytest.raises(InvalidResponse, match="jobs is not a list"):
            await api.list_jobs({})
        with pytest.raises(InvalidResponse, match="tables is not a list"):
            _ = [row async for row in api.tables("db", {})]


@pytest.mark.parametrize(
    "body",
    [{}, {"is_success": True}, {"jobs": None, "job_count": 0}, {"jobs": [], "job_count": 7}],
)
async def test_a_list_that_shows_nothing_proves_nothing(body: dict[str, Any]) -> None:
    """It must not pass for a list that says that there are no jobs."""
    async with over(Called(body)) as api:
        with pytest.raises(InvalidResponse, match="list of"):
            await api.list_jobs({})


async def test_an_empty_list_says_that_there_are_no_jobs() -> None:
    """A count that cannot be read is none; pages after the last one are empty too."""
    async with over(Called({"jobs": [], "job_count": "many"})) as api:
        page = await api.list_jobs({})
    assert (page.rows, page.job_count) == ((), 0)
    async with over(Called({"jobs": [], "job_count": 7})) as api:
        assert (await api.list_jobs({}, page=2)).rows == ()


async def test_a_date_of_another_millennium_is_no_clock() -> None:
    """It would not fit a journal, and hides jobs."""
    async with over(Called({"jobs": []}, Date="Fri, 31 Dec 9999 23:59:59 -1200")) as api:
        await api.list_jobs({})
        assert api.http.server_clock.now() is None
