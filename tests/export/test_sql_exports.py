"""Exports by SQL: which way they go, how a lost answer is settled, what is seen of their jobs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from dli_async import (
    ApiError,
    ConfigurationError,
    DliClient,
    ExportJob,
    ExportTableGone,
    FolderExists,
    JobFailed,
    JobLost,
    NotFound,
    PermissionDenied,
    QueryExport,
    ResultExpired,
    ResultExport,
    SubmitInDoubt,
    SubmitPolicy,
)

from ..support import EPOCH, Service, accepted, dated, refused, report, row, spec

pytestmark = pytest.mark.anyio

GONE = [refused(404, "APIGW.0101"), refused(404, "APIG.0101"), refused(400, "DLI.0007", "no more")]
QUERY = QueryExport("SELECT a FROM db2.t2", "obs://home/q", export_mode="Overwrite")
LOST = httpx.ReadError("reset")


async def absent(path: str) -> bool:
    return False


async def present(path: str) -> bool:
    return True


def bodies(service: Service, route: str) -> list[Any]:
    """What was posted to a route."""
    return [body for _, path, _, body in service.calls if path.endswith(route)]


def key_of(body: Any) -> str:
    """The id that a submit carries."""
    [tag] = [tag for tag in body["tags"] if tag["key"] == "dli_async"]
    return str(tag["value"])


def rows_by(make: Callable[[str], list[dict[str, Any]]], service: Service) -> Any:
    """A job list whose rows know the key of the first submit by SQL."""

    def answer(request: httpx.Request) -> httpx.Response:
        rows = make(key_of(bodies(service, "submit-job")[0]))
        return dated(EPOCH + timedelta(seconds=5), jobs=rows, job_count=len(rows))

    return answer


def sql_row(job_id: str, **fields: Any) -> dict[str, Any]:
    """A row of the list for a job of an INSERT, without what a test does not give."""
    given = {"job_type": "INSERT", "database_name": None, "table_name": None}
    return row(job_id, age=5.0, **given, **fields)


def tagged(value: str) -> dict[str, Any]:
    """A tag as rows have it."""
    return {"tags": [{"key": "team", "value": "blue"}, {"key": "dli_async", "value": value}]}


def jobs_asked(service: Service) -> list[dict[str, str]]:
    """The queries of all job lists."""
    return [query for _, path, query, _ in service.calls if path.endswith("/jobs")]


@pytest.mark.parametrize("gone", GONE)
async def test_a_call_that_is_gone_is_said_once_and_sql_goes_on(
    gone: httpx.Response, caplog: pytest.LogCaptureFixture
) -> None:
    """From then on tables go by SQL at once: one line, one event, one wasted request."""
    events: list[Any] = []
    service = Service(submit=gone, sql=[accepted("job-1"), accepted("job-2")])
    service.set(status=lambda request: report("FINISHED", request.url.path.split("/")[-2]))
    client = service.client(folder_check=absent, on_event=events.append)
    with caplog.at_level(logging.WARNING, "dli_async.submit"):
        async with client:
            await client.export(spec())
            await client.export(spec(data_path="obs://home/data1/other"))
    assert (service.count("submit"), service.count("sql")) == (1, 2)
    assert [type(e) for e in events if isinstance(e, ExportTableGone)] == [ExportTableGone]
    assert [line for line in caplog.messages if "by SQL from now on" in line] == caplog.messages
    body = bodies(service, "submit-job")[0]
    assert body["sql"].endswith("SELECT * FROM `db2`.`t2`")
    assert f"/* dli_async {key_of(body)} */" in body["sql"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refused(400, "DLI.0002", "there is no table named t2"), NotFound),
        (refused(400, "DLI.0003"), PermissionDenied),
        (refused(403, "APIGW.0302"), PermissionDenied),
        (refused(404, "DLI.0023"), NotFound),
        (refused(400, "DLI.0007", "db2.t2 is a VIEW"), ApiError),
        (refused(400, "DLI.0001"), ApiError),
    ],
)
async def test_what_is_about_a_table_or_a_permission_never_switches(
    reply: httpx.Response, error: type[Exception]
) -> None:
    """The refusal is the caller's, and nothing is tried by SQL."""
    service = Service(submit=reply)
    async with service.client(folder_check=absent) as client:
        with pytest.raises(error):
            await client.submit(spec())
    assert service.count("sql") == 0


