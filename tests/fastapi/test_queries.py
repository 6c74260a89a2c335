"""Queries over HTTP: allowed only where the policy says so."""

from __future__ import annotations

import pytest

from dli_async import QueryExport, ResultExport, TableExport
from dli_async.emulator import Emulator
from dli_async.fastapi import ExportPolicy, PolicyViolation

from .conftest import Serve, is_over

QUERY = {
    "kind": "query",
    "query": "SELECT 1 AS x",
    "data_path": "obs://bucket/team/q",
    "export_mode": "Overwrite",
}


def test_queries_are_refused_unless_the_policy_allows_them() -> None:
    """Results too; `allow_all` allows all tables, and no queries either."""
    specs = [QueryExport("SELECT 1", "obs://b/q"), ResultExport("q-1", "obs://b/r")]
    for policy in (ExportPolicy(data_paths=["obs://b"]), ExportPolicy.allow_all()):
        for spec in specs:
            with pytest.raises(PolicyViolation) as caught:
                policy.check(spec)
            assert caught.value.rule == "queries"
    for policy in (
        ExportPolicy(data_paths=["obs://b"], tables=["sales.*"], queries=True),
        ExportPolicy.allow_all(queries=True),
    ):
        for spec in specs:
            policy.check(spec)


def test_the_other_rules_hold_for_queries() -> None:
    """Folder, queue and mode are checked as for tables, and tables of tables still are."""
    policy = ExportPolicy(
        data_paths=["obs://b"],
        tables=["sales.*"],
        queues=["q1"],
        export_modes=["ErrorIfExists"],
        queries=True,
    )
    good = QueryExport("SELECT 1", "obs://b/q", queue_name="q1")
    policy.check(good)
    wrong = {
        "data_paths": good.model_copy(update={"data_path": "obs://c/q"}),
        "queues": good.model_copy(update={"queue_name": "q2"}),
        "export_modes": good.model_copy(update={"export_mode": "Overwrite"}),
        "tables": TableExport(
            database_name="hr", table_name="t", data_path="obs://b/q", queue_name="q1"
        ),
    }
    for rule, spec in wrong.items():
        with pytest.raises(PolicyViolation) as caught:
            policy.check(spec)  # type: ignore[arg-type]
        assert caught.value.rule == rule


def test_a_query_runs_like_any_other_export(serve: Serve, emulator: Emulator) -> None:
    """It is accepted, listed under a label, and its end is told."""
    with serve(policy=ExportPolicy(data_paths=["obs://bucket/team"], queries=True)) as web:
        accepted = web.by("alice").post("/exports", json=QUERY)
        assert accepted.status_code == 202, accepted.text
        assert accepted.json()["spec"]["query"] == QUERY["query"]
        last = web.until(accepted.headers["location"], is_over)
        assert (last["state"], last["label"]) == ("finished", "query SELECT 1 AS x")
    assert len(emulator.ledger.jobs) == 1


def test_a_wrong_query_is_told_by_its_field(serve: Serve) -> None:
    """As of a table: 422, with the field in the body and the rule."""
    with serve(policy=ExportPolicy(data_paths=["obs://bucket/team"], queries=True)) as web:
        wrong = web.by("alice").post("/exports", json={**QUERY, "query": "DROP TABLE t"})
        assert wrong.status_code == 422
        [problem] = wrong.json()["errors"]
        assert problem["where"] == "body.query"
        assert "one SELECT" in problem["rule"]


def test_a_query_is_forbidden_by_default(serve: Serve) -> None:
    """The policy's refusal names its rule."""
    with serve() as web:
        refused = web.by("alice").post("/exports", json=QUERY)
        assert (refused.status_code, refused.json()["rule"]) == (403, "queries")
