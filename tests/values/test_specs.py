"""Specs of queries and results: checked like those of tables, and read from what they dump."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from dli_async import (
    ExportSpec,
    InvalidExport,
    QueryExport,
    ResultExport,
    StatusReport,
    TableExport,
)
from dli_async._values.spec import AnySpec, dump_spec, read_spec

TABLE = TableExport(database_name="db2", table_name="t2", data_path="obs://b/t")
QUERY = QueryExport(
    "SELECT a FROM db2.t2",
    "obs://b/q",
    data_type="Parquet",
    compress="zstd",
    options={"maxRecords": "10"},
    conf={"spark.sql.shuffle.partitions": "8"},
    tags={"team": "blue"},
)
RESULT = ResultExport(query_job_id="8ecb-07", data_path="obs://b/r", limit_num=10, quote_char="'")
SPECS = [TABLE, QUERY, RESULT]


def sql_of(spec: ExportSpec) -> Any:
    return spec.posting("sql", "k1").body["sql"]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_spec_is_a_value(spec: ExportSpec) -> None:
    """It can be hashed, copied, pickled and put into JSON, and comes back equal."""
    again = read_spec(json.loads(json.dumps(dump_spec(spec))))
    copies = [again, copy.deepcopy(spec), pickle.loads(pickle.dumps(spec)), spec.model_copy()]
    assert {spec, *copies} == {spec}
    assert [type(each) for each in copies] == [type(spec)] * 4
    with pytest.raises(ValidationError):
        spec.data_path = "obs://b/other"  # type: ignore[misc]


@pytest.mark.parametrize("change", ["__setitem__", "update", "pop", "clear", "setdefault"])
def test_options_of_a_spec_cannot_be_changed(change: str) -> None:
    """A hash that changed would lose the spec in sets and dictionaries."""
    with pytest.raises(TypeError, match="model_copy"):
        getattr(QUERY.options, change)("a", "b")


def test_a_table_needs_no_word_for_its_kind() -> None:
    """What earlier releases wrote is read as it was, and what they read is still written."""
    assert dump_spec(TABLE) == TABLE.body()
    assert read_spec(TABLE.body()) == read_spec({"kind": "table", **TABLE.body()}) == TABLE
    assert read_spec({"query": "SELECT 1", "data_path": "obs://b/q"}).label == "query SELECT 1"


@pytest.mark.parametrize(
    ("make", "field", "rule"),
    [
        (lambda: QueryExport("DROP TABLE t", "obs://b/q"), "query", "one SELECT"),
        (lambda: QueryExport("SELECT 1", "obs://b"), "data_path", "folder below a bucket"),
        (lambda: QueryExport("SELECT 1", "obs://b/it's"), "data_path", "quotes"),
        (lambda: QueryExport("SELECT 1", "obs://b/q", data_type="xml"), "data_type", "avro"),
        (
            lambda: QueryExport("SELECT 1", "obs://b/q", database_name="1"),
            "database_name",
            "number",
        ),
        (lambda: QueryExport("SELECT 1", "obs://b/q", compress="snappy"), "spec", "deflate"),
        (
            lambda: QueryExport("SELECT 1", "obs://b/q", data_type="orc", with_column_header=True),
            "spec",
            "no header",
        ),
        (lambda: read_spec({"kind": "result", "data_path": "obs://b/r"}), "query_job_id", "given"),
        (lambda: ResultExport("../x", "obs://b/r"), "query_job_id", "pattern"),
        (lambda: RESULT.model_copy(update={"data_type": "json"}), "spec", "csv only"),
        (lambda: RESULT.model_copy(update={"limit_num": -1}), "limit_num", "greater"),
        (lambda: QueryExport.of_table("d", "t", "obs://b/q", columns=[]), "columns", "list"),
        (lambda: QueryExport.of_table("d", "", "obs://b/q"), "table_name", "name"),
    ],
)
def test_a_broken_rule_is_told_with_its_field(make: Any, field: str, rule: str) -> None:
    """As for tables: field, value and rule, before anything is sent."""
    with pytest.raises(InvalidExport) as caught:
        make()
    assert caught.value.field == field
    assert rule in caught.value.rule


def test_a_model_tells_the_errors_of_the_one_spec_that_was_meant() -> None:
    """A body of a request that is a query gets no errors about tables."""

    class Body(BaseModel):
        spec: AnySpec

    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"spec": {"kind": "query", "query": "SELECT", "nope": 1}})
    assert {item["loc"] for item in caught.value.errors()} == {
        ("spec", "data_path"),
        ("spec", "nope"),
    }
    assert Body.model_validate({"spec": dump_spec(QUERY)}).spec == QUERY


def test_a_part_of_a_table_is_a_query_with_quoted_names() -> None:
    """Names stand in backticks, doubled inside, and the condition in parentheses."""
    spec = QueryExport.of_table(
        "sales", "or`ders", "obs://b/q", columns=["id", "a b"], where="x > 1 OR y = ')'"
    )
    assert spec.query == "SELECT `id`, `a b` FROM `sales`.`or``ders` WHERE ((x > 1 OR y = ')'))"
    whole = QueryExport.of_table("sales", "orders", "obs://b/q", current_catalog="lake")
    assert whole.query == "SELECT * FROM `lake`.`sales`.`orders`"
    assert whole.posting("sql", "k1").body["current_catalog"] == "lake"


def test_the_statement_of_a_query_says_all_of_its_fields() -> None:
    """Format, compression, options and the id of the export, and settings and tags beside it."""
    body = QUERY.posting("sql", "k1").body
    assert body == {
        "sql": "INSERT OVERWRITE DIRECTORY 'obs://b/q' USING parquet "
        "OPTIONS('compression'='zstd', 'maxRecords'='10') /* dli_async k1 */ SELECT a FROM db2.t2",
        "engine_type": "spark",
        "conf": ["spark.sql.shuffle.partitions = 8"],
        "tags": [{"key": "team", "value": "blue"}, {"key": "dli_async", "value": "k1"}],
    }


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, "OPTIONS('header'='false') "),
        ({"with_column_header": True}, "OPTIONS('header'='true') "),
        ({"compress": "bzip2"}, "OPTIONS('header'='false', 'compression'='bzip2') "),
        ({"data_type": "json"}, ""),
        (
            {"data_type": "json", "compress": "gzip", "with_column_header": True},
            "OPTIONS('compression'='gzip') ",
        ),
    ],
)
def test_a_table_by_sql_writes_what_the_call_writes(fields: Any, options: str) -> None:
    """Format, compression and header become options; json has no header either way."""
    spec = TABLE.model_copy(update=fields)
    kind = fields.get("data_type", "csv")
    assert sql_of(spec) == (
        f"INSERT OVERWRITE DIRECTORY 'obs://b/t' USING {kind} {options}"
        "/* dli_async k1 */ SELECT * FROM `db2`.`t2`"
    )


def test_avro_has_its_own_word_for_no_compression() -> None:
    """`none` is what users say, and `uncompressed` what Spark reads."""
    spec = QueryExport("SELECT 1", "obs://b/q", data_type="avro", compress="none")
    assert "OPTIONS('compression'='uncompressed')" in sql_of(spec)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("|", "'|'"),
        ("\t", r"'\t'"),
        ("\x01", r"'\u0001'"),
        ("\\", r"'\\'"),
        ("'", '"\'"'),
        ('"', "'\"'"),
        ("", "''"),
        ("yyyy-MM-dd", "'yyyy-MM-dd'"),
    ],
)
def test_documented_values_of_options_are_escaped(value: str, literal: str) -> None:
    """Delimiters, quotes and escapes are given as they are, and written as Spark reads them."""
    spec = QueryExport("SELECT 1", "obs://b/q", options={"delimiter": value})
    assert f"'delimiter'={literal})" in sql_of(spec)


def test_a_result_is_posted_with_what_the_page_names() -> None:
    """All fields but those that are None, to the route of the query's job."""
    posting = RESULT.posting("export-result", "k1")
    assert posting.names == {"query_job_id": "8ecb-07"}
    assert posting.body == {
        "data_path": "obs://b/r",
        "data_type": "csv",
        "compress": "none",
        "export_mode": "ErrorIfExists",
        "with_column_header": False,
        "limit_num": 10,
        "encoding_type": "utf-8",
        "quote_char": "'",
    }


@pytest.mark.parametrize(
    ("kind", "told", "rows"),
    [
        ("EXPORT", {"result_count": 3, "input_row_count": 9}, 3),
        ("EXPORT", {"input_row_count": 9}, 9),
        (None, {"input_row_count": 9}, 9),
        ("INSERT", {"result_count": 3, "input_row_count": 9}, 3),
        ("INSERT", {"input_row_count": 9}, None),
        ("QUERY", {"input_row_count": 9}, None),
    ],
)
def test_rows_that_were_read_are_not_rows_that_were_written(
    kind: str | None, told: dict[str, int], rows: int | None
) -> None:
    """Only of a whole table they are the same; a condition lets fewer through."""
    report = StatusReport(job_id="j", status="FINISHED", job_type=kind, **told)  # type: ignore[arg-type]
    assert report.row_count == rows
