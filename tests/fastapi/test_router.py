"""Exports over HTTP: start, look, list, cancel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from dli_async import ConfigurationError
from dli_async.emulator import Emulator
from dli_async.fastapi import ExportPolicy, dli_lifespan, exports_router

from .conftest import ENDLESS, Serve, TestClient, fast_client, is_over, spec

UNREACHABLE = {"route": "export-table", "when": "before", "kind": "refuse"}


def test_an_export_is_accepted_at_once_and_runs_to_its_end(
    serve: Serve, emulator: Emulator
) -> None:
    """POST answers 202 with a place to look, and there the export is until it has finished."""
    with serve() as web:
        alice = web.by("alice")
        accepted = alice.post("/exports", json=spec(1, compress="GZIP"))
        assert accepted.status_code == 202
        first = accepted.json()
        assert first["spec"] == {
            **spec(1),
            "data_type": "csv",
            "compress": "gzip",
            "queue_name": None,
            "export_mode": "ErrorIfExists",
            "with_column_header": False,
        }
        place = accepted.headers["location"]
        assert place == f"/exports/{first['export_id']}"
        last = web.until(place, is_over)
        assert (last["state"], last["status"], last["progress"]) == ("finished", "FINISHED", 1.0)
        assert (last["identity"], last["error"]) == ("alice", None)
        assert last["row_count"] > 0
        assert last["duration"] > 0
        assert alice.get(f"/exports/{last['job_id']}").json() == last
        assert [job.job_id for job in emulator.ledger.jobs] == [last["job_id"]]


def test_the_service_need_not_be_there_to_accept_an_export(
    serve: Serve, emulator: Emulator
) -> None:
    """With DLI out of reach an export is accepted all the same, tells what keeps it, and gets on
    when DLI is back."""
    emulator.faults.set([UNREACHABLE])
    with serve() as web:
        place = web.by("alice").post("/exports", json=spec()).headers["location"]
        waiting = web.until(place, lambda body: body["error"] is not None)
        assert (waiting["state"], waiting["job_id"]) == ("planned", None)
        emulator.faults.clear()
        assert web.until(place, is_over)["state"] == "finished"
    assert len(emulator.ledger.jobs) == 1


def test_the_place_of_an_export_knows_prefixes(emulator: Emulator, tmp_path: Path) -> None:
    """`Location` is right below a prefix and behind a proxy that cuts one off."""
    app = FastAPI(lifespan=dli_lifespan(lambda: fast_client(emulator)))
    router = exports_router(ExportPolicy.allow_all(), journal=tmp_path / "e.db", prefix="/tables")
    app.include_router(router, prefix="/api")
    with TestClient(app, root_path="/proxy") as http:
        place = http.post("/api/tables", json=spec()).headers["location"]
        assert place.endswith("/api/tables/1")
        assert http.get(place).status_code == 200


def test_many_exports_are_accepted_together_or_not_at_all(serve: Serve, emulator: Emulator) -> None:
    """A bulk request starts all of its exports; one that breaks a rule keeps them all back."""
    with serve(ExportPolicy(data_paths=["obs://bucket/team"])) as web:
        alice = web.by("alice")
        bad = spec(9, data_path="obs://bucket/other/x")
        assert alice.post("/exports/bulk", json=[spec(1), bad]).status_code == 403
        assert alice.post("/exports/bulk", json=[spec(1), spec(1)]).status_code == 409
        assert alice.post("/exports/bulk", json=[]).status_code == 422
        assert alice.get("/exports").json()["exports"] == []
        answer = alice.post("/exports/bulk", json=[spec(n) for n in range(1, 6)])
        assert answer.status_code == 202
        ids = [export["export_id"] for export in answer.json()["exports"]]
        ends = [web.until(f"/exports/{one}", is_over)["spec"]["table_name"] for one in ids]
        assert ends == ["t1", "t2", "t3", "t4", "t5"]
    assert len(emulator.ledger.jobs) == 5


def test_two_exports_do_not_share_a_folder_at_the_same_time(
    serve: Serve, emulator: Emulator
) -> None:
    """An export to a folder that another one is writing is refused, and accepted afterwards."""
    again = spec(2, data_path=spec(1)["data_path"] + "/", export_mode="overwrite")
    emulator.faults.set([UNREACHABLE])
    with serve() as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=spec(1)).headers["location"]
        refused = alice.post("/exports", json=again)
        assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
        emulator.faults.clear()
        web.until(place, is_over)
        accepted = alice.post("/exports", json=again)
        assert accepted.status_code == 202
        assert web.until(accepted.headers["location"], is_over)["state"] == "finished"


def test_folders_within_each_other_are_not_written_at_the_same_time(
    serve: Serve, emulator: Emulator
) -> None:
    """Whoever asks: Overwrite of the outer one would delete what the inner one writes."""
    emulator.faults.set([UNREACHABLE])
    with serve() as web:
        alice, bob = web.by("alice"), web.by("bob")
        team = "obs://bucket/team"
        alice.post("/exports", json=spec(1, data_path=f"{team}/a_b/c"))
        for path in (team, f"{team}/a_b", f"{team}/a_b/c", f"{team}/a_b/c/d/e"):
            refused = bob.post("/exports", json=spec(2, data_path=path))
            assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
        for path in (f"{team}/a_b/c2", f"{team}/axb", f"{team}/a_b/C", f"{team}/a_b/c-attempt-2"):
            assert bob.post("/exports", json=spec(2, data_path=path)).status_code == 202
        both = [spec(3, data_path=f"{team}/x"), spec(4, data_path=f"{team}/x/y")]
        assert bob.post("/exports/bulk", json=both).status_code == 409


def test_overwrite_never_deletes_the_finished_export_of_another_caller(
    serve: Serve, emulator: Emulator
) -> None:
    """Neither at the folder nor above it; one's own may be overwritten."""
    with serve() as web:
        alice, bob = web.by("alice"), web.by("bob")
        place = alice.post("/exports", json=spec(1)).headers["location"]
        web.until(place, is_over)
        for path in ("obs://bucket/team", "obs://bucket/team/t1"):
            asked = spec(2, data_path=path, export_mode="Overwrite")
            refused = bob.post("/exports", json=asked)
            assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
            assert "alice" not in refused.text
        mine = spec(2, data_path="obs://bucket/team", export_mode="Overwrite")
        accepted = alice.post("/exports", json=mine)
        assert accepted.status_code == 202
        assert web.until(accepted.headers["location"], is_over)["state"] == "finished"
    assert len(emulator.ledger.jobs) == 2


