"""The calls of the emulated DLI, as a client sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from trio.testing import MockClock

from dli_async import TableExport
from dli_async.emulator import PROJECT_ID, Emulator, NullEngine
from dli_async.emulator._engine.engine import Staged, Table
from dli_async.emulator._engine.obs import ObsStore, UnsafePath

from .conftest import MIDDAY, Caller, Clock, connect, export

pytestmark = pytest.mark.anyio

Make = Callable[..., Emulator]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


async def test_a_submit_is_accepted_with_an_id_to_poll(caller: Caller) -> None:
    """The answer has the documented fields, and the job can be asked about at once."""
    answer = (await caller.post()).json()

    assert answer["is_success"] is True
    assert answer["job_mode"] == "async"
    assert answer["message"] == (
        "export all data from table sales.orders to path obs://bucket/folder started"
    )
    assert await caller.state(answer["job_id"]) == "LAUNCHING"


async def test_a_job_launches_runs_and_finishes_by_the_clock(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """States follow the clock alone; the end tells rows and bytes."""
    job_id = await caller.submit()
    clock.forward(1.0)
    assert await caller.state(job_id) == "RUNNING"
    clock.forward(emulator.jobs.jobs[0].run_time)

    report = (await caller.get(f"jobs/{job_id}/status")).json()

    table = NullEngine({"sales": ["orders"]}).table("sales", "orders")
    assert table is not None
    assert report["status"] == "FINISHED"
    assert report["result_count"] == table.row_count
    assert report["input_size"] == table.size
    assert report["start_time"] == MIDDAY * 1000
    assert report["duration"] == int((1.0 + emulator.jobs.jobs[0].run_time) * 1000)
    assert report["job_type"] == "EXPORT"
    assert report["queue_name"] == "default"
    assert json.loads(report["detail"])["fields"][0]["name"] == "id"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        pytest.param({"data_path": None}, 400, "DLI.0001", id="no path"),
        pytest.param({"data_type": ""}, 400, "DLI.0001", id="empty type"),
        pytest.param({"compress": None}, 400, "DLI.0001", id="no compress"),
        pytest.param({"compress": "zip"}, 400, "DLI.0001", id="unknown compress"),
        pytest.param({"data_type": "parquet"}, 400, "DLI.0001", id="unknown type"),
        pytest.param({"export_mode": "append"}, 400, "DLI.0001", id="unknown mode"),
        pytest.param({"table_name": 7}, 400, "DLI.0001", id="table is no string"),
        pytest.param({"with_column_header": "yes"}, 400, "DLI.0001", id="header is no boolean"),
        pytest.param({"data_patch": "x"}, 400, "DLI.0001", id="unknown field"),
        pytest.param({"table_name": "nope"}, 400, "DLI.0002", id="no such table"),
        pytest.param({"database_name": "nope"}, 400, "DLI.0002", id="no such database"),
        pytest.param({"queue_name": "nope"}, 400, "DLI.0008", id="no such queue"),
        pytest.param({"data_path": "hdfs://b/a"}, 400, "DLI.0001", id="scheme"),
        pytest.param({"data_path": "obs://bucket"}, 400, "DLI.0001", id="bucket only"),
        pytest.param({"data_path": "obs://bucket/"}, 400, "DLI.0001", id="bucket and slash"),
        pytest.param({"data_path": "obs://b/a,b"}, 400, "DLI.0001", id="comma"),
        pytest.param({"data_path": "obs://x.12abc/a"}, 400, "DLI.0001", id="dot and digit"),
        pytest.param({"data_path": "obs://b/a//c"}, 400, "DLI.0001", id="empty segment"),
        pytest.param({"data_path": "obs://b/../c"}, 400, "DLI.0001", id="parent"),
        pytest.param({"data_path": "obs://b/a:c"}, 400, "DLI.0001", id="colon"),
        pytest.param({"data_path": "obs://b/a."}, 400, "DLI.0001", id="ends with a dot"),
        pytest.param({"data_path": "obs://b/a\x07"}, 400, "DLI.0001", id="control character"),
    ],
)
async def test_a_bad_submit_is_refused_with_the_documented_code(
    emulator: Emulator, caller: Caller, fields: dict[str, Any], status: int, code: str
) -> None:
    """Nothing is accepted that the documents exclude, and no job is made of it."""
    answer = await caller.post(**fields)

    assert refusal(answer) == (status, code)
    assert emulator.ledger.jobs == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"'])
async def test_a_body_that_is_no_object_is_refused(caller: Caller, body: bytes) -> None:
    """Whatever the body is, the answer is a parameter error and not a crash."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await caller.http.post(caller.path("jobs/export-table"), content=body, headers=headers)

    assert refusal(answer) == (400, "DLI.0001")


