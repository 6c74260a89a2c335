"""Text as Spark writes it: the vectors of a real one, and the traps beyond them."""

import bz2
import gzip
import json
import zlib
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async.emulator._engine import java_numbers as _numbers
from dli_async.emulator._engine import parts as _parts
from dli_async.emulator._engine import spark as _spark
from dli_async.emulator._engine import spark_text as _text
from dli_async.emulator._engine.session import SparkSession

VECTORS = Path(__file__).parent.parent / "vectors" / "spark"


class Written:
    """The columns of a query as DuckDB gives them, to be written as csv or json."""

    def __init__(self, query: str, **session: Any) -> None:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            relation = connection.sql(query)
            self.names = relation.columns
            self.cells = [_spark.cell(duck, SparkSession(**session)) for duck in relation.types]
            casts = [
                f"CAST({_spark.identifier(name)} AS {cell.cast})"
                for name, cell in zip(self.names, self.cells, strict=True)
            ]
            self.rows = connection.execute(f"SELECT {', '.join(casts)} FROM ({query})").fetchall()

    @property
    def csv(self) -> str:
        return _spark.csv_lines(self.cells)(self.rows)

    @property
    def json(self) -> str:
        return _spark.json_lines(self.names, self.cells)(self.rows)


def csv_of(expression: str, **session: Any) -> str:
    return Written(f"SELECT 0 AS i, {expression} AS x", **session).csv[2:-1]


def json_of(expression: str, **session: Any) -> str:
    return Written(f"SELECT {expression} AS x", **session).json.removeprefix('{"x":')[:-2]


def type_of(expression: str) -> str:
    return Written(f"SELECT {expression} AS x").cells[0].type


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (100.0, "100.0"),
        (0.001, "0.001"),
        (-0.001, "-0.001"),
        (0.0009999, "9.999E-4"),
        (9999999.0, "9999999.0"),
        (9999999.999999998, "9999999.999999998"),
        (1e7, "1.0E7"),
        (-1e7, "-1.0E7"),
        (12345678.9, "1.23456789E7"),
        (1e16, "1.0E16"),
        (1.5e300, "1.5E300"),
        (1e-7, "1.0E-7"),
        (1e23, "1.0E23"),
        (2e23, "2.0E23"),
        (123456789012345680.0, "1.2345678901234568E17"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (2.2250738585072014e-308, "2.2250738585072014E-308"),
        (5e-324, "4.9E-324"),
        (-5e-324, "-4.9E-324"),
        (1e-323, "9.9E-324"),
        (2.0**-24, "5.960464477539063E-8"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_doubles_are_written_as_java_does(value: float, expected: str) -> None:
    """Shortest digits, at least two, an exponent below 1e-3 and from 1e7."""
    assert _numbers.double_text(value) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1::decimal(10,2)", "1.00"),
        ("-0.5::decimal(2,2)", "-0.50"),
        ("0::decimal(3,3)", "0.000"),
        ("0.000001::decimal(10,6)", "0.000001"),
        ("0.0000001::decimal(10,7)", "1E-7"),
        ("0.00000012::decimal(10,8)", "1.2E-7"),
        ("-0.00000012::decimal(18,10)", "-1.200E-7"),
        ("0::decimal(18,8)", "0E-8"),
        ("0::decimal(18,7)", "0E-7"),
        ("12345.6::decimal(38,18)", "12345.600000000000000000"),
        ("'99999999999999999999999999999999999999'::decimal(38,0)", "9" * 38),
        ("7::decimal(18,0)", "7"),
        (
            "170141183460469231731687303715884105727::hugeint",
            "170141183460469231731687303715884105727",
        ),
        ("18446744073709551615::ubigint", "18446744073709551615"),
        ("(-9223372036854775807)::bigint", "-9223372036854775807"),
        ("255::utinyint", "255"),
    ],
)
def test_exact_numbers_are_written_as_java_does(expression: str, expected: str) -> None:
    """All digits; decimals as BigDecimal.toString, with an exponent when they are tiny."""
    assert csv_of(expression) == expected
    assert json_of(expression) == expected


