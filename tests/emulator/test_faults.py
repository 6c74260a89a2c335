"""Faults in process: each word does what the table of `faults.py` says, and is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx
import pytest

from dli_async.emulator import Emulator, UnknownFault

from .conftest import JSON, MIDDAY, Caller, Clock, connect, export

pytestmark = pytest.mark.anyio

BEFORE_AND_AFTER = [("before", 0), ("after", 1)]


async def submit(emulator: Emulator, **options: Any) -> httpx.Response:
    async with connect(emulator, **options) as client:
        return await Caller(client).post()


def fault(kind: str, when: str | None = None, **limits: Any) -> dict[str, Any]:
    item = {"route": "export-table", "kind": kind, "when": when, **limits}
    return {name: value for name, value in item.items() if value is not None}


@pytest.mark.parametrize(("when", "jobs"), BEFORE_AND_AFTER)
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", httpx.ReadError),
        ("truncate", httpx.RemoteProtocolError),
        ("timeout", httpx.ReadTimeout),
        ("slow-body:60", httpx.ReadTimeout),
        ("slow-headers:60", httpx.ReadTimeout),
    ],
)
async def test_a_lost_answer_leaves_a_job_only_after_the_handler(
    emulator: Emulator, kind: str, error: type[Exception], when: str, jobs: int
) -> None:
    """The client sees the same error; whether the job exists depends on `when` alone."""
    if kind.startswith("slow-body"):
        jobs = 1  # somebody has to make the body that is slow
    emulator.faults.set([fault(kind, when)])

    with pytest.raises(error):
        await submit(emulator, timeout=0.01)

    assert len(emulator.ledger.jobs) == jobs
    assert emulator.ledger.faults == Counter({kind.partition(":")[0]: 1})


@pytest.mark.parametrize(("when", "jobs"), BEFORE_AND_AFTER)
@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("status:500", 500, "DLI.0999"),
        ("status:400", 400, "DLI.0999"),
        ("status:408", 408, "DLI.0019"),
        ("status:400:DLI.0012", 400, "DLI.0012"),
        ("status:502:gateway", 502, "APIGW.0202"),
        ("status:418:gateway", 418, "APIGW.0602"),
        ("status:503:html", 503, "<h1>Service Unavailable</h1>"),
        ("status:599:html", 599, "<h1>Error</h1>"),
        ("is-success-false", 200, '"is_success":false'),
        ("broken-json", 200, '{"is_success":true'),
    ],
)
async def test_a_wrong_answer_leaves_a_job_only_after_the_handler(
    emulator: Emulator, kind: str, status: int, text: str, when: str, jobs: int
) -> None:
    """Every shape of error can be had before and after the handler."""
    emulator.faults.set([fault(kind, when)])

    answer = await submit(emulator)

    assert answer.status_code == status
    assert text in answer.text
    assert len(emulator.ledger.jobs) == jobs


async def test_broken_json_cannot_be_read(emulator: Emulator) -> None:
    """It is complete HTTP, and no JSON."""
    for when, _ in BEFORE_AND_AFTER:
        emulator.faults.set([fault("broken-json", when)])
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            (await submit(emulator)).json()


async def test_a_refused_connection_never_left(emulator: Emulator) -> None:
    """httpx calls it a ConnectError, which is safe to repeat."""
    emulator.faults.set([fault("refuse")])

    with pytest.raises(httpx.ConnectError):
        await submit(emulator)
    assert emulator.ledger.jobs == []


async def test_throttling_comes_with_and_without_retry_after(emulator: Emulator) -> None:
    """In seconds, as a date by the emulator's clock, or not at all."""
    waits = []
    for kind in ("throttle", "throttle:1.5", "throttle:date"):
        emulator.faults.set([fault(kind)])
        answer = await submit(emulator)
        assert (answer.status_code, answer.json()["error_code"]) == (429, "APIGW.0308")
        waits.append(answer.headers.get("retry-after"))

    assert waits[:2] == [None, "2"]
    assert parsedate_to_datetime(waits[2]).timestamp() == MIDDAY + 2