async def test_another_content_type_is_refused(caller: Caller) -> None:
    """The service's own words for it are in the answer."""
    answer = await caller.http.post(caller.path("jobs/export-table"), data=export())

    assert answer.status_code == 415
    assert answer.json()["error_msg"] == "unsupported media Type"


async def test_words_are_found_in_any_case_and_booleans_in_text(
    emulator: Emulator, caller: Caller
) -> None:
    """What the documents' own samples do is accepted and kept in the documented spelling."""
    await caller.submit(
        data_type="CSV",
        compress="GZip",
        export_mode="errorifexists",
        queue_name="Queue2",
        with_column_header="True",
        data_path="s3a://bucket/folder/",
        table_name="ORDERS",
    )

    spec = emulator.ledger.jobs[0].spec
    assert (spec.data_type, spec.compress, spec.export_mode) == ("csv", "gzip", "ErrorIfExists")
    assert (spec.queue_name, spec.with_column_header) == ("queue2", True)
    assert spec.folder == "obs://bucket/folder"


class _Mixed(NullEngine):
    """One table of each kind."""

    def tables(self, database: str) -> list[Table]:
        def table(kind: str) -> Table:
            return Table("db", kind.lower(), kind, (), 1, 100, "about it", MIDDAY, None)

        return [table(kind) for kind in ("EXTERNAL", "MANAGED", "VIEW")]


@pytest.fixture
def mixed(make: Make) -> Emulator:
    """An emulator with one table of each kind."""
    return make(engine=_Mixed({"db": []}))


@pytest.mark.parametrize("table", ["external", "view"])
async def test_only_tables_stored_in_dli_can_be_exported(mixed: Emulator, table: str) -> None:
    """External tables and views are refused, and the answer says why."""
    async with connect(mixed) as client:
        answer = await Caller(client).post(database_name="db", table_name=table)

    assert refusal(answer) == (400, "DLI.0007")
    assert table.upper() in answer.json()["error_msg"]


@pytest.mark.parametrize("call", ["status", "detail", "cancel", "progress"])
@pytest.mark.parametrize("job_id", ["no-uuid", "828d4044-3d39-449b-b32c-957f7cfadfc9"])
async def test_an_unknown_job_is_a_400(caller: Caller, call: str, job_id: str) -> None:
    """As at the real service, a job that is not there is a 400 and no 404."""
    ways = {
        "cancel": ("DELETE", caller.path(f"jobs/{job_id}")),
        "progress": ("GET", caller.path(f"jobs/{job_id}/progress", "v1")),
    }
    method, path = ways.get(call, ("GET", caller.path(f"jobs/{job_id}/{call}")))

    assert refusal(await caller.http.request(method, path)) == (400, "DLI.0002")


async def test_detail_tells_what_was_asked_for(caller: Caller) -> None:
    """The path of a job can be recovered; status and type are not in it."""
    job_id = await caller.submit(export_mode="Overwrite", with_column_header=True)

    detail = (await caller.get(f"jobs/{job_id}/detail")).json()

    assert detail["data_path"] == "obs://bucket/folder"
    assert detail["export_mode"] == "Overwrite"
    assert detail["with_column_header"] is True
    assert "status" not in detail
    assert "job_type" not in detail


