"""What a caller gives stays in its place of the statement, or is refused.

The judge is the emulator's reader of statements, which shares no code with the client.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from dli_async import ExportSpec, InvalidExport, QueryExport, TableExport
from dli_async._values.spec import query_text
from dli_async.emulator._engine.sql.statement import Insert, parse
from dli_async.emulator._engine.sql.tokens import tokenize

KEY = "5f0c"

# What breaks out of quotes, names, comments and lines, and what goes on from there.
OPENERS = [
    *("", "'", '"', "`", "``", "\\", "\\'", "''", "x'", 'x"', "x`", "*/", "/*", "--", "--\n", ")"),
    *("'))", "\n", "\r", "\x00", "\x1a", "\u2028", "${x}", "${spark.x}'", "'||'", "\\`", "\\u0027"),
]
TAILS = [
    "; DROP TABLE t",
    " UNION SELECT * FROM secrets",
    ") USING csv SELECT * FROM secrets --",
    " */ INSERT INTO t SELECT 1",
]
ATTEMPTS = ["".join(pair) for pair in itertools.product(OPENERS, TAILS)]


def read(spec: ExportSpec) -> Insert:
    """The statement of a spec, as a reader that knows nothing of the client takes it."""
    body = spec.posting("sql", KEY).body
    statement = parse(body["sql"])
    assert isinstance(statement, Insert)
    assert body["sql"].count(f"/* dli_async {KEY} */") == 1
    return statement


def made(make: Any) -> ExportSpec | None:
    """A spec whose statement can be made; None if it was refused."""
    try:
        spec: ExportSpec = make()
        spec.posting("sql", KEY)
    except InvalidExport:
        return None
    return spec


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_name_stays_a_name(attempt: str) -> None:
    """Database, table and columns are one identifier each, whatever is in them."""
    name = f"t{attempt}"
    table = made(lambda: TableExport(database_name=name, table_name=name, data_path="obs://b/f"))
    if table is not None:
        names = [token.value for token in tokenize(read(table).query) if token.kind == "name"]
        assert names == [name, name]
        assert read(table).path == "obs://b/f"
    part = made(lambda: QueryExport.of_table("d", name, "obs://b/f", columns=[name, "c"]))
    if part is not None:
        tokens = tokenize(read(part).query)
        assert [token.value for token in tokens if token.kind == "name"] == [name, "c", "d", name]
        assert [token.value for token in tokens if token.kind != "name"] == [
            "SELECT", ",", "FROM", "."
        ]  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_folder_and_an_option_stay_literals(attempt: str) -> None:
    """They are read back as they were given, and nothing stands beside them."""
    path = f"obs://b/f{attempt}"
    for make in (
        lambda: QueryExport("SELECT 1", path),
        lambda: TableExport(database_name="d", table_name="t", data_path=path),
    ):
        spec = made(make)
        if spec is not None:
            assert (read(spec).path, len(read(spec).options)) == (spec.data_path, 1)
    for options in ({"nullValue": attempt}, {attempt: "x"}, {f"k{attempt}": "x"}):
        spec = made(lambda options=options: QueryExport("SELECT 1", "obs://b/f", options=options))
        if spec is not None:
            given = {name.lower(): value for name, value in options.items()}
            assert read(spec).options == {"header": "false", **given}
            assert read(spec).query == "SELECT 1"


@pytest.mark.parametrize("attempt", [text for text in ATTEMPTS if text[0] not in " ;"])
def test_settings_and_tags_stay_what_they_are(attempt: str) -> None:
    """A setting is one line with one `=` after its name; a tag holds what tags may hold."""
    conf = made(lambda: QueryExport("SELECT 1", "obs://b/f", conf={"a.b": attempt}))
    if conf is not None:
        assert conf.posting("sql", KEY).body["conf"] == [f"a.b = {attempt}"]
        assert attempt.isprintable()
    assert made(lambda: QueryExport("SELECT 1", "obs://b/f", conf={f"a{attempt}": "x"})) is None
    assert made(lambda: QueryExport("SELECT 1", "obs://b/f", tags={"k": f"v{attempt}"})) is None
    assert made(lambda: QueryExport("SELECT 1", "obs://b/f", tags={f"k{attempt}": "v"})) is None


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_condition_stays_in_its_parentheses(attempt: str) -> None:
    """It may not close them, end the statement, comment out the rest or leave a quote open."""
    spec = made(lambda: QueryExport.of_table("d", "t", "obs://b/f", where=f"a = 1{attempt}"))
    if spec is not None:
        query = read(spec).query
        assert query.startswith("SELECT * FROM `d`.`t` WHERE ((a = 1")
        assert query.endswith("))")
        assert ";" not in [token.value for token in tokenize(query) if token.kind == "mark"]


@pytest.mark.parametrize(
    "where",
    [
        *("1=1) UNION SELECT * FROM s WHERE (1=1", "1=1 -- x", "1=1 /* x */", "1=1 /*", "'", '"'),
        *("`", "a = 'x\\", "a = 'x\\'", "1=1;", "", "  ", "(1=1", "1=1)", "a = r'\\' OR 1=1"),
        *("a = '${x}'", "a = 1\x00", "a LIKE '%' /*+ x */", "*/ 1", "a = 1 --"),
    ],
)
def test_what_would_leave_a_condition_is_refused(where: str) -> None:
    """Each of these closes, opens or hides something."""
    with pytest.raises(InvalidExport) as caught:
        QueryExport.of_table("d", "t", "obs://b/f", where=where)
    assert caught.value.field == "where"


REFUSED = [
    *("", ";", "SELECT 1; SELECT 2", "SELECT 1;;", "SELECT 1; -- x", "DROP TABLE t", "VALUES (1)"),
    *("INSERT INTO t SELECT 1", "FROM t SELECT a", "FROM t INSERT INTO u SELECT a", "TABLE t"),
    *("OPTIONS('header'='true') SELECT 1", "AS SELECT 1", "(SELECT 1", "SELECT 1)", "SELECT (1"),
    *("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "WITH a AS (SELECT 1) DELETE FROM a"),
    *("WITH a AS (SELECT 1), b AS (SELECT 2) UPDATE t SET x = 1", "WITH a AS (SELECT 1)", "WITH"),
    *("WITH a SELECT 1", "WITH a AS (SELECT 1) FROM a INSERT INTO t SELECT 1", "WITH a AS, b"),
    *("SELECT 'a", 'SELECT "a', "SELECT `a", "SELECT 'a\\", "SELECT 'a\\'", "SELECT /* a"),
    *(
        "SELECT /* /* a */ 1",
        "SELECT /* /* a */ */ 1",
        "SELECT */ 1",
        "SELECT 1 /*+ x",
        "SELECT 1 /*",
    ),
    *(
        "SELECT /*+ '*/ 1",
        "SELECT 1 -- a \\\n; DROP TABLE t",
        "SELECT 1 -- a \\",
        "SELECT r'\\' FROM t",
    ),
    *('SELECT R"\\" FROM t', "SELECT ${x}", "SELECT '${env:HOME}'", "SELECT 1\x00", "SELECT 1\x0b"),
    *(
        "SELECT 1\u2028",
        "SET x = 1",
        "EXPLAIN SELECT 1",
        "CREATE TABLE t AS SELECT 1",
        "CACHE TABLE t",
    ),
    *(
        "-- x",
        "/* x */",
        "'SELECT' 1",
        "`SELECT` 1",
        "SELECT 1 ; ; ",
        "MERGE INTO t USING s ON 1=1",
    ),
]


@pytest.mark.parametrize("with_sqlglot", [True, False])
@pytest.mark.parametrize("query", REFUSED)
def test_what_is_not_one_query_is_refused(
    query: str, with_sqlglot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the scanner alone, too."""
    if not with_sqlglot:
        monkeypatch.setattr(query_text, "find_spec", lambda name: None)
    with pytest.raises(InvalidExport) as caught:
        QueryExport(query, "obs://b/f")
    assert caught.value.field == "query"