def test_non_finite_numbers_are_quoted_in_json() -> None:
    """Jackson quotes what json has no number for."""
    assert json_of("'nan'::double") == '"NaN"'
    assert json_of("'-inf'::float") == '"-Infinity"'
    assert json_of("1e300::double") == "1.0E300"


# --- dates and times ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("date '2020-02-29'", "2020-02-29"),
        ("date '1969-12-31'", "1969-12-31"),
        ("date '0001-01-01'", "0001-01-01"),
        ("date '0001-01-01' - 1", "0000-12-31"),
        ("'0044-03-15 (BC)'::date", "-0043-03-15"),
        ("date '9999-12-31' + 1", "+10000-01-01"),
        ("'infinity'::date", "infinity"),
        ("timestamp '2020-01-01 12:30:00'", "2020-01-01T12:30:00.000Z"),
        ("timestamp '2020-01-01 12:30:00.1'", "2020-01-01T12:30:00.100Z"),
        ("timestamp '2020-01-01 12:30:00.123999'", "2020-01-01T12:30:00.123Z"),
        ("make_timestamp(-1)", "1969-12-31T23:59:59.999Z"),
        ("make_timestamp(-62135596800000001)", "0000-12-31T23:59:59.999Z"),
        ("make_timestamp(253402300800000000)", "+10000-01-01T00:00:00.000Z"),
        ("make_timestamp(253402300800500000)", "+10000-01-01T00:00:00.500Z"),
        ("timestamp '0045-03-15 (BC) 00:00:00'", "-0044-03-15T00:00:00.000Z"),
        ("'infinity'::timestamp", "infinity"),
        ("timestamptz '2020-01-01 01:00:00.25+02'", "2019-12-31T23:00:00.250Z"),
        ("timestamptz '2020-01-01 01:00:00+00'", "2020-01-01T01:00:00.000Z"),
        ("timestamp_ns '2020-01-01 01:02:03.123456789'", "2020-01-01T01:02:03.123Z"),
        ("timestamp_s '2020-01-01 01:02:03'", "2020-01-01T01:02:03.000Z"),
        ("timestamp_ms '2020-01-01 01:02:03.5'", "2020-01-01T01:02:03.500Z"),
    ],
)
def test_dates_and_times_are_iso_in_utc(expression: str, expected: str) -> None:
    """Milliseconds are cut, not rounded; years beyond four digits have a sign."""
    assert csv_of(expression) == expected
    assert json_of(expression) == f'"{expected}"'


# --- json ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ("a/b", '"a/b"'),
        ('"\\', '"\\"\\\\"'),
        ("\b\f\n\r\t", '"\\b\\f\\n\\r\\t"'),
        ("\x00\x01\x0b\x1f", '"\\u0000\\u0001\\u000B\\u001F"'),
        ("\x7f\x80\u2028 é数😀", '"\x7f\x80\u2028 é数😀"'),
        ("<&'>", '"<&\'>"'),
        ("\\u001f\x1f", '"\\\\u001f\\u001F"'),
    ],
)
def test_json_text_is_escaped_as_jackson_does(text: str, expected: str) -> None:
    """Only quotes, backslashes and control characters, the latter in upper-case hex."""
    assert _text.json_text(text) == expected


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_text_reads_back_as_itself(text: str) -> None:
    """Any json reader gets the text again."""
    assert json.loads(_text.json_text(text)) == text