async def test_slow_answers_arrive_if_the_client_waits(emulator: Emulator) -> None:
    """A delay is only a delay."""
    for kind in ("slow-headers:0.001", "slow-body:0.001"):
        for when, _ in BEFORE_AND_AFTER:
            emulator.faults.set([fault(kind, when)])
            assert (await submit(emulator)).json()["is_success"] is True


async def test_a_cancelled_request_after_the_handler_has_made_its_job(emulator: Emulator) -> None:
    """Whoever gives up while the answer is on its way leaves a job behind."""
    emulator.faults.set([fault("slow-headers:60", "after")])

    with anyio.move_on_after(0.01):
        await submit(emulator, timeout=None)

    assert len(emulator.ledger.jobs) == 1


async def test_nth_times_and_probability_limit_a_fault(emulator: Emulator) -> None:
    """Limits count matching requests; the same seed fires at the same ones."""

    async def pattern(**limits: Any) -> str:
        emulator.faults.set([{"route": "queues", "kind": "throttle", **limits}])
        async with connect(emulator) as client:
            caller = Caller(client)
            answers = [await caller.get("queues") for _ in range(8)]
            assert (await caller.get("databases")).status_code == 200
        return "".join("x" if answer.status_code == 429 else "." for answer in answers)

    assert await pattern(nth=3) == "..x....."
    assert await pattern(nth=[1, 8]) == "x......x"
    assert await pattern(times=2) == "xx......"
    assert await pattern(probability=0) == "........"
    assert await pattern(probability=1) == "xxxxxxxx"
    assert await pattern(probability=0.5, seed=1) == await pattern(probability=0.5, seed=1)
    assert await pattern(probability=0.5, seed=1) != await pattern(probability=0.5, seed=4)
    assert await pattern(probability=0.5) == await pattern(probability=0.5)


@pytest.mark.parametrize(
    ("glob", "hit"),
    [
        ("orders", True),
        ("sales.*", True),
        ("obs://bucket/fold*", True),
        ("items", False),
        ("obs://other/*", False),
    ],
)
async def test_match_picks_tables_and_paths(
    emulator: Emulator, caller: Caller, glob: str, hit: bool
) -> None:
    """A glob concerns the submit of a table, and all calls about a job of it."""
    job_id = await caller.submit()
    emulator.faults.set([{"kind": "status:500", "match": glob}])
    expected = 500 if hit else 200

    assert (await caller.post()).status_code == expected
    assert (await caller.get(f"jobs/{job_id}/status")).status_code == expected
    assert (await caller.get("queues")).status_code == 200


async def test_match_concerns_described_tables(emulator: Emulator, caller: Caller) -> None:
    """The table of a path counts too; a body that cannot be read matches nothing."""
    emulator.faults.set([{"kind": "status:500", "match": "sales.orders"}])

    assert (await caller.get("databases/sales/tables/orders")).status_code == 500
    assert (await caller.get("databases/sales/tables/items")).status_code == 200
    assert (await caller.get("jobs/x/status")).status_code == 400
    answer = await caller.http.post(caller.path("jobs/export-table"), content=b"{")
    assert answer.status_code == 415


async def test_the_list_can_lag(emulator: Emulator, caller: Caller, clock: Clock) -> None:
    """Young jobs are missing from it, and others are shown as they were."""
    emulator.faults.set([{"kind": "list-lag:5"}])
    job_id = await caller.submit()
    clock.forward(4.9)
    assert await caller.listed() == []
    clock.forward(0.2)

    row = (await caller.get("jobs")).json()["jobs"][0]

    assert (row["job_id"], row["status"]) == (job_id, "LAUNCHING")
    assert await caller.state(job_id) == "RUNNING"
    assert await caller.listed(**{"job-status": "RUNNING"}) == []
    assert await caller.listed(**{"job-status": "LAUNCHING"}) == [job_id]
    clock.forward(1_000.0)
    assert (await caller.get("jobs")).json()["jobs"][0]["status"] == "FINISHED"