def test_lists_are_filtered_and_come_in_pages(serve: Serve) -> None:
    """Every export is on exactly one page, the newest first, and filters narrow the list."""
    with serve() as web:
        alice = web.by("alice")
        alice.post("/exports/bulk", json=[spec(n) for n in range(1, 8)])
        for n in range(1, 8):
            web.until(f"/exports/{n}", is_over)

        def ids(**params: Any) -> list[int]:
            page = alice.get("/exports", params=params).json()
            return [export["export_id"] for export in page["exports"]]

        first = alice.get("/exports?limit=3").json()
        assert [export["export_id"] for export in first["exports"]] == [7, 6, 5]
        assert ids(limit=3, before=first["next_before"]) == [4, 3, 2]
        last = alice.get("/exports?limit=3&before=2").json()
        assert ([one["export_id"] for one in last["exports"]], last["next_before"]) == ([1], None)
        assert ids(table_name="T3") == [3]
        assert ids(database_name="db", data_path=spec(4)["data_path"]) == [4]
        assert ids(state=["finished", "failed"]) == [7, 6, 5, 4, 3, 2, 1]
        assert ids(state="cancelled") == []
        assert alice.get("/exports?state=odd").status_code == 422


def test_a_job_that_fails_says_why(serve: Serve, emulator: Emulator) -> None:
    """The service's reason is in the export, and so is a refusal of the request itself."""
    with serve() as web:
        alice = web.by("alice")
        emulator.faults.set([{"route": "export-table", "kind": "fail:DLI.0999", "times": 1}])
        failed = web.until(alice.post("/exports", json=spec(1)).headers["location"], is_over)
        assert (failed["state"], failed["status"]) == ("failed", "FAILED")
        assert "DLI.0999" in failed["error"]
        place = alice.post("/exports", json=spec(2, table_name="nowhere")).headers["location"]
        refused = web.until(place, is_over)
        assert (refused["state"], refused["job_id"]) == ("failed", None)
        assert "nowhere" in refused["error"]