async def test_each_way_can_be_asked_for() -> None:
    """`sql` never posts to export-table, and `export-table` never by SQL."""
    service = Service(sql=accepted(), submit=refused(404, "APIGW.0101"))
    async with service.client(table_exports="sql", folder_check=absent) as client:
        await client.submit(spec())
    async with service.client(table_exports="export-table", folder_check=absent) as client:
        with pytest.raises(ApiError):
            await client.submit(spec())
    assert [path.split("/")[-1] for _, path, _, _ in service.calls] == [
        "submit-job",
        "export-table",
    ]
    with pytest.raises(ConfigurationError, match="export-table, sql"):
        service.client(table_exports="rest")


def test_the_way_can_be_set_by_the_environment() -> None:
    """`DLI_TABLE_EXPORTS` is read where other settings are."""
    variables = {"DLI_ENDPOINT": "https://dli.test", "DLI_TABLE_EXPORTS": "sideways"}
    with pytest.raises(ConfigurationError, match="sideways"):
        DliClient.from_env(variables)


async def test_without_eyes_error_if_exists_by_sql_is_refused_with_the_ways_out() -> None:
    """Never a silent Overwrite: nothing is posted, and Overwrite goes through."""
    service = Service(sql=accepted())
    async with service.client(table_exports="sql") as client:
        with pytest.raises(ConfigurationError, match=r"folder_check.*Overwrite"):
            await client.submit(spec())
        assert service.calls == []
        await client.submit(spec(export_mode="Overwrite"))
    assert service.count("sql") == 1


async def test_a_folder_that_exists_is_seen_before_the_post() -> None:
    """The error is an AlreadyExists, and nothing was sent or noted."""
    service = Service()
    async with service.client(table_exports="sql", folder_check=present) as client:
        job = ExportJob(client, spec())
        with pytest.raises(FolderExists, match="not sent"):
            await job
        assert not job.in_doubt
    assert service.calls == []


async def test_the_own_tag_settles_a_lost_answer_in_one_request() -> None:
    """The filter of the service is fuzzy, so that tags are compared letter by letter."""
    service = Service(sql=LOST)

    def rows(key: str) -> list[dict[str, Any]]:
        fuzzy = sql_row("fuzzy", **tagged(f"{key}0"))
        return [fuzzy, sql_row("mine", **tagged(key)), sql_row("other", statement="SELECT 1")]

    service.set(jobs=rows_by(rows, service))
    async with service.client() as client:
        job = await client.submit(QUERY)
    assert job.job_id == "mine"
    [asked] = jobs_asked(service)
    assert asked["job-type"] == "ALL"
    assert asked["tags"] == f"dli_async={key_of(bodies(service, 'submit-job')[0])}"
    assert service.count("detail") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OVERWRITE DIRECTORY 'x' USING csv /* dli_async {key} */ SELECT 1",
        "INSERT OVERWRITE DIRECTORY 'obs://home/q' USING csv SELECT a FROM db2.t2",
    ],
)
async def test_without_tags_the_comment_tells_and_then_the_folder(statement: str) -> None:
    """The statement is in the list, so that no detail need be asked."""
    service = Service(sql=LOST)
    service.set(
        jobs=rows_by(
            lambda key: [
                sql_row("mine", statement=statement.format(key=key)),
                sql_row("other", statement="INSERT ... /* dli_async 77 */ 'obs://home/q'"),
            ],
            service,
        )
    )
    async with service.client() as client:
        job = await client.submit(QUERY)
    assert job.job_id == "mine"
    assert service.count("sql") == 1
    assert service.count("detail") == 0


async def test_a_job_is_known_by_its_key_whatever_its_type_is() -> None:
    """That the statement makes an INSERT is likely, and nowhere documented."""
    service = Service(sql=LOST)
    service.set(
        jobs=rows_by(lambda key: [{**sql_row("mine", **tagged(key)), "job_type": "DDL"}], service)
    )
    async with service.client() as client:
        assert (await client.submit(QUERY)).job_id == "mine"
    assert service.count("sql") == 1