async def test_a_new_job_can_be_unknown_for_a_while(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """`status` says there is no such job, other calls know it, unless they are named."""
    emulator.faults.set([{"kind": "status-lag:2"}, {"kind": "status-lag:9", "route": "detail"}])
    job_id = await caller.submit()

    assert (await caller.get(f"jobs/{job_id}/status")).status_code == 400
    assert (await caller.get(f"jobs/{job_id}/detail")).status_code == 400
    assert (await caller.progress(job_id))["is_success"] is True
    clock.forward(2.0)
    assert await caller.state(job_id) == "RUNNING"
    assert (await caller.get(f"jobs/{job_id}/detail")).status_code == 400


async def test_other_peoples_jobs_stand_in_between(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """They are in the list and its count, by time of start, and can be looked at but not ended."""
    emulator.faults.set([{"kind": "foreign-jobs:30"}])
    first = await caller.submit()
    clock.forward(30.0)
    second = await caller.submit(data_path="obs://bucket/other")

    page = (await caller.get("jobs", page_size=100)).json()

    assert page["job_count"] == 32
    starts = [row["start_time"] for row in page["jobs"]]
    assert starts == sorted(starts, reverse=True)
    ids = [row["job_id"] for row in page["jobs"]]
    assert ids.index(second) < ids.index(first) - 10
    others = [row for row in page["jobs"] if row["owner"] != "emulator"]
    assert len(others) == len({row["job_id"] for row in others}) == 30
    assert {row["job_type"] for row in others} == {"EXPORT"}
    assert {row["database_name"] for row in others} == {"sales", "crm"}
    states = Counter(row["status"] for row in others)
    assert states["RUNNING"] > 0
    assert states["FINISHED"] > 0
    assert len(await caller.listed(**{"job-status": "RUNNING"})) == states["RUNNING"]
    assert await caller.listed(owner="emulator") == [second, first]
    assert len(await caller.listed(start=int((MIDDAY + 20) * 1000))) in range(5, 9)

    stranger = next(row for row in others if row["status"] == "RUNNING")["job_id"]
    detail = (await caller.get(f"jobs/{stranger}/detail")).json()
    assert detail["data_path"].startswith("obs://somebody-else/")
    assert await caller.state(stranger) == "RUNNING"
    assert (await caller.cancel(stranger)).json()["error_code"] == "DLI.0003"


async def test_old_strangers_are_forgotten(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """Other people's jobs do not pile up however long the emulator runs."""
    emulator.faults.set([{"kind": "foreign-jobs:3000"}])
    for _ in range(3):
        clock.forward(60.0)
        assert (await caller.get("jobs")).json()["job_count"] == 3_000


async def test_pages_shift_while_they_are_read(emulator: Emulator, caller: Caller) -> None:
    """One reading misses rows at the border, the next shows them; none is lost for good."""
    for number in range(20):
        await caller.submit(data_path=f"obs://bucket/{number}")
    everything = set(await caller.listed())
    emulator.faults.set([{"kind": "shifting-pages"}])

    async def read() -> list[str]:
        pages = [await caller.listed(**{"page-size": 10, "current-page": n}) for n in (1, 2)]
        return pages[0] + pages[1]

    readings = [await read() for _ in range(8)]

    assert any(set(reading) != everything for reading in readings)
    assert any(len(set(reading)) < len(reading) for reading in readings)
    assert set().union(*readings) == everything


async def test_a_rate_limit_refuses_what_is_too_much(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """n requests in any second pass; refused ones are counted and do not use up the limit."""
    emulator.faults.set([{"kind": "rate-limit:3"}])

    async def codes() -> list[int]:
        return [(await caller.get("queues")).status_code for _ in range(4)]

    assert await codes() == [200, 200, 200, 429]
    clock.forward(0.5)
    assert await codes() == [429] * 4
    clock.forward(0.5)
    assert await codes() == [200, 200, 200, 429]
    assert emulator.ledger.faults["rate-limit"] == 6


@pytest.mark.parametrize(
    ("kind", "real", "shown", "after"),
    [
        ("unknown-status", "RUNNING", "COMPUTED", 1.0),
        ("scaling", "RUNNING", "SCALING", 1.0),
        ("finish", "FINISHED", "FINISH", 1_000.0),
    ],
)
async def test_a_state_can_have_another_name(
    emulator: Emulator, caller: Caller, clock: Clock, kind: str, real: str, shown: str, after: float
) -> None:
    """Everywhere and in filters the job bears the other name, but only jobs in that state."""
    emulator.faults.set([{"kind": kind}])
    job_id = await caller.submit()
    assert await caller.state(job_id) == "LAUNCHING"
    clock.forward(after)

    assert await caller.state(job_id) == shown
    assert (await caller.progress(job_id))["status"] == shown
    assert await caller.listed(**{"job-status": shown}) == [job_id]
    assert await caller.listed(**{"job-status": real}) == []


async def test_another_name_for_some_tables_only(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """In a list, `match` holds row by row."""
    emulator.faults.set([{"kind": "unknown-status", "match": "items"}])
    for table in ("orders", "items"):
        await caller.submit(table_name=table, data_path=f"obs://bucket/{table}")
    clock.forward(1.0)

    rows = (await caller.get("jobs", order="start_time_asc")).json()["jobs"]

    assert [row["status"] for row in rows] == ["RUNNING", "COMPUTED"]


async def test_booleans_can_be_text(emulator: Emulator, caller: Caller) -> None:
    """At every depth of an answer."""
    await caller.submit()
    emulator.faults.set([{"kind": "string-booleans"}])

    answer = (await caller.get("jobs")).json()

    assert answer["is_success"] == "true"
    assert answer["jobs"][0]["with_column_header"] == "false"


async def test_a_message_can_break_its_answer(emulator: Emulator, caller: Caller) -> None:
    """As in the documents' own sample, quotes in `message` are not escaped."""
    job_id = await caller.submit()
    emulator.faults.set([{"kind": "broken-message"}])

    text = (await caller.get(f"jobs/{job_id}/status")).text

    assert '"message": "{"error_code":"DLI.0999"}"' in text
    assert '"status": "LAUNCHING"' in text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    assert (await caller.get("jobs")).json()["is_success"] is True
    emulator.faults.set([{"kind": "broken-message", "route": "metadata"}])
    url = "/meta-data/latest/api/token"
    visit = await caller.http.put(url, headers={"X-Metadata-Token-Ttl-Seconds": "60"})
    assert visit.text.startswith("metadata-")


@pytest.mark.parametrize(("code", "starts"), [("DLI.0999", True), ("DLI.0012", False)])
async def test_jobs_fail_with_a_code(
    emulator: Emulator, caller: Caller, clock: Clock, code: str, starts: bool
) -> None:
    """The message carries the code; without resources a job fails before it starts."""
    emulator.faults.set([{"kind": f"fail:{code}", "times": 1}])
    failing = await caller.submit()
    other = await caller.submit(data_path="obs://bucket/other")
    clock.forward(1_000.0)

    report = (await caller.get(f"jobs/{failing}/status")).json()

    assert (report["status"], report["result_count"]) == ("FAILED", 0)
    assert report["message"].startswith(code)
    assert (emulator.ledger.jobs[0].started_at is not None) == starts
    assert await caller.state(other) == "FINISHED"


async def test_somebody_else_may_cancel_a_job(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """It runs for half of its time, and is CANCELLED."""
    emulator.faults.set([{"kind": "cancelled-by-other"}])
    job_id = await caller.submit()
    clock.forward(1.5)
    assert await caller.state(job_id) == "RUNNING"
    clock.forward(1_000.0)

    assert await caller.state(job_id) == "CANCELLED"


async def test_a_cancel_can_be_slow(emulator: Emulator, caller: Caller, clock: Clock) -> None:
    """It is accepted, and the job runs on for that long."""
    emulator.faults.set([{"kind": "slow-cancel:2"}])
    job_id = await caller.submit()
    clock.forward(1.0)

    assert (await caller.cancel(job_id)).json()["is_success"] is True
    assert await caller.state(job_id) == "RUNNING"
    clock.forward(2.0)
    assert await caller.state(job_id) == "CANCELLED"


async def test_the_list_can_be_refused(emulator: Emulator, caller: Caller) -> None:
    """Somebody without the right gets 403, and only for the list."""
    job_id = await caller.submit()
    emulator.faults.set([{"kind": "list-refused"}])

    answer = await caller.get("jobs")

    assert (answer.status_code, answer.json()["error_code"]) == (403, "APIGW.0302")
    assert await caller.state(job_id) == "LAUNCHING"


async def test_a_request_that_is_not_admitted_meets_no_fault_after(emulator: Emulator) -> None:
    """`after` means after the handler, and without a login there is none."""
    emulator.faults.set([fault("status:500", "after")])

    answer = await submit(emulator, headers={"X-Auth-Token": "wrong"})

    assert answer.status_code == 401
    assert emulator.ledger.faults == Counter()


async def test_faults_are_set_from_outside(emulator: Emulator, caller: Caller) -> None:
    """A list replaces all, an empty one clears, and what is wrong is refused with the words."""
    url = "/_emulator/faults"
    assert (await caller.http.post(url, json=[{"kind": "throttle"}])).status_code == 200
    assert (await caller.get("queues")).status_code == 429

    refused = await caller.http.post(url, json=[{"kind": "trottle"}])
    assert refused.status_code == 400
    assert "throttle" in refused.json()["known"]["kind"]
    assert "export-table" in refused.json()["known"]["route"]
    assert (await caller.get("queues")).status_code == 429

    assert (await caller.http.post(url, json={})).status_code == 400
    assert (await caller.http.post(url, content=b"[", headers=JSON)).status_code == 400
    await caller.http.post(url, json=[])
    assert (await caller.get("queues")).status_code == 200
    emulator.faults.clear()
    assert emulator.faults.active == []


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("reset", "object"),
        ({}, "unknown kind"),
        ({"kind": "rest"}, "unknown kind"),
        ({"kind": "reset:1"}, "unknown kind"),
        ({"kind": "status"}, "unknown kind"),
        ({"kind": "status:abc"}, "unknown kind"),
        ({"kind": "status:200"}, "unknown kind"),
        ({"kind": "status:500:xml"}, "unknown kind"),
        ({"kind": "slow-body"}, "unknown kind"),
        ({"kind": "slow-body:-1"}, "unknown kind"),
        ({"kind": "slow-body:inf"}, "unknown kind"),
        ({"kind": "foreign-jobs:1.5"}, "unknown kind"),
        ({"kind": "fail:DLI.9999"}, "unknown kind"),
        ({"kind": "finish:now"}, "unknown kind"),
        ({"kind": "reset", "route": "nowhere"}, "unknown route"),
        ({"kind": "reset", "when": "during"}, "unknown when"),
        ({"kind": "reset", "wen": "after"}, "unknown field"),
        ({"kind": "refuse", "when": "after"}, "never `after`"),
        ({"kind": "throttle:3", "when": "after"}, "never `after`"),
        ({"kind": "list-lag:2", "when": "after"}, "no `when`"),
        ({"kind": "list-lag:2", "route": "status"}, "does not act"),
        ({"kind": "reset", "probability": 2}, "probability"),
        ({"kind": "reset", "probability": "half"}, "probability"),
        ({"kind": "reset", "nth": 0}, "nth"),
        ({"kind": "reset", "nth": "first"}, "nth"),
        ({"kind": "reset", "times": -1}, "times"),
        ({"kind": "reset", "seed": 1.5}, "times and seed"),
        ({"kind": "reset", "match": 3}, "match"),
    ],
)
def test_an_unknown_word_is_refused(make: Callable[..., Emulator], item: Any, text: str) -> None:
    """A fault that cannot be understood would prove nothing, so it is an error."""
    with pytest.raises(UnknownFault, match=text):
        make().faults.set([item])


def test_exports_have_all_required_fields() -> None:
    """The tests' own export is a valid one but for what a test changes."""
    assert set(export(compress=None)) == {
        *("data_path", "data_type", "database_name", "table_name"),
    }
