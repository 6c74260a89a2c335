"""SQL on the command line: `query`, parts of tables, `--via`, and queries in plans."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dli_async.emulator import Emulator, NullEngine

from .conftest import Cli, Server, error_line, serving


@pytest.fixture(scope="module")
def _modern() -> Iterator[Server]:
    emulator = Emulator(
        engine=NullEngine({"sales": ["orders"]}), launch=0, run=0, without=["export-table"]
    )
    with serving(emulator) as server:
        yield server


@pytest.fixture
def modern(_modern: Server) -> Server:
    """A service that has no export-table any more."""
    _modern.reset()
    return _modern


TABLE = ("export", "sales.orders", "obs://bucket/orders")


def test_a_query_is_exported(modern: Server) -> None:
    """The result is that of an export, and the statement says what the options say."""
    words = ("--data-type", "parquet", "--mode", "Overwrite", "--tag", "team=blue")
    document = Cli(modern).json("query", "SELECT 1 AS x;", "obs://bucket/q", *words)
    assert (document["status"], document["data_path"]) == ("FINISHED", "obs://bucket/q")
    shown = Cli(modern).json("status", document["job_id"])
    assert "USING parquet" in shown["statement"]
    assert "SELECT 1 AS x" in shown["statement"]
    assert {"key": "team", "value": "blue"} in shown["tags"]


def test_options_of_a_format_are_given_by_name(modern: Server) -> None:
    """A pair each, and a wrong one is a usage error."""
    words = ("query", "SELECT 1", "obs://bucket/q", "--mode", "Overwrite")
    document = Cli(modern).json(*words, "--option", "delimiter=|", "--header")
    statement = Cli(modern).json("status", document["job_id"])["statement"]
    assert "OPTIONS('header'='true', 'delimiter'='|')" in statement
    assert "a name, = and a value" in error_line(Cli(modern)(*words, "--conf", "nonsense"))


def test_what_is_not_one_query_is_wrong_usage(modern: Server) -> None:
    """The rule is told, and nothing is sent."""
    result = Cli(modern)("query", "DROP TABLE t", "obs://bucket/q")
    assert result.exit_code == 2
    assert "one SELECT" in error_line(result)
    assert not modern.ledger()["requests"]


def test_a_part_of_a_table_goes_by_sql(modern: Server) -> None:
    """Columns, a condition, or a format that the call does not have."""
    part = ("--columns", "id, name", "--where", "id > 10")
    for words in (part, ("--data-type", "orc")):
        document = Cli(modern).json(*TABLE, *words, "--mode", "Overwrite")
        statement = Cli(modern).json("status", document["job_id"])["statement"]
        wanted = "SELECT `id`, `name` FROM `sales`.`orders` WHERE ((id > 10))"
        assert (wanted if words is part else "USING orc") in statement


def test_a_table_goes_by_sql_where_the_call_is_gone(modern: Server) -> None:
    """One line says what happened, and the export is what it was."""
    result = Cli(modern)(*TABLE)
    assert result.exit_code == 0, result.stderr
    assert [line for line in result.stderr.splitlines() if "by SQL from now on" in line]


def test_the_way_of_tables_can_be_chosen(quick: Server, modern: Server) -> None:
    """By option, and by the environment."""
    words = ("export", "db1.t1", "obs://bucket/t1", "--mode", "Overwrite", "--no-wait")
    for args, env in ((("--via", "sql"), {}), ((), {"DLI_TABLE_EXPORTS": "sql"})):
        job_id = Cli(quick)(*words, *args, env=env).stdout.strip()
        assert Cli(quick).json("status", job_id)["job_type"] == "INSERT"
    assert Cli(modern)(*words, "--via", "export-table").exit_code == 4


def test_a_plan_may_hold_queries(modern: Server, tmp_path: Path) -> None:
    """Beside tables, with their own fields and those of the options."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "- {database_name: sales, table_name: orders}\n"
        "- {query: SELECT 1 AS x, data_path: 'obs://bucket/{date}/q', data_type: parquet}\n"
    )
    to = ("--to", "obs://bucket/{date}/{table}", "--mode", "Overwrite", "--date", "2026-01-31")
    document = Cli(modern).json("bulk", "--plan", str(plan), *to, "--journal", str(tmp_path / "j"))
    paths = {export["data_path"]: export["end"] for export in document["exports"]}
    assert paths == {
        "obs://bucket/2026-01-31/orders": "finished",
        "obs://bucket/2026-01-31/q": "finished",
    }
    runs = Cli(modern)("runs", str(tmp_path / "j")).stdout
    assert "query SELECT 1 AS x" in runs
    assert "sales.orders" in runs


def test_a_placeholder_without_a_value_is_refused(modern: Server, tmp_path: Path) -> None:
    """A query has no table that could name its folder."""
    plan = tmp_path / "plan.yaml"
    plan.write_text("- {query: SELECT 1}\n")
    result = Cli(modern)("bulk", "--plan", str(plan), "--to", "obs://bucket/{table}")
    assert result.exit_code == 2
    assert "{table}" in error_line(result)