async def test_progress_restarts_with_every_sub_job(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """0 at the start, 1 at the end, and in between it falls: the documents' odd rule."""
    job_id = await caller.submit()
    seen = [(await caller.progress(job_id))["progress"]]
    clock.forward(1.0)
    for _ in range(13):
        seen.append((await caller.progress(job_id))["progress"])
        clock.forward(emulator.jobs.jobs[0].run_time / 11)

    assert seen[0] == 0
    assert seen[-1] == 1
    assert seen[1:] != sorted(seen[1:])
    assert all(0 <= share <= 1 for share in seen)


async def test_progress_of_a_failed_job_stays_where_it_failed(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """A job that failed half-way does not claim to be complete."""
    emulator.faults.set([{"kind": "cancelled-by-other"}])
    job_id = await caller.submit()
    clock.forward(100.0)

    progress = await caller.progress(job_id)

    assert progress["status"] == "CANCELLED"
    assert progress["progress"] < 1


async def test_progress_lives_under_v1_alone(caller: Caller) -> None:
    """The path with v1.0 does not exist."""
    answer = await caller.get("jobs/x/progress")

    assert answer.status_code == 501


async def test_cancel_ends_a_running_job(caller: Caller, clock: Clock) -> None:
    """A running job is cancelled; a second cancel is refused."""
    job_id = await caller.submit()
    clock.forward(2.0)

    assert (await caller.cancel(job_id)).json() == {"is_success": True, "message": ""}
    assert await caller.state(job_id) == "CANCELLED"
    assert refusal(await caller.cancel(job_id)) == (400, "DLI.0007")


async def test_an_existing_folder_fails_the_job(caller: Caller, clock: Clock) -> None:
    """ErrorIfExists is judged by the job, with the service's words and a DLI code."""
    for _ in range(2):
        job_id = await caller.submit()
        clock.forward(100.0)

    report = (await caller.get(f"jobs/{job_id}/status")).json()

    assert report["status"] == "FAILED"
    assert report["message"] == "DLI.0006: path obs://bucket/folder already exists"


async def test_an_existing_folder_refuses_the_submit_if_asked_to(make: Make, clock: Clock) -> None:
    """With exists_check="submit" the POST is refused; Overwrite never is."""
    async with connect(make(exists_check="submit")) as client:
        caller = Caller(client)
        await caller.submit()
        clock.forward(100.0)

        assert refusal(await caller.post()) == (400, "DLI.0006")
        assert (await caller.post(export_mode="Overwrite")).status_code == 200


async def test_the_folder_on_disk_counts_where_there_is_one(make: Make, tmp_path: Path) -> None:
    """With an obs folder, what is on the disk decides, and paths that lead out are refused."""
    emulator = make(exists_check="submit", obs_dir=tmp_path)
    ObsStore(tmp_path).folder("obs://bucket/folder").mkdir(parents=True)
    async with connect(emulator) as client:
        caller = Caller(client)

        assert refusal(await caller.post()) == (400, "DLI.0006")
        assert refusal(await caller.post(data_path="obs://b/%2e%2e/x")) == (400, "DLI.0001")
        assert (await caller.post(data_path="obs://bucket/other")).status_code == 200


def test_exists_check_has_two_words() -> None:
    """A misspelt option is an error at once."""
    with pytest.raises(ValueError, match="exists_check"):
        Emulator(exists_check="never")  # type: ignore[arg-type]


async def test_the_list_pages_and_orders(caller: Caller, clock: Clock) -> None:
    """Pages of every order put together are all jobs, and job_count counts all pages."""
    ids = []
    for number in range(5):
        ids.append(await caller.submit(data_path=f"obs://bucket/{number}"))
        clock.forward(0.5)

    assert await caller.listed() == ids[::-1]
    assert await caller.listed(order="start_time_asc") == ids
    assert (
        await caller.listed(order="start_time_asc", **{"page-size": 2, "current-page": 3})
        == (ids[4:])
    )
    page = await caller.get("jobs", page_size=2, current_page=2)
    assert page.json()["job_count"] == 5
    assert [row["job_id"] for row in page.json()["jobs"]] == [ids[2], ids[1]]


async def test_the_list_orders_by_duration(caller: Caller, clock: Clock) -> None:
    """Durations of jobs that have ended stand still, so the order is that of the jobs' lives."""
    ids = [await caller.submit(data_path=f"obs://bucket/{number}") for number in range(3)]
    for job_id in (ids[1], ids[2], ids[0]):
        clock.forward(0.1)
        await caller.cancel(job_id)

    assert await caller.listed(order="duration_asc") == [ids[1], ids[2], ids[0]]
    assert await caller.listed(order="duration_desc") == [ids[0], ids[2], ids[1]]


async def test_the_list_finds_by_every_documented_filter(caller: Caller, clock: Clock) -> None:
    """Each filter alone leaves in what it should; filters add up."""
    first = await caller.submit(queue_name="queue1")
    clock.forward(0.5)
    second = await caller.submit(database_name="crm", table_name="people", data_path="obs://b/c")
    clock.forward(0.6)
    start = int(MIDDAY * 1000)

    found = {
        "job-id": (second, [second]),
        "job-status": ("RUNNING", [first]),
        "queue_name": ("QUEUE1", [first]),
        "db_name": ("crm", [second]),
        "table_name": ("people", [second]),
        "owner": ("emulator", [second, first]),
        "start": (start + 500, [second]),
        "end": (start, [first]),
        "job-type": ("export", [second, first]),
        "job_types": ("EXPORT,QUERY", [second, first]),
        "engine-type": ("spark", [second, first]),
    }
    nothing = {
        "owner": "me",
        "job-type": "QUERY",
        "job_types": "INSERT",
        "sql_pattern": "select",
        "tags": "a=b",
        "engine_type": "hetuengine",
        "job-status": "SCALING",
    }
    for name, (value, expected) in found.items():
        assert await caller.listed(**{name: value}) == expected, name
    for name, value in nothing.items():
        assert await caller.listed(**{name: value}) == [], name
    assert await caller.listed(queue_name="queue1", start=0, end=0) == [first]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page-size", "0"),
        ("page-size", "101"),
        ("page-size", "ten"),
        ("current-page", "0"),
        ("start", "-1"),
        ("order", "start_time"),
        ("job-status", "DONE"),
        ("job-type", "SELECT"),
        ("job_types", "EXPORT,SELECT"),
        ("queue_name", "_queue"),
        ("engine-type", "presto"),
    ],
)
async def test_a_bad_filter_is_a_parameter_error(caller: Caller, name: str, value: str) -> None:
    """Values outside the documented range are refused rather than guessed at."""
    answer = await caller.http.get(caller.path("jobs"), params={name: value})

    assert refusal(answer) == (400, "DLI.0001")