async def test_before_another_post_the_list_is_read_without_the_filter() -> None:
    """A filter that hides the job must not make a second one."""
    service = Service(sql=LOST)

    def answer(request: httpx.Request) -> Any:
        key = key_of(bodies(service, "submit-job")[0])
        hidden = "tags" in request.url.params
        rows = [] if hidden else [sql_row("mine", **tagged(key))]
        return dated(EPOCH + timedelta(seconds=5), jobs=rows, job_count=len(rows))

    service.set(jobs=answer)
    async with service.client() as client:
        assert (await client.submit(QUERY)).job_id == "mine"
    assert ["tags" in query for query in jobs_asked(service)] == [True, False]


async def test_a_second_post_carries_the_same_key() -> None:
    """So that whichever of them landed is found by it."""
    service = Service(sql=[LOST, accepted("job-2")])
    service.set(jobs=dated(EPOCH + timedelta(seconds=5), jobs=[], job_count=0))
    async with service.client(submit=SubmitPolicy(grace=3)) as client:
        assert (await client.submit(QUERY)).job_id == "job-2"
    first, second = map(key_of, bodies(service, "submit-job"))
    assert first == second


async def test_two_exports_of_one_query_find_their_own_jobs() -> None:
    """All answers are lost, and each export adopts the job with its key."""
    service = Service(sql=LOST)

    def answer(request: httpx.Request) -> Any:
        keys = [key_of(body) for body in bodies(service, "submit-job")]
        rows = [sql_row(f"job-{number}", **tagged(key)) for number, key in enumerate(keys)]
        return dated(EPOCH + timedelta(seconds=5), jobs=rows, job_count=len(rows))

    service.set(jobs=answer)
    specs = [QUERY.model_copy(update={"data_path": f"obs://home/q{n}"}) for n in range(8)]
    found: dict[str, str | None] = {}
    async with service.client() as client:

        async def submit(one: QueryExport) -> None:
            found[one.data_path] = (await client.submit(one)).job_id

        async with anyio.create_task_group() as group:
            for one in specs:
                group.start_soon(submit, one)
    posted = [body["sql"].split("'")[1] for body in bodies(service, "submit-job")]
    assert found == {path: f"job-{number}" for number, path in enumerate(posted)}


async def test_a_folder_that_an_own_post_may_have_made_is_a_doubt() -> None:
    """It is looked for again, and never posted over; what stays unknown is in doubt."""
    service = Service(sql=LOST)
    service.set(jobs=dated(EPOCH + timedelta(seconds=5), jobs=[], job_count=0))

    async def check(path: str) -> bool:
        return service.count("sql") > 0

    async with service.client(
        table_exports="sql", folder_check=check, submit=SubmitPolicy(grace=3)
    ) as client:
        with pytest.raises(SubmitInDoubt):
            await client.submit(spec())
    assert service.count("sql") == 1


async def test_a_token_carries_the_key_to_another_process() -> None:
    """There the job is found by it, whichever way it was posted."""
    service = Service(sql=LOST)
    service.set(jobs=httpx.Response(403, json={"error_code": "DLI.0003", "error_msg": "no"}))
    async with service.client(table_exports="sql", folder_check=absent) as client:
        job = ExportJob(client, spec())
        with pytest.raises(SubmitInDoubt):
            await job.submit()
        token = job.token
    service.set(jobs=rows_by(lambda key: [sql_row("mine", **tagged(key))], service))
    async with service.client() as client:
        assert await client.resume(token).submit() == "mine"
    assert jobs_asked(service)[-1]["job-type"] == "ALL"
    assert json.loads(token)["export_id"] == key_of(bodies(service, "submit-job")[0])


async def test_a_job_with_the_key_of_another_export_is_lost() -> None:
    """An id that now shows another export must not pass for this one."""
    service = Service(sql=accepted(), status=report("FINISHED", **tagged("somebody-else")))
    async with service.client() as client:
        with pytest.raises(JobLost, match="somebody-else"):
            await client.export(QUERY)


async def test_a_query_tells_the_rows_it_wrote() -> None:
    """Of rows that were read only some may pass its condition."""
    ended = report("FINISHED", job_type="INSERT", input_row_count=900, result_count=3)
    service = Service(sql=accepted(), status=ended)
    async with service.client() as client:
        result = await client.export(QUERY)
    assert (result.row_count, result.data_path) == (3, "obs://home/q")