@pytest.mark.parametrize(
    ("expression", "spark", "expected"),
    [
        ("'\\x00\\xFFa'::blob", "binary", '"AP9h"'),
        ("[1, NULL, 3]", "array<int>", "[1,null,3]"),
        ("[]::varchar[]", "array<string>", "[]"),
        ("[['a\"'], NULL]", "array<array<string>>", '[["a\\""],null]'),
        ("[1.5, 2]::float[2]", "array<float>", "[1.5,2.0]"),
        ("{'a': 1, 'b': NULL::int, 'c': 'x'}", "struct<a:int,b:int,c:string>", '{"a":1,"c":"x"}'),
        ("{'a': NULL::int}", "struct<a:int>", "{}"),
        (
            "{'q\"x': {'d': date '2020-01-01'}}",
            'struct<q"x:struct<d:date>>',
            '{"q\\"x":{"d":"2020-01-01"}}',
        ),
        ("map {'a': 1, 'b': NULL}", "map<string,int>", '{"a":1,"b":null}'),
        (
            "map {2: [timestamp '2020-01-01 00:00:00.5']}",
            "map<int,array<timestamp>>",
            '{"2":["2020-01-01T00:00:00.500Z"]}',
        ),
        ("map {date '1970-01-03': 1e300::double}", "map<date,double>", '{"2":1.0E300}'),
        ("map {make_timestamp(1500000): true}", "map<timestamp,boolean>", '{"1500000":true}'),
        ("map {timestamptz '1969-12-31 23:59:59+00': 1}", "map<timestamp,int>", '{"-1000000":1}'),
        ("map {'infinity'::timestamp: 1}", "map<timestamp,int>", '{"infinity":1}'),
        ("map {'infinity'::date: 1}", "map<date,int>", '{"infinity":1}'),
        ("map {0.5::double: 2}", "map<double,int>", '{"0.5":2}'),
        (
            "[{'f': 'nan'::float}, {'f': 0.1::float}]",
            "array<struct<f:float>>",
            '[{"f":"NaN"},{"f":0.1}]',
        ),
        ("[0.5::decimal(2,2)]", "array<decimal(2,2)>", "[0.50]"),
    ],
)
def test_nested_values_are_written_as_json(expression: str, spark: str, expected: str) -> None:
    """Null fields are left out of structs and kept in arrays and maps."""
    assert type_of(expression) == spark
    assert json_of(expression) == expected


def test_a_row_of_nulls_is_an_empty_object() -> None:
    """It is a line all the same."""
    assert Written("SELECT NULL::int AS a, NULL AS b").json == "{}\n"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'d4c5a5a5-0000-4000-8000-000000000000'::uuid", "d4c5a5a5-0000-4000-8000-000000000000"),
        ("time '12:34:56'", "12:34:56"),
        ("interval 3 day", "3 days"),
        ("'b'::enum('a', 'b')", "b"),
        ("'0101'::bit", "0101"),
        ("'{\"a\":1}'::json", '{\\"a\\":1}'),
        ("union_value(x := 5)", "5"),
    ],
)
def test_types_unknown_to_spark_are_strings(expression: str, expected: str) -> None:
    """DuckDB's own types are written as DuckDB prints them."""
    assert type_of(expression) == "string"
    assert json_of(expression) == f'"{expected}"'


# --- csv ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", '""'),
        (" \t\r\n\x00", '""'),
        ("  both  ", "both"),
        ("\x00\x1f x \x01", "x"),
        ("\u00a0x\u3000", "\u00a0x\u3000"),
        ("a b", "a b"),
        ("a,b", '"a,b"'),
        (" a, ", '"a,"'),
        ("a\n", '"a"'),
        ("\na", "a"),
        ("a\r\nb", '"a\r\nb"'),
        ("a\rb", '"a\rb"'),
        ('"', '"\\""'),
        ('say "x"', '"say \\"x\\""'),
        ("\\", "\\"),
        ("C:\\new", "C:\\new"),
        ("C:\\new,", '"C:\\\\new,"'),
        ('\\"', '"\\\\\\""'),
        ("'a'", "'a'"),
        ("#a", "#a"),
        ("a;b|c\td", "a;b|c\td"),
        ("\x7f", "\x7f"),
        ("a\x0bb", "a\x0bb"),
    ],
)
def test_csv_fields_follow_the_rules_of_univocity(text: str, expected: str) -> None:
    """Quoted for comma, quote and line break; escaped by backslash; trimmed to the last blank."""
    assert _text.csv_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("#a", '"#a"'), ("#a ", '"#a"'), (" #a", "#a"), ("a#", "a#"), ('#"\\', '"#\\"\\\\"')],
)
def test_a_line_that_would_be_a_comment_is_quoted(text: str, expected: str) -> None:
    """univocity quotes a first field that begins with `#`, and only the first."""
    first = Written("SELECT 'x' AS x").cells * 2
    assert _spark.csv_lines(first)([(text, text)]).startswith(f"{expected},")
    assert _spark.csv_header([text, "#b"]) == f"{expected},#b\n"