async def test_an_unknown_parameter_is_answered_loudly(caller: Caller) -> None:
    """A misspelt filter is 501 with the known ones, not a list of everything."""
    answer = await caller.get("jobs", page__size=10)

    assert answer.status_code == 501
    assert "page-size" in answer.json()["known"]


async def test_an_unknown_route_is_answered_loudly(emulator: Emulator, caller: Caller) -> None:
    """501 with what there is; the wrong method and an empty id count as unknown."""
    for method, path in (
        ("GET", "/"),
        ("POST", caller.path("jobs")),
        ("GET", caller.path("jobs//status")),
    ):
        answer = await caller.http.request(method, path)
        assert answer.status_code == 501
        assert "GET /v1.0/{project}/jobs" in answer.json()["known"]
    assert emulator.ledger.requests["unknown"] == 3


async def test_databases_are_listed_by_offset_limit_and_keyword(caller: Caller) -> None:
    """The count is that of all matches, the rows those of the page."""
    everything = (await caller.get("databases", with_priv="TRUE")).json()
    part = (await caller.get("databases", offset=1, limit=1)).json()

    assert [row["database_name"] for row in everything["databases"]] == ["crm", "sales"]
    assert everything["databases"][1]["table_number"] == 2
    assert part["database_count"] == 2
    assert [row["database_name"] for row in part["databases"]] == ["sales"]
    found = (await caller.get("databases", keyword="AL")).json()["databases"]
    assert [row["database_name"] for row in found] == ["sales"]
    assert (await caller.get("databases", tags="a=b")).json()["database_count"] == 0
    assert refusal(await caller.get("databases", with_priv="maybe")) == (400, "DLI.0001")


