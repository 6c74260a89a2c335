"""What surrounds a SELECT: read strictly, and refused loudly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async.emulator._engine.sql.errors import SqlError
from dli_async.emulator._engine.sql.statement import (
    Insert,
    Select,
    kind_of,
    parse,
    path_of,
    tables_of,
)
from dli_async.emulator._engine.sql.tokens import quoted, tokenize

HEAD = "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING csv"


def insert(sql: str) -> Insert:
    statement = parse(sql)
    assert isinstance(statement, Insert)
    return statement


def test_the_documented_statement_is_read() -> None:
    """Path, format, options and query, as dli_08_0205 has them."""
    statement = insert(f"{HEAD} OPTIONS(key1=1) select * from db1.tb1;")

    assert statement.path == "obs://b/d"
    assert statement.format == "csv"
    assert statement.options == {"key1": "1"}
    assert statement.query == "select * from db1.tb1"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("OPTIONS('header'='true')", {"header": "true"}),
        ("OPTIONS (header true)", {"header": "true"}),
        ("options('HEADER' = TRUE, \"Sep\" ';')", {"header": "true", "sep": ";"}),
        ("OPTIONS(`delimiter`='\\t', parquet.compression snappy_ = 1)", None),
        ("OPTIONS(orc.compress = 'zlib', n=10)", {"orc.compress": "zlib", "n": "10"}),
        ("OPTIONS(d 1.5)", {"d": "1.5"}),
        ("OPTIONS('q' = \"'\")", {"q": "'"}),
        ("OPTIONS('e' = '\\\\', t='\\t', u='\\u0001', o='\\001', z='\\Z', p='\\%')", {
            "e": "\\", "t": "\t", "u": "\x01", "o": "\x01", "z": "\x1a", "p": "\\%",
        }),
        ("OPTIONS('e' = '\\U0001F600', x='\\x')", {"e": "😀", "x": "x"}),
        ("OPTIONS('r' = r'\\n')", {"r": "\\n"}),
        ("OPTIONS(a /* c */ = -- d\n 'x')", {"a": "x"}),
    ],
)  # fmt: skip
def test_options_are_read_as_spark_reads_them(
    options: str, expected: dict[str, str] | None
) -> None:
    """Keys with and without quotes, `=` or not, literals with their escapes."""
    if expected is None:
        with pytest.raises(SqlError):
            insert(f"{HEAD} {options} SELECT 1")
    else:
        assert insert(f"{HEAD} {options} SELECT 1").options == expected


@pytest.mark.parametrize(
    "sql",
    [
        "insert overwrite directory 'obs://b/d' using CSV select 1",
        'INSERT OVERWRITE DIRECTORY "obs://b/d" USING csv AS SELECT 1',
        "INSERT /* a /* b */ c */ OVERWRITE -- d\n DIRECTORY 'obs://b/d' USING `csv` SELECT 1",
        "INSERT OVERWRITE DIRECTORY USING csv OPTIONS(path 'obs://b/d') SELECT 1",
        "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING csv WITH a AS (SELECT 1) SELECT * FROM a",
        "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING csv (SELECT 1) UNION ALL (SELECT 2);;",
        "INSERT OVERWRITE DIRECTORY 'obs://b\\/d' USING csv SELECT 1",
    ],
)
def test_heads_come_in_many_spellings(sql: str) -> None:
    """Case, comments, either quotes, the path as an option, AS, and any query."""
    statement = insert(sql)
    assert (statement.path, statement.format, statement.options) == ("obs://b/d", "csv", {})


SYNTAX = [
    "",
    "   ",
    ";",
    "-- nothing",
    "/* nothing */",
    "SELEKT 1",
    "é",
    "1",
    "'SELECT 1'",
    "`SELECT` 1",
    "INSERT",
    "INSERT OVERWRITE",
    "INSERT OVERWRITE DIRECTORY",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d'",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING csv",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING csv 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING 'csv' SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' USING csv, json SELECT 1",
    "INSERT OVERWRITE DIRECTORY obs://b/d USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY `obs://b/d` USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d\\' USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d'' USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b''/d' USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' 'x' USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY ('obs://b/d') USING csv SELECT 1",
    "OVERWRITE DIRECTORY 'obs://b/d' USING csv SELECT 1",
    "INSERT DIRECTORY 'obs://b/d' USING csv SELECT 1",
    f"{HEAD} OPTIONS SELECT 1",
    f"{HEAD} OPTIONS() SELECT 1",
    f"{HEAD} OPTIONS(a) SELECT 1",
    f"{HEAD} OPTIONS(a=) SELECT 1",
    f"{HEAD} OPTIONS(='x') SELECT 1",
    f"{HEAD} OPTIONS(a='x' b='y') SELECT 1",
    f"{HEAD} OPTIONS(a='x',) SELECT 1",
    f"{HEAD} OPTIONS(,a='x') SELECT 1",
    f"{HEAD} OPTIONS(a=='x') SELECT 1",
    f"{HEAD} OPTIONS(a=x) SELECT 1",
    f"{HEAD} OPTIONS(a='x' SELECT 1",
    f"{HEAD} OPTIONS(a='x')) SELECT 1",
    f"{HEAD} OPTIONS[a='x'] SELECT 1",
    f"{HEAD} OPTIONS(1='x') SELECT 1",
    f"{HEAD} OPTIONS(a.='x') SELECT 1",
    f"{HEAD} OPTIONS(a='x', A='y') SELECT 1",
    f"{HEAD} OPTIONS(a='x') OPTIONS(b='y') SELECT 1",
    f"{HEAD} OPTIONS(path 'obs://b/e') SELECT 1",
    f"{HEAD} SELECT 'a",
    f"{HEAD} SELECT `a",
    f"{HEAD} SELECT 1 /* a",
    f"{HEAD} SELECT é",
    f"{HEAD} SELECT '\\uD800'",
    f"{HEAD} SELECT a, FROM t",
    f"{HEAD} SELECT 1,",
]

NOT_EMULATED = [
    "SELECT 1; SELECT 2",
    f"{HEAD} SELECT 1; DROP TABLE t",
    "INSERT INTO t SELECT 1",
    "INSERT INTO TABLE t VALUES (1)",
    "INSERT OVERWRITE TABLE t SELECT 1",
    "INSERT OVERWRITE `t` SELECT 1",
    "INSERT OVERWRITE LOCAL DIRECTORY '/tmp/x' USING csv SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' STORED AS orc SELECT 1",
    "INSERT OVERWRITE DIRECTORY 'obs://b/d' ROW FORMAT DELIMITED SELECT 1",
    f"{HEAD} VALUES (1)",
    f"{HEAD} FROM t SELECT a",
    f"{HEAD} TABLE t",
    "VALUES (1)",
    "FROM t SELECT a",
    "CREATE TABLE t (a INT)",
    "DROP TABLE t",
    "show tables",
    "DESC t",
    "EXPLAIN SELECT 1",
    "SET a = b",
    "DELETE FROM t",
    "USE db",
]


@pytest.mark.parametrize("sql", SYNTAX)
def test_what_spark_could_not_read_is_a_syntax_error(sql: str) -> None:
    """DLI.0004, and never a guess at what may have been meant."""
    with pytest.raises(SqlError) as refused:
        parse(sql)
    assert refused.value.code == "DLI.0004"


@pytest.mark.parametrize("sql", NOT_EMULATED)
def test_what_is_not_emulated_is_said_to_be_so(sql: str) -> None:
    """DLI.0007, with what there is instead."""
    with pytest.raises(SqlError, match=r"not emulated: .+; known are .+") as refused:
        parse(sql)
    assert refused.value.code == "DLI.0007"


@given(st.text(st.characters(codec="utf-8")))
def test_a_literal_means_what_was_put_into_it(value: str) -> None:
    """Whatever text: written as a literal it is one token, and means the same."""
    (token,) = tokenize(quoted(value))
    assert (token.kind, token.value) == ("string", value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\\'"), max_size=30))
def test_nothing_in_a_literal_leaves_it(text: str) -> None:
    """Comments, semicolons and keywords between quotes are text."""
    statement = insert(f"{HEAD} OPTIONS(a='{text}') SELECT '{text}' x")
    assert statement.options == {"a": text}
    assert statement.query.endswith("' x")


def test_a_query_keeps_its_shape_without_comments() -> None:
    """Comments go, hints too, neighbouring literals are one, and tokens stay apart."""
    statement = parse("SELECT/*+ BROADCAST(t) */a--x\n,'b' \"c\" , d.e>=1.5e3 FROM`t`")
    assert isinstance(statement, Select)
    assert statement.query == "SELECT a ,'bc' , d.e>=1.5e3 FROM`t`"


def test_the_type_of_a_job_is_told_of_wrong_statements_too() -> None:
    """An INSERT that cannot be read is an INSERT that failed."""
    assert kind_of("/* x */ insert overwrite nonsense") == "INSERT"
    assert kind_of("INSERT 'no end") == "INSERT"
    assert kind_of("SELECT 'no end") == kind_of("(SELECT 1)") == "QUERY"


def test_tables_and_paths_are_found_without_a_check() -> None:
    """Which is what faults are matched against."""
    sql = f"{HEAD} SELECT * FROM `sales`.`Orders` o JOIN people ON true"
    assert path_of(sql) == "obs://b/d"
    assert tables_of(sql) == ["sales.Orders", "Orders", "people", "people"]
    assert path_of("SELECT 1") is None
    assert (path_of("SELECT 'x"), tables_of("SELECT 'x")) == (None, [])