def test_null_is_empty_in_csv_and_a_line_without_characters_is_left_out() -> None:
    """The one row that csv cannot show, a null alone, is dropped as Spark drops it."""
    assert Written("SELECT NULL::int AS a, '' AS b").csv == ',""\n'
    assert Written("SELECT unnest(['a', NULL, 'b']) AS a").csv == "a\nb\n"


def parsed(line: str) -> list[str]:
    """Fields of one csv line, by Spark's reader: a backslash escapes within quotes only."""
    fields, field, quoted, chars = [], "", False, iter(line)
    for char in chars:
        if quoted and char == "\\":
            field += next(chars)
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            fields.append(field)
            field = ""
        else:
            field += char
    return [*fields, field]


@cache
def text_cells() -> list[_spark.Cell]:
    """The writer of one column of text, which takes a connection to find."""
    return Written("SELECT 'x' AS x").cells


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=4))
def test_csv_fields_read_back_trimmed(texts: list[str]) -> None:
    """A reader that knows Spark's escape gets every field again, without blanks at its ends."""
    cells = text_cells() * len(texts)
    line = _spark.csv_lines(cells)([texts])[:-1]
    blanks = "".join(map(chr, range(33)))
    assert parsed(line) == [text.strip(blanks) for text in texts]


@pytest.mark.parametrize("expression", ["'a'::blob", "[1]", "{'a': 1}", "map {1: 2}"])
def test_csv_has_no_form_for_nested_values(expression: str) -> None:
    """As in Spark 3.5 they are refused, not written as something unreadable."""
    with pytest.raises(TypeError):
        _ = Written(f"SELECT {expression} AS x", spark="3.5").csv


# --- files --------------------------------------------------------------------------------------


DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "bzip2": bz2.decompress,
    "deflate": zlib.decompress,
}


@pytest.mark.parametrize("compress", DECODERS)
@pytest.mark.parametrize("data", [b"", b"some text\n" * 1000])
def test_codecs_are_the_standard_ones(tmp_path: Path, compress: str, data: bytes) -> None:
    """Every file decompresses with the usual tool, an empty one too."""
    with _parts.open_part(tmp_path / "x", compress) as out:
        out.write(data)
    assert DECODERS[compress]((tmp_path / "x").read_bytes()) == data


@pytest.mark.parametrize("compress", DECODERS)
def test_the_same_rows_make_the_same_bytes(tmp_path: Path, compress: str) -> None:
    """No time stamp or name gets into a compressed file."""
    for name in ("a", "b"):
        with _parts.open_part(tmp_path / name, compress) as out:
            out.write(b"text")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def split(tmp_path: Path, rows: int, rows_per_file: int) -> list[str]:
    source = iter([(number,) for number in range(rows)])

    def fetch(most: int) -> list[tuple[int]]:
        return list(islice(source, most))

    def lines(batch: Any) -> str:
        return "".join(f"{number}\n" for (number,) in batch)

    written = _parts.write_parts(
        tmp_path,
        fetch,
        lines,
        head="#\n",
        ending=".csv",
        compress="none",
        rows_per_file=rows_per_file,
    )
    assert written.rows == rows
    texts = [(tmp_path / file).read_text() for file in written.files]
    assert written.size == sum(map(len, texts))
    return texts


@pytest.mark.parametrize("rows", [1, 5, 6, 9, 10, 11, 23])
def test_parts_are_full_but_the_last(tmp_path: Path, rows: int) -> None:
    """Each begins with the header, none is empty, and the order is kept."""
    texts = [text.splitlines() for text in split(tmp_path, rows, 5)]
    assert all(text[0] == "#" for text in texts)
    assert all(len(text) == 6 for text in texts[:-1])
    assert len(texts[-1]) > 1
    assert [line for text in texts for line in text[1:]] == [str(row) for row in range(rows)]


def test_parts_larger_than_a_batch_are_not_split(tmp_path: Path) -> None:
    """How many rows are held in memory does not show in the files."""
    assert [text.count("\n") for text in split(tmp_path, 12_001, 12_000)] == [12_001, 2]


def test_no_rows_make_one_part(tmp_path: Path) -> None:
    """An empty table has a file with the header."""
    assert split(tmp_path, 0, 5) == ["#\n"]