async def test_tables_are_listed_with_and_without_detail(mixed: Emulator) -> None:
    """Without detail there are three fields; the filter's words are not the rows' words."""
    async with connect(mixed) as client:
        caller = Caller(client)
        short = (await caller.get("databases/db/tables")).json()
        long = (await caller.get("databases/db/tables", with_detail="true")).json()["tables"]
        views = (await caller.get("databases/db/tables", table_type="VIRTUAL_VIEW")).json()
        on_obs = (await caller.get("databases/db/tables", datasource_type="OBS")).json()
        page = (await caller.get("databases/db/tables", page_size=2, current_page=2)).json()
        found = (await caller.get("databases/db/tables", keyword="nag")).json()

    assert set(short["tables"][0]) == {"data_location", "table_name", "table_type"}
    assert [row["table_type"] for row in long] == ["EXTERNAL", "MANAGED", "VIEW"]
    assert [row["table_size"] for row in long] == [0, 100, 0]
    assert [row["table_name"] for row in views["tables"]] == ["view"]
    assert [row["table_name"] for row in on_obs["tables"]] == ["external"]
    assert (page["table_count"], [row["table_name"] for row in page["tables"]]) == (3, ["view"])
    assert [row["table_name"] for row in found["tables"]] == ["managed"]


async def test_a_table_is_described(caller: Caller, mixed: Emulator) -> None:
    """Columns, kind and comment are told; what is not there is DLI.0002."""
    described = (await caller.get("databases/SALES/tables/Orders")).json()
    async with connect(mixed) as client:
        comment = (await Caller(client).get("databases/db/tables/view")).json()["table_comment"]

    assert described["table_type"] == "MANAGED"
    assert described["column_count"] == len(described["columns"]) == 2
    assert described["columns"][0]["column_name"] == "id"
    assert comment == "about it"
    assert refusal(await caller.get("databases/sales/tables/nope")) == (400, "DLI.0002")
    assert refusal(await caller.get("databases/nope/tables")) == (400, "DLI.0002")


async def test_queues_are_listed_by_type(caller: Caller) -> None:
    """The default filter is `sql`, whose queues these are; `default` is shared."""

    async def names(**arguments: Any) -> list[str]:
        answer = await caller.http.get(caller.path("queues"), params=arguments)
        return [row["queue_name"] for row in answer.json()["queues"]]

    assert await names() == ["default", "queue1", "queue2"]
    assert await names(queue_type="ALL", order="queue_name_desc") == ["queue2", "queue1", "default"]
    assert await names(queue_type="general") == []
    assert await names(tags="a=b") == []
    modes = (await caller.get("queues")).json()["queues"]
    assert [row["resource_mode"] for row in modes] == [0, 1, 1]


async def test_every_answer_has_an_id_and_the_emulators_date(caller: Caller) -> None:
    """Request ids differ, the date is that of the emulator's clock, and errors repeat the id."""
    answers = [await caller.get("queues"), await caller.http.get("/nope")]
    denied = await caller.http.get(caller.path("queues"), headers={"X-Auth-Token": "wrong"})

    assert {answer.headers["date"] for answer in answers} == {"Thu, 01 Jan 2026 12:00:00 GMT"}
    assert len({answer.headers["x-request-id"] for answer in (*answers, denied)}) == 3
    assert denied.json()["request_id"] == denied.headers["x-request-id"]


