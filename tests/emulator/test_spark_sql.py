"""SQL on the emulator beside SQL on a real Spark: the same statements, the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dli_async.emulator import DuckEngine, ObsStore
from dli_async.emulator._engine.sql.duck import DuckSql
from dli_async.emulator._engine.sql.errors import SqlError

VECTORS = Path(__file__).parent.parent / "vectors" / "spark_sql"
STATEMENTS = json.loads((VECTORS / "statements.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    """The tables that Spark had, in a database called `db`."""
    folder = tmp_path_factory.mktemp("spark-sql")
    tables = json.loads((VECTORS / "tables.json").read_text(encoding="utf-8"))
    with duckdb.connect(folder / "db.duckdb") as connection:
        for name, table in tables.items():
            columns = ", ".join(f'"{column}" {kind}' for column, kind in table["columns"])
            connection.execute(f"CREATE TABLE {name} ({columns})")
            values = ", ".join(f"CAST(? AS {kind})" for _, kind in table["columns"])
            connection.executemany(f"INSERT INTO {name} VALUES ({values})", table["rows"])
    engine = DuckEngine(ObsStore(folder / "obs"), database=folder / "db.duckdb")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def sql(engine: DuckEngine) -> DuckSql:
    return DuckSql(engine)


def insert(engine: DuckEngine, sql: DuckSql, head: str, query: str) -> str:
    """What an INSERT OVERWRITE DIRECTORY writes."""
    path = "obs://bucket/folder"
    statement = f"INSERT OVERWRITE DIRECTORY '{path}' USING {head} {query}"
    staged = sql.insert(sql.plan(statement, "db", {}))
    staged.publish()
    folder = engine.obs.folder(path)
    return b"".join((folder / name).read_bytes() for name in staged.exported.files).decode()


@pytest.mark.parametrize(
    "vector", STATEMENTS, ids=[f"{n}-{each['query'][:40]}" for n, each in enumerate(STATEMENTS)]
)
def test_statements_write_what_a_real_spark_writes(
    engine: DuckEngine, sql: DuckSql, vector: dict[str, Any]
) -> None:
    """Names and types of columns, arithmetic, functions, joins, groups, windows, csv dialects."""
    head = f"{vector['format']} {vector['options']}"
    assert insert(engine, sql, head, vector["query"]) == vector["written"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT nope FROM t", "DLI.0005"),
        ("SELECT t.nope FROM t", "DLI.0005"),
        ("SELECT x.id FROM t", "DLI.0005"),
        ("SELECT *", "DLI.0005"),
        ("SELECT id FROM t GROUP BY ok", "DLI.0005"),
        ("SELECT id FROM t WHERE sum(id) > 1", "DLI.0005"),
        ("SELECT id FROM t UNION SELECT id, ok FROM t", "DLI.0005"),
        ("SELECT id FROM t a JOIN t b ON a.id = b.id", "DLI.0005"),
        ("SELECT 1 AS a FROM nope", "DLI.0002"),
        ("SELECT 1 AS a FROM nope.t", "DLI.0002"),
        ("SELECT 1 AS a FROM db.t, `data.csv`", "DLI.0002"),
        ("WITH a AS (SELECT * FROM nope) SELECT * FROM a", "DLI.0002"),
        ("SELECT (SELECT max(id) FROM nope) AS a", "DLI.0002"),
        ("SELECT FROM t WHERE", "DLI.0004"),
        ("SELECT id FROM t WHERE id =", "DLI.0004"),
        ("SELECT id FROM t ORDER BY", "DLI.0004"),
        ("SELECT id, FROM t", "DLI.0004"),
        ("SELECT ((id) FROM t", "DLI.0004"),
        ("SELECT arr[0] FROM u", "DLI.0007"),
        ("SELECT percentile_approx(id, 0.5) AS p FROM t", "DLI.0007"),
        ("SELECT spam(id) AS s FROM t", "DLI.0007"),
        ("SELECT id FROM t LATERAL VIEW OUTER explode(array(1)) x AS e", "DLI.0007"),
        ("SELECT id FROM t TABLESAMPLE (5 ROWS)", "DLI.0007"),
        ("SELECT * FROM range(5)", "DLI.0007"),
        ("SELECT * FROM read_csv('data.csv')", "DLI.0007"),
        ("SELECT read_text('data.csv') AS a", "DLI.0007"),
        ("SELECT getenv('HOME') AS a", "DLI.0007"),
        ("SELECT * FROM sniff_csv('x')", "DLI.0007"),
        ("SELECT months_between(day, day) AS a FROM t", "DLI.0007"),
    ],
)
def test_what_spark_would_refuse_or_nobody_knows_is_refused(
    sql: DuckSql, query: str, code: str
) -> None:
    """Before anything runs, and with the code that says why."""
    with pytest.raises(SqlError) as refused:
        sql.plan(query, "db", {})
    assert refused.value.code == code


def test_names_are_found_in_any_case_and_place(engine: DuckEngine, sql: DuckSql) -> None:
    """Tables by database and catalog, aliases, CTEs that hide tables, columns by their table."""
    same = [
        "SELECT ID AS a FROM DB.T WHERE id = 3",
        "SELECT `t`.`id` AS a FROM dli.db.t WHERE t.Id = 3",
        "SELECT db.t.id AS a FROM db.t WHERE id = 3",
        "SELECT x.id AS a FROM `T` x WHERE X.id = 3",
        "WITH U AS (SELECT * FROM t WHERE id = 3) SELECT u.id AS a FROM u",
        "SELECT a FROM (SELECT id AS A FROM t) WHERE a = 3",
    ]
    assert {insert(engine, sql, "csv", query) for query in same} == {"3\n"}


def test_tables_that_are_read_are_told(sql: DuckSql) -> None:
    """With their rows and sizes, which become `input_row_count` and `input_size`."""
    plan = sql.plan("SELECT t.id FROM t JOIN u ON t.id = u.id JOIN db.t z ON true", "db", {})
    assert sorted(plan.tables) == [("db", "t"), ("db", "u")]
    assert plan.input_rows == 18
    assert plan.input_size > 0


def test_a_result_is_kept_previewed_and_dropped(engine: DuckEngine, sql: DuckSql) -> None:
    """Numbers and truth as such, decimals and times as text, nested values as JSON."""
    query = (
        "SELECT 1 AS id, 1.50 AS d, DATE'2020-01-02' AS day, true AS ok, null AS n, array(1) AS a"
    )
    staged = sql.query(sql.plan(query, "db", {}))
    result = staged.exported.result

    assert sql.preview(result, 10) == [[1, "1.50", "2020-01-02", True, None, [1]]]
    assert (result.rows, [column.type for column in result.columns][:2]) == (
        1,
        ["int", "decimal(3,2)"],
    )
    staged.discard()
    with pytest.raises(duckdb.Error):
        sql.preview(result, 10)


def test_a_result_is_what_it_was_when_the_query_ran(engine: DuckEngine, sql: DuckSql) -> None:
    """Two exports of one random result are the same."""
    result = sql.query(sql.plan("SELECT rand() AS r FROM t", "db", {})).exported.result
    first, second = sql.preview(result, 100), sql.preview(result, 100)
    assert first == second
    assert len({value for (value,) in first}) > 1
    sql.forget()


def test_a_division_that_is_not_a_floats(engine: DuckEngine, sql: DuckSql) -> None:
    """Decimals are divided to the last digit, rounded half up; by zero it is null."""
    query = (
        "SELECT CAST('12345678901234567890.12' AS decimal(22,2)) / 7 AS a, -1.0 / 3 AS b, "
        "2.0 / 3 AS c, 1.0 / 0 AS d"
    )
    assert insert(engine, sql, "csv", query) == "1763668414462081127.160000,-0.333333,0.666667,\n"


def test_a_number_whose_text_is_not_known_fails(engine: DuckEngine, sql: DuckSql) -> None:
    """Java would write an exponent: better no answer than another one."""
    with pytest.raises(duckdb.Error, match="not emulated"):
        insert(engine, sql, "csv", "SELECT CAST(1e10 AS string) AS a")