def test_a_rejected_export_names_the_rule(serve: Serve) -> None:
    """403 says which rule of the policy says no, and nothing is kept."""
    policy = ExportPolicy(data_paths=["obs://bucket/team"], tables=["db.t*"], queues=["queue1"])
    with serve(policy) as web:
        alice = web.by("alice")
        for rule, change in {
            "data_paths": {"data_path": "obs://bucket/team2/x"},
            "tables": {"table_name": "pay"},
            "queues": {"queue_name": "queue2"},
        }.items():
            answer = alice.post("/exports", json=spec() | {"queue_name": "queue1"} | change)
            assert answer.status_code == 403
            assert answer.json()["rule"] == rule
            assert rule in answer.json()["detail"]
        assert alice.get("/exports").json()["exports"] == []


def test_a_caller_has_at_most_so_many_exports_at_a_time(serve: Serve, emulator: Emulator) -> None:
    """`max_active` counts a caller's own exports that have not ended."""
    emulator.faults.set([UNREACHABLE])
    with serve(ExportPolicy.allow_all(max_active=2)) as web:
        alice = web.by("alice")
        assert alice.post("/exports/bulk", json=[spec(1), spec(2)]).status_code == 202
        refused = alice.post("/exports", json=spec(3))
        assert (refused.status_code, refused.json()["rule"]) == (403, "max_active")
        assert web.by("bob").post("/exports", json=spec(4)).status_code == 202
        emulator.faults.clear()
        web.until("/exports/1", is_over)
        assert alice.post("/exports", json=spec(3)).status_code == 202


@ENDLESS
def test_a_running_export_is_cancelled(serve: Serve, emulator: Emulator) -> None:
    """DELETE cancels the job at the service, confirms that and tells the outcome; a second one
    finds it ended."""
    with serve() as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=spec()).headers["location"]
        web.until(place, lambda body: body["status"] == "RUNNING")
        said = alice.delete(place)
        assert said.status_code == 202
        assert said.json()["outcome"] == "cancelled"
        assert said.json()["export"]["state"] == "cancelled"
        assert alice.delete(place).json()["outcome"] == "already ended"
        assert alice.get(place).json()["state"] == "cancelled"
    assert [job.state for job in emulator.ledger.jobs] == ["CANCELLED"]


def test_an_export_that_was_not_sent_is_cancelled_without_the_service(
    serve: Serve, emulator: Emulator
) -> None:
    """An export that waits for DLI to come back is cancelled for good: it is not sent later."""
    emulator.faults.set([UNREACHABLE])
    with serve() as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=spec()).headers["location"]
        web.until(place, lambda body: body["error"] is not None)
        assert alice.delete(place).json()["outcome"] == "cancelled"
        emulator.faults.clear()
        other = alice.post("/exports", json=spec(2)).headers["location"]
        web.until(other, is_over)
        assert alice.get(place).json()["state"] == "cancelled"
    assert [job.spec.table_name for job in emulator.ledger.jobs] == ["t2"]


@ENDLESS
def test_a_cancel_waits_for_the_fate_of_a_submit_under_way(
    serve: Serve, emulator: Emulator
) -> None:
    """While the POST to DLI has no answer yet, DELETE waits for it and cancels what it made."""
    slow = {"route": "export-table", "when": "after", "kind": "slow-headers:0.3"}
    emulator.faults.set([slow])
    with serve() as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=spec()).headers["location"]
        web.until(place, lambda body: body["state"] == "submitting")
        assert alice.delete(place).json()["outcome"] == "cancelled"
    assert [job.state for job in emulator.ledger.jobs] == ["CANCELLED"]


@ENDLESS
def test_a_cancel_that_takes_too_long_says_so(serve: Serve, emulator: Emulator) -> None:
    """If neither the submit nor the cancel is confirmed in time, the outcome is that."""
    emulator.faults.set([{"route": "export-table", "when": "after", "kind": "slow-headers:0.5"}])
    with serve(cancel_timeout=0.05) as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=spec()).headers["location"]
        web.until(place, lambda body: body["state"] == "submitting")
        assert alice.delete(place).json()["outcome"] == "not confirmed"
        web.until(place, lambda body: body["status"] == "RUNNING")
        emulator.faults.set([{"route": "cancel", "kind": "slow-cancel:60"}])
        assert alice.delete(place).json()["outcome"] == "not confirmed"


@ENDLESS
def test_a_cancel_that_the_service_refuses_is_a_problem(serve: Serve, emulator: Emulator) -> None:
    """DLI's error reaches the caller as a gateway's, with its code."""
    with serve() as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=spec()).headers["location"]
        web.until(place, lambda body: body["status"] == "RUNNING")
        emulator.faults.set([{"route": "cancel", "when": "before", "kind": "status:403"}])
        answer = alice.delete(place)
        assert answer.status_code == 502
        assert answer.json()["request_id"]
        assert alice.get(place).json()["state"] == "submitted"