async def test_the_well_known_options_change_the_queues(make: Make) -> None:
    """Queues can be given with their slots; names are in lower case."""
    async with connect(make(queues={"Night": 1})) as client:
        answer = await Caller(client).get("queues")
        missing = await Caller(client).post()

    assert [row["queue_name"] for row in answer.json()["queues"]] == ["night"]
    assert refusal(missing) == (400, "DLI.0008")


async def test_another_protocol_is_refused_by_the_asgi_app(emulator: Emulator) -> None:
    """The app speaks HTTP and says so."""

    async def nobody(*message: Any) -> Any:
        raise AssertionError("not called")

    with pytest.raises(RuntimeError, match="websocket"):
        await emulator.app({"type": "websocket"}, nobody, nobody)


async def test_the_asgi_app_works_under_any_server(emulator: Emulator) -> None:
    """Another server gets answers, slow ones too, and an error for what ASGI has no word for."""
    transport = httpx.ASGITransport(app=emulator.app)
    headers = {"X-Auth-Token": "emulator-token"}
    url = f"/v1.0/{PROJECT_ID}/queues"
    async with httpx.AsyncClient(
        transport=transport, base_url="http://[::1]", headers=headers
    ) as c:
        plain = await c.get(url)
        emulator.faults.set([{"kind": "slow-body:0"}])
        slow = await c.get(url)
        emulator.faults.set([{"kind": "reset"}])
        with pytest.raises(ConnectionAbortedError):
            await c.get(url)

    assert plain.json() == slow.json()


async def test_an_emulator_is_opened_and_closed_as_a_context(tmp_path: Path) -> None:
    """The temporary folder is gone afterwards; a folder of the user's own stays."""
    async with Emulator() as emulator:
        temporary = emulator.obs_dir
        assert temporary is not None
        assert temporary.is_dir()
        async with connect(emulator) as client:
            found = (await Caller(client).get("databases")).json()
    assert found["database_count"] >= 2
    assert not temporary.exists()

    async with Emulator(obs_dir=tmp_path, engine=NullEngine()) as kept:
        assert kept.obs_dir == tmp_path


async def test_exports_really_write_files(tmp_path: Path) -> None:
    """With the real engine and threads, a finished job has its files."""
    async with Emulator(obs_dir=tmp_path, launch=0, run=0) as emulator:
        async with connect(emulator) as client:
            caller = Caller(client)
            tables = (await caller.get("databases/sales/tables")).json()["tables"]
            job_id = await caller.submit(table_name=tables[0]["table_name"], compress="none")
            emulator.jobs.settle()
            assert await caller.state(job_id) == "FINISHED"
        folder = tmp_path / "bucket" / "folder"
        assert (folder / "_SUCCESS").is_file()
        emulator.reset(files=True)
        assert not folder.exists()