ACCEPTED = [
    "SELECT 1",
    "select a, b from d.t where c = 'it''s; fine' and d <> \"a;b\"",
    "SELECT `a;b`, '--', '/*', \"*/\" FROM t -- the end",
    "/* why */ SELECT /*+ REPARTITION(4) */ a FROM t /* because; */ ORDER BY a",
    "SELECT 'a\\'b', 'c\\\\' FROM t",
    "WITH a AS (SELECT 1 AS x), b (y) AS (SELECT x FROM a) SELECT * FROM a JOIN b ON a.x = b.y",
    "WITH a AS (WITH b AS (SELECT 1) SELECT * FROM b) SELECT * FROM a",
    "SELECT a FROM t UNION ALL SELECT a FROM u",
    "SELECT count(*) OVER (PARTITION BY a ORDER BY b) FROM t LATERAL VIEW explode(c) x AS y",
    "SELECT\n\ta\r\nFROM t",
    "SELECT 订单 FROM 销售.订单 WHERE 城市 = '上海'",
]


@pytest.mark.parametrize("query", ACCEPTED)
def test_one_query_is_accepted_with_its_semicolons_in_quotes(query: str) -> None:
    """Quotes, comments, hints and names may hold what would mean something outside of them."""
    spec = QueryExport(query + " ; ", "obs://b/f")
    assert spec.query == query


def test_a_key_that_would_end_its_comment_is_refused() -> None:
    """The id of an export may come from a token, which is a text from outside."""
    with pytest.raises(InvalidExport):
        QueryExport("SELECT 1", "obs://b/f").posting("sql", "x */ ; DROP TABLE t /*")


@pytest.mark.parametrize(
    "setting",
    ["spark.sql.parser.escapedStringLiterals", "SPARK.SQL.variable.substitute",
     "spark.sql.ansi.doubleQuotedIdentifiers"],
)  # fmt: skip
def test_settings_that_change_how_statements_are_read_are_refused(setting: str) -> None:
    """What was checked must be what runs."""
    with pytest.raises(InvalidExport, match="how statements are read"):
        QueryExport("SELECT 1", "obs://b/f", conf={setting: "true"})