ROUTES = [
    ("POST", "/exports"),
    ("POST", "/exports/bulk"),
    ("GET", "/exports"),
    ("GET", "/exports/events"),
    ("GET", "/exports/1"),
    ("DELETE", "/exports/1"),
    ("GET", "/exports/1/events"),
    ("GET", "/exports/ui"),
    ("GET", "/exports/ui/main.js"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_is_open_to_the_unknown(method: str, path: str, serve: Serve) -> None:
    """Whoever the identity dependency turns away gets its answer, on every route."""
    with serve(ui=True) as web:
        body = [spec(2)] if path.endswith("bulk") else spec(2)
        web.by("alice").post("/exports", json=spec(1))
        answer = web.http.request(method, path, json=body if method == "POST" else None)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["detail"] == "who are you?"


def test_callers_learn_nothing_of_each_others_exports(serve: Serve, emulator: Emulator) -> None:
    """Another caller's export looks exactly like one that never was, by each of its ids."""
    with serve() as web:
        alice, bob = web.by("alice"), web.by("bob")
        place = alice.post("/exports", json=spec()).headers["location"]
        export = web.until(place, is_over)
        for known_as in (export["export_id"], export["job_id"]):
            for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
                said = bob.request(method, f"/exports/{known_as}{tail}")
                never = bob.request(method, f"/exports/999{tail}")
                assert said.status_code == never.status_code == 404
                assert said.text.replace(str(known_as), "999") == never.text
        assert bob.get("/exports").json()["exports"] == []
        assert bob.get("/exports/events?last_event_id=0&follow=false").text.count("data:") == 0
        assert alice.get("/exports/events?last_event_id=0&follow=false").text.count("data:") > 3


def test_a_policy_may_let_callers_see_everything(serve: Serve) -> None:
    """Admins, or all callers where the policy says so, see and cancel everybody's exports."""
    with serve(ExportPolicy.allow_all(admins=["ops"])) as web:
        place = web.by("alice").post("/exports", json=spec()).headers["location"]
        ops = web.by("ops")
        assert ops.get(place).json()["identity"] == "alice"
        assert len(ops.get("/exports").json()["exports"]) == 1
        assert ops.delete(place).status_code == 202
    with serve(ExportPolicy.allow_all(shared=True)) as web:
        assert web.by("bob").get(place).json()["identity"] == "alice"


def test_without_identities_everybody_is_the_same_caller(serve: Serve) -> None:
    """A router without an identity dependency shows everything to everybody."""
    with serve(identity=None) as web:
        place = web.http.post("/exports", json=spec()).headers["location"]
        assert web.http.get(place).json()["identity"] is None
        assert len(web.http.get("/exports").json()["exports"]) == 1


async def nobody() -> None:
    return None


async def number() -> int:
    return 7


@pytest.mark.parametrize(("identity", "status"), [(nobody, 401), (number, 500)])
def test_an_identity_is_a_text_or_the_request_is_refused(
    identity: Any, status: int, serve: Serve
) -> None:
    """A dependency that finds nobody, or returns something else than text, opens nothing."""
    with serve(identity=Depends(identity)) as web:
        assert web.http.get("/exports").status_code == status


@pytest.mark.parametrize(
    ("arguments", "options", "word"),
    [
        ((None,), {}, "policy"),
        ((True,), {}, "allow_all"),
        ((ExportPolicy.allow_all(),), {"lease": 0}, "lease"),
        ((ExportPolicy.allow_all(),), {"identity": "alice"}, "identity"),
    ],
)
def test_a_router_is_not_made_without_a_policy_or_with_odd_values(
    arguments: Any, options: Any, word: str
) -> None:
    """What opens or breaks the router is told when it is made."""
    with pytest.raises(ConfigurationError, match=word):
        exports_router(*arguments, **options)
    with pytest.raises(TypeError):
        exports_router()  # type: ignore[call-arg]


def test_a_router_whose_application_does_not_run_says_nothing(emulator: Emulator) -> None:
    """Requests before the lifespan began are a 500 without a word about the set-up."""
    app = FastAPI(lifespan=dli_lifespan(lambda: fast_client(emulator)))
    app.include_router(exports_router(ExportPolicy.allow_all()))
    answer = TestClient(app).get("/exports")
    assert (answer.status_code, "lifespan" in answer.text) == (500, False)