async def test_a_job_tells_where_its_queue_has_kept_the_rows() -> None:
    """A QUERY whose queue saves results needs no export of them."""
    kept = "obs://jobs/jobs/result/p/2026/01/01/job-1"
    service = Service(status=report("FINISHED", job_type="QUERY", result_path=kept))
    async with service.client() as client:
        assert (await client.job("job-1").result()).result_path == kept


async def test_a_result_is_exported_by_the_job_of_its_query() -> None:
    """And found again by its folder, since export-result takes no tags."""
    service = Service(result=LOST, detail=httpx.Response(200, json={"data_path": "obs://home/r"}))
    rows = [row("mine", age=5.0, database_name=None, table_name=None)]
    service.set(jobs=dated(EPOCH + timedelta(seconds=5), jobs=rows, job_count=1))
    async with service.client() as client:
        job = await client.submit(ResultExport("q-1", "obs://home/r"))
    assert job.job_id == "mine"
    assert service.calls[0][1].endswith("/jobs/q-1/export-result")
    assert [query["job-type"] for query in jobs_asked(service)] == ["EXPORT"]


async def test_an_expired_result_says_so() -> None:
    """DLI.0100 has an error of its own."""
    service = Service(result=refused(400, "DLI.0100", "expired"))
    async with service.client() as client:
        with pytest.raises(ResultExpired, match="expired"):
            await client.submit(ResultExport("q-1", "obs://home/r"))


@pytest.mark.parametrize(
    ("specs", "kind"),
    [
        ([QUERY, QUERY.model_copy(update={"data_path": "obs://home/p"})], "INSERT"),
        ([QUERY, spec()], "ALL"),
        ([spec(), spec(data_path="obs://home/p")], "EXPORT"),
    ],
)
async def test_one_list_shows_all_jobs_that_are_waited_for(specs: list[Any], kind: str) -> None:
    """Of one type if they are of one, else of all; the number of requests is the same."""
    service = Service(
        submit=[accepted(f"job-{n}") for n in range(3)],
        sql=[accepted(f"sql-{n}") for n in range(3)],
    )
    made: list[str] = []

    def answer(request: httpx.Request) -> Any:
        rows = [row(job_id, status="FINISHED", age=1.0) for job_id in made]
        rows = [{**one, "job_type": None, "database_name": None} for one in rows]
        return dated(EPOCH, jobs=rows, job_count=len(rows))

    service.set(jobs=answer)
    async with service.client() as client:
        jobs = [await client.submit(one) for one in specs]
        made += [str(job.job_id) for job in jobs]
        async with anyio.create_task_group() as group:
            for job in jobs:
                group.start_soon(job.result)
    assert [query["job-type"] for query in jobs_asked(service)] == [kind]
    assert service.count("status") == 0


@pytest.mark.parametrize(
    "words",
    ["The table type VIEW is not supported", "Unsupported compress", "db2.t2 is not supported"],
)
async def test_a_refusal_of_one_request_does_not_take_the_call_away(words: str) -> None:
    """DLI says of a view or an option too that it is unsupported."""
    service = Service(submit=refused(400, "DLI.0007", words))
    async with service.client(folder_check=absent) as client:
        with pytest.raises(ApiError, match=r"DLI\.0007"):
            await client.submit(spec())
    assert service.count("sql") == 0


async def test_two_exports_of_one_client_do_not_write_to_one_folder() -> None:
    """Eyes do not see what an own job is about to write; when that has ended, they do."""
    service = Service(sql=[accepted("job-1"), accepted("job-2")], status=report("FAILED"))
    query = QueryExport("SELECT a FROM db2.t2", spec().data_path)
    async with service.client(folder_check=absent, table_exports="sql") as client:
        job = await client.submit(spec())
        with pytest.raises(FolderExists):
            await client.submit(query)
        with pytest.raises(JobFailed):
            await job
        assert (await client.submit(query)).job_id == "job-2"
    assert service.count("sql") == 2


async def test_eyes_that_say_neither_yes_nor_no_are_refused() -> None:
    """A function that forgets to return would overwrite."""

    async def forgetful(path: str) -> Any:
        return None

    service = Service(sql=accepted())
    async with service.client(folder_check=forgetful, table_exports="sql") as client:
        with pytest.raises(ConfigurationError, match="True or False"):
            await client.submit(spec())
    assert service.count("sql") == 0