def names(folder: Path) -> list[str] | None:
    """What is in a folder, if it is there."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else None


@pytest.mark.parametrize("mode", ["ErrorIfExists", "Overwrite"])
async def test_a_cancelled_job_leaves_no_files(clock: Clock, tmp_path: Path, mode: str) -> None:
    """Its files were written, but it had not finished: there is no `_SUCCESS`, old files stay, and
    the folder is as free as before for the next job."""
    folder = tmp_path / "bucket" / "folder"
    if mode == "Overwrite":
        folder.mkdir(parents=True)
        (folder / "old").touch()
    async with (
        Emulator(obs_dir=tmp_path, clock=clock, launch=0, run=10) as emulator,
        connect(emulator) as client,
    ):
        caller = Caller(client)
        job_id = await caller.submit(database_name="crm", table_name="regions", export_mode=mode)
        emulator.jobs.settle()
        assert (folder / "_temporary").is_dir()
        assert (await caller.cancel(job_id)).status_code == 200
        assert await caller.state(job_id) == "CANCELLED"
        assert names(folder) == (["old"] if mode == "Overwrite" else None)

        again = await caller.submit(database_name="crm", table_name="regions", export_mode=mode)
        emulator.jobs.settle()
        clock.forward(1_000)
        assert await caller.state(again) == "FINISHED"
        assert (await caller.cancel(again)).status_code == 400
        found = names(folder)
        assert found is not None
        assert (found[0], found[1][:10], len(found)) == ("_SUCCESS", "part-00000", 2)


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_jobs_that_are_broken_off_leave_no_files(
    clock: Clock, tmp_path: Path, way: str
) -> None:
    """An emulator that is closed or reset in mid-job does not leave half of an export behind."""
    emulator = Emulator(obs_dir=tmp_path, clock=clock, launch=0, run=10)
    async with emulator, connect(emulator) as client:
        job_id = await Caller(client).submit(database_name="crm", table_name="regions")
        emulator.jobs.settle()
        if way == "reset":
            emulator.reset()
            assert names(tmp_path) == []
            assert (await Caller(client).cancel(job_id)).status_code == 400
    assert names(tmp_path) == []
    clock.forward(1_000)
    emulator.advance()
    assert names(tmp_path) == []


class _Failing(NullEngine):
    """An engine on which something goes wrong."""

    def __init__(self, error: Exception) -> None:
        super().__init__({"sales": ["orders"]})
        self.error = error

    def stage(self, database: str, name: str, data_path: str, **options: Any) -> Staged:
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("gone"), "DLI.0002: There is no table named sales.orders."),
        (UnsafePath("leads out"), "DLI.0001: leads out"),
        (OSError("disk"), "Please contact DLI service. DLI.0999: OSError: disk"),
    ],
)
async def test_a_job_that_fails_carries_a_code(make: Make, error: Exception, message: str) -> None:
    """Whatever goes wrong while it writes, the message has a DLI code to be found."""
    async with connect(make(engine=_Failing(error), launch=0.0)) as client:
        caller = Caller(client)
        report = (await caller.get(f"jobs/{await caller.submit()}/status")).json()

    assert (report["status"], report["message"]) == ("FAILED", message)


async def test_the_librarys_own_client_comes_ready_to_use(make: Make) -> None:
    """`client()` needs no configuration, and options reach the client."""
    spec = {"database_name": "sales", "table_name": "orders", "data_path": "obs://bucket/folder"}
    emulator = make(launch=0.0, run=0.0)
    async with emulator, emulator.client(max_connections=2) as client:
        result = await client.export(TableExport(**spec))

    assert result.job_id == emulator.jobs.jobs[0].job_id


@pytest.mark.parametrize(
    "anyio_backend",
    [pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio-virtual")],
)
async def test_an_hour_can_pass_in_no_time(make: Make) -> None:
    """With a virtual clock and inline exports, delays and lives of jobs cost nothing."""
    emulator = make(clock=lambda: MIDDAY + anyio.current_time(), launch=600.0, run=3_600.0)
    emulator.faults.set([{"route": "export-table", "kind": "slow-headers:60"}])
    began = anyio.current_time()
    async with connect(emulator, timeout=90.0) as client:
        caller = Caller(client)
        job_id = await caller.submit()
        polls = 0
        while await caller.state(job_id) != "FINISHED":
            polls += 1
            await anyio.sleep(30.0)

    lived = emulator.jobs.jobs[0].run_time + 660.0
    assert polls > 10
    assert lived <= anyio.current_time() - began < lived + 31.0


async def test_a_folder_of_files_is_served_as_tables(tmp_path: Path) -> None:
    """`database` may be a folder of CSV files."""
    (tmp_path / "fruit.csv").write_text("name\napple\n")
    async with Emulator(database=tmp_path) as emulator, connect(emulator) as client:
        databases = (await Caller(client).get("databases")).json()["databases"]

    assert databases
