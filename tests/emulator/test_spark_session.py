"""The session's Java and time zone show in the files: as real Sparks wrote them, and beyond."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async.emulator import Emulator
from dli_async.emulator._engine import spark as _spark
from dli_async.emulator._engine import spark_times as _times
from dli_async.emulator._engine.session import SparkSession

VECTORS = Path(__file__).parent.parent / "vectors" / "spark"
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def json_of(connection: duckdb.DuckDBPyConnection, expression: str, session: SparkSession) -> str:
    [duck] = connection.sql(f"SELECT {expression} AS x").types
    cell = _spark.cell(duck, session)
    rows = connection.execute(f"SELECT CAST({expression} AS {cell.cast})").fetchall()
    return _spark.json_lines(["x"], [cell])(rows)[len('{"x":') : -2]


def golden() -> list[tuple[str, str, str]]:
    """What Spark 3.3.1 and Spark 3.5.9 wrote alike on JDK 17, by time zone."""
    vectors = json.loads((VECTORS / "nested.json").read_text())
    return [
        (zone, expression, text)
        for zone, texts in vectors["json"].items()
        for expression, text in zip(vectors["duckdb"], texts, strict=True)
    ]


@pytest.mark.parametrize(("zone", "expression", "text"), golden())
@pytest.mark.parametrize("spark", ["3.3", "3.5"])
def test_values_are_those_of_a_real_spark(
    connection: duckdb.DuckDBPyConnection, spark: str, zone: str, expression: str, text: str
) -> None:
    """Time zones, numbers by an old Java, and keys of maps as Spark keeps them in memory."""
    assert json_of(connection, expression, SparkSession(spark, 17, zone)) == text


@pytest.mark.parametrize(
    ("jdk", "double", "float_"),
    [
        (8, "9.999999999999999E22", "1.17549435E-38"),
        (18, "9.999999999999999E22", "1.17549435E-38"),
        (19, "1.0E23", "1.1754944E-38"),
        (21, "1.0E23", "1.1754944E-38"),
    ],
)
def test_a_newer_java_writes_the_shortest_digits(
    connection: duckdb.DuckDBPyConnection, jdk: int, double: str, float_: str
) -> None:
    """Since JDK 19, in nested values as well."""
    session = SparkSession(jdk=jdk)
    assert json_of(connection, "1e23::double", session) == double
    assert json_of(connection, "[1.17549435e-38::float]", session) == f"[{float_}]"


moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))


@given(moments)
def test_a_local_time_and_its_offset_tell_the_moment(moment: datetime) -> None:
    """To the millisecond, and to the minute of the offsets before 1901."""
    text = _times.timestamp_writer(SHANGHAI)(str(moment))
    offset = moment.replace(tzinfo=UTC).astimezone(SHANGHAI).utcoffset()
    assert offset is not None
    shown = datetime.fromisoformat(text)
    assert shown.utcoffset() == offset - offset % timedelta(minutes=1)
    milliseconds = moment - timedelta(microseconds=moment.microsecond % 1_000)
    assert shown.replace(tzinfo=None) - offset == milliseconds


@given(moments, st.integers(-20, 700))
def test_time_zones_go_on_beyond_the_years_of_python(moment: datetime, cycles: int) -> None:
    """400 years on the calendar is the same again, and so are the rules of the year 2400."""
    base = moment.replace(year=2400 + moment.year % 400)
    written = _times.timestamp_writer(SHANGHAI)
    year = base.year + 400 * cycles
    text = f"{year:04d}" if year > 0 else f"{1 - year:04d}"
    era = "" if year > 0 else " (BC)"
    clock = f"{base:%m-%d}{era} {base:%H:%M:%S}"
    shown = written(f"{text}-{clock}")
    if year >= 9999:
        assert shown.endswith(written(str(base.replace(microsecond=0)))[4:])
        assert shown.startswith("+")
    elif year <= 0:
        assert shown.endswith("+08:05")


@given(st.integers(-50 * 10**15, 300 * 10**15))
def test_a_timestamp_is_as_many_microseconds_as_it_was_made_of(micros: int) -> None:
    """From the text that DuckDB prints, whatever the year."""
    [(text, day)] = duckdb.sql(
        f"SELECT make_timestamp({micros})::varchar, make_timestamp({micros})::date::varchar"
    ).fetchall()
    assert _times.micros(text) == micros
    assert _times.days(day) == micros // 86_400_000_000


@pytest.mark.parametrize("zone", ["UTC", "Z", "+00:00"])
def test_no_offset_is_a_z(connection: duckdb.DuckDBPyConnection, zone: str) -> None:
    """As Java writes it."""
    text = json_of(connection, "timestamp '2020-01-01 00:00:00'", SparkSession(time_zone=zone))
    assert text == '"2020-01-01T00:00:00.000Z"'


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"spark": "2.4"}, "spark is 3.3 or 3.5, not '2.4'"),
        ({"jdk": 7}, "jdk is 8 or later, not 7"),
        ({"time_zone": "Asia/Nowhere"}, "time_zone 'Asia/Nowhere' is not known"),
        ({"time_zone": ""}, "time_zone '' is not known"),
        ({"time_zone": "../etc/passwd"}, "is not known"),
    ],
)
def test_a_session_that_there_is_not_is_refused(options: dict[str, Any], said: str) -> None:
    """When the emulator is made, not when it exports."""
    with pytest.raises(ValueError, match=said):
        Emulator(**options)
