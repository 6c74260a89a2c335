"""Files of INSERT OVERWRITE DIRECTORY: their names, and what is read back from them."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import fastavro
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from dli_async.emulator import DuckEngine, ObsStore
from dli_async.emulator._engine.formats.extra import imported
from dli_async.emulator._engine.formats.patterns import formatter
from dli_async.emulator._engine.session import SparkSession
from dli_async.emulator._engine.sql.conf import read_conf
from dli_async.emulator._engine.sql.duck import DuckSql
from dli_async.emulator._engine.sql.errors import SqlError

PATH = "obs://b/d"
COLUMNS = """
    1::tinyint AS tiny, 2::smallint AS small, 3::int AS i, 4::bigint AS big, 1.5::float AS f,
    2.5::double AS d, true AS ok, 12.30::decimal(10,2) AS price,
    '-1234567890123456789012345678.5'::decimal(38,10) AS wide,
    'é😀' AS text, date '2020-02-29' AS day, timestamp '2021-12-31 23:59:59.123456' AS moment,
    'ab'::blob AS bin, [1, NULL] AS arr, {'a': 1, 'B': 'x'} AS st, MAP {'k': 1.5::decimal(3,1)} AS m
"""
VALUES = {
    "tiny": 1,
    "small": 2,
    "i": 3,
    "big": 4,
    "f": 1.5,
    "d": 2.5,
    "ok": True,
    "price": Decimal("12.30"),
    "wide": Decimal("-1234567890123456789012345678.5"),
    "text": "é😀",
    "bin": b"ab",
    "day": dt.date(2020, 2, 29),
    "moment": dt.datetime(2021, 12, 31, 23, 59, 59, 123456),
    "arr": [1, None],
    "st": {"a": 1, "B": "x"},
    "m": [("k", Decimal("1.5"))],
}


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckSql]:
    """One table with a column of every type: a row of values, and a row of nulls."""
    folder = tmp_path_factory.mktemp("formats")
    with duckdb.connect(folder / "db.duckdb") as connection:
        connection.execute(f"CREATE TABLE every AS SELECT {COLUMNS}")
        nulls = ", ".join("NULL" for _ in VALUES)
        connection.execute(f"INSERT INTO every VALUES ({nulls})")
        connection.execute("CREATE TABLE many AS SELECT i::int AS i FROM range(2500) r(i)")
    engine = DuckEngine(ObsStore(folder / "obs"), database=folder / "db.duckdb", rows_per_file=1000)
    yield DuckSql(engine)
    engine.close()


def written(sql: DuckSql, using: str, query: str, conf: tuple[str, ...] = ()) -> list[Path]:
    """The files that a statement leaves."""
    statement = f"INSERT OVERWRITE DIRECTORY '{PATH}' USING {using} {query}"
    staged = sql.insert(sql.plan(statement, "db", read_conf(conf)))
    staged.publish()
    folder = sql._engine.obs.folder(PATH)
    assert (folder / "_SUCCESS").read_bytes() == b""
    return [folder / name for name in staged.exported.files]


@pytest.mark.parametrize(
    ("using", "ending"),
    [
        ("csv", ".csv"),
        ("csv OPTIONS(compression='GZIP')", ".csv.gz"),
        ("json OPTIONS(compression='bzip2')", ".json.bz2"),
        ("json OPTIONS(compression='deflate')", ".json.deflate"),
        ("PARQUET", ".snappy.parquet"),
        ("parquet OPTIONS(compression='none')", ".parquet"),
        ("parquet OPTIONS(compression='gzip')", ".gz.parquet"),
        ("parquet OPTIONS('parquet.compression'='zstd')", ".zstd.parquet"),
        ("orc", ".snappy.orc"),
        ("orc OPTIONS('orc.compress'='ZLIB')", ".zlib.orc"),
        ("orc OPTIONS(compression='none')", ".orc"),
        ("avro", ".avro"),
        ("avro OPTIONS(compression='deflate')", ".avro"),
    ],
)
def test_files_are_named_as_spark_names_them(sql: DuckSql, using: str, ending: str) -> None:
    """`part-00000-<uuid>-c000`, and what tells codec and format, in Spark's order."""
    (path,) = written(sql, using, "SELECT 1 AS a")
    assert path.name.startswith("part-00000-")
    assert path.name[47:] == f"-c000{ending}"


@pytest.mark.parametrize("timestamps", ["INT96", "TIMESTAMP_MICROS", "TIMESTAMP_MILLIS"])
def test_parquet_reads_back_equal(sql: DuckSql, timestamps: str) -> None:
    """Types and values, nulls, nested columns, and any kind of timestamp."""
    conf = (f"spark.sql.parquet.outputTimestampType = {timestamps}",)
    (path,) = written(sql, "parquet", "SELECT * FROM every", conf)
    table = pq.read_table(path)
    values, nulls = table.to_pylist()

    moment = values.pop("moment")
    expected = {name: value for name, value in VALUES.items() if name != "moment"}
    assert values == expected
    assert set(nulls.values()) == {None}
    exact = VALUES["moment"]
    if timestamps == "TIMESTAMP_MILLIS":
        exact = exact.replace(microsecond=123000)
    assert moment.replace(tzinfo=None) == exact
    kinds = [str(table.schema.field(name).type) for name in ("tiny", "price", "arr")]
    assert kinds == ["int8", "decimal128(10, 2)", "list<element: int32>"]
    assert pq.ParquetFile(path).schema.column(11).physical_type == (
        "INT96" if timestamps == "INT96" else "INT64"
    )


def test_parquet_says_what_spark_calls_its_columns(sql: DuckSql) -> None:
    """In the footer, as Spark's own files do."""
    (path,) = written(sql, "parquet", "SELECT small, arr, st, m FROM every")
    noted = pq.read_schema(path).metadata[b"org.apache.spark.sql.parquet.row.metadata"]
    fields = {field["name"]: field["type"] for field in json.loads(noted)["fields"]}
    assert fields["small"] == "short"
    assert fields["arr"]["elementType"] == "integer"
    assert fields["st"]["fields"][1]["name"] == "B"
    assert fields["m"]["valueType"] == "decimal(3,1)"


def test_orc_reads_back_equal(sql: DuckSql) -> None:
    """Types and values, nulls and nested columns."""
    (path,) = written(sql, "orc", "SELECT * FROM every")
    values, nulls = orc.read_table(path).to_pylist()
    assert values == VALUES
    assert set(nulls.values()) == {None}


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "deflate", "bzip2", "xz", "zstandard"])
def test_avro_reads_back_equal(sql: DuckSql, codec: str) -> None:
    """Values, nulls, and the schema that Spark gives its records."""
    (path,) = written(sql, f"avro OPTIONS(compression='{codec}')", "SELECT * FROM every")
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        assert reader.codec == codec.replace("uncompressed", "null")
        schema = reader.writer_schema
        values, nulls = reader
    moment = VALUES["moment"].replace(tzinfo=dt.UTC)
    assert values == VALUES | {"moment": moment, "m": dict(VALUES["m"])}
    assert set(nulls.values()) == {None}
    assert schema["name"] == "topLevelRecord"
    kinds = {field["name"]: field["type"] for field in schema["fields"]}
    assert kinds["i"] == ["int", "null"]
    assert kinds["price"][0]["name"] == "topLevelRecord.price.fixed"
    assert kinds["price"][0]["size"] == 5


@pytest.mark.parametrize("using", ["csv", "json", "parquet", "orc", "avro"])
def test_no_rows_still_make_a_file(sql: DuckSql, using: str) -> None:
    """The first task's; readers find the columns in it where the format has any."""
    paths = written(sql, using, "SELECT i FROM many WHERE i < 0")
    assert len(paths) == 1
    if using == "parquet":
        assert pq.read_table(paths[0]).column_names == ["i"]


@pytest.mark.parametrize("using", ["csv", "parquet"])
def test_rows_go_on_in_further_files(sql: DuckSql, using: str) -> None:
    """A new part for every task, a new chunk where the job's limit says so."""
    conf = ("spark.sql.files.maxRecordsPerFile=600",)
    paths = written(sql, using, "SELECT i FROM many", conf)
    numbers = [(path.name[5:10], path.name[48:52]) for path in paths]
    assert numbers == [
        ("00000", "c000"), ("00000", "c001"), ("00001", "c000"), ("00001", "c001"),
        ("00002", "c000"),
    ]  # fmt: skip


def test_what_was_there_before_is_gone(sql: DuckSql) -> None:
    """The statement always overwrites."""
    (old,) = written(sql, "csv", "SELECT 1 AS a")
    (new,) = written(sql, "csv", "SELECT 2 AS a")
    assert not old.exists()
    assert new.read_text() == "2\n"


def test_text_can_be_chinese_bytes(sql: DuckSql) -> None:
    """gbk as Java writes it: with a euro sign, and a question mark for what it has not."""
    (path,) = written(sql, "csv OPTIONS(encoding='GBK')", "SELECT '李雷€😀' AS a")
    assert path.read_bytes() == "李雷".encode("gbk") + b"\xa2\xe3?\n"


def test_compressed_text_has_a_header_in_every_file(sql: DuckSql) -> None:
    """As Spark's have."""
    paths = written(sql, "csv OPTIONS(header true, compression gzip_)".replace("gzip_", "'gzip'"),
                    "SELECT i FROM many")  # fmt: skip
    assert [gzip.decompress(path.read_bytes())[:2] for path in paths] == [b"i\n"] * 3


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("csv SELECT arr FROM every", "DLI.0005"),
        ("avro SELECT MAP(1, 2) AS m", "DLI.0005"),
        ("csv SELECT i, i FROM every", "DLI.0005"),
        ("json SELECT i AS a, i AS A FROM every", "DLI.0005"),
        ("json OPTIONS(header='true') SELECT 1 AS a", "DLI.0007"),
        ("json OPTIONS(ignoreNullFields='false') SELECT 1 AS a", "DLI.0007"),
        ("parquet OPTIONS(compression='lzo') SELECT 1 AS a", "DLI.0007"),
        ("parquet OPTIONS(header='true') SELECT 1 AS a", "DLI.0007"),
        ("csv OPTIONS(quote='ab') SELECT 1 AS a", "DLI.0999"),
        ("csv OPTIONS(header='yes') SELECT 1 AS a", "DLI.0999"),
        ("csv OPTIONS(sep='') SELECT 1 AS a", "DLI.0999"),
        ('csv OPTIONS(dateFormat="yyyy\'") SELECT 1 AS a', "DLI.0005"),
        ("csv OPTIONS(dateFormat='yyyy#') SELECT 1 AS a", "DLI.0005"),
    ],
)
def test_what_cannot_be_written_is_refused(sql: DuckSql, statement: str, code: str) -> None:
    """Before anything is."""
    with pytest.raises(SqlError) as refused:
        sql.plan(f"INSERT OVERWRITE DIRECTORY '{PATH}' USING {statement}", "db", {})
    assert refused.value.code == code


@pytest.mark.parametrize(("spark", "refused"), [("3.3", ValueError), ("3.5", SqlError)])
def test_binary_has_no_csv(tmp_path: Path, spark: str, refused: type[Exception]) -> None:
    """Spark 3.5 says so at once; 3.3 writes a Java object's name, so that the job fails here."""
    engine = DuckEngine(ObsStore(tmp_path), session=SparkSession(spark=spark))
    try:
        with pytest.raises(refused):
            written(DuckSql(engine), "csv", "SELECT CAST('ab' AS BINARY) AS bin")
    finally:
        engine.close()


def test_moments_are_written_in_the_time_zone_of_the_session(tmp_path: Path) -> None:
    """By default and by a pattern; a date has none."""
    engine = DuckEngine(ObsStore(tmp_path), session=SparkSession(time_zone="Asia/Shanghai"))
    query = "SELECT TIMESTAMP '2021-02-03 20:05:06' AS t, DATE '2021-02-03' AS d"
    try:
        (plain,) = written(DuckSql(engine), "csv", query)
        assert plain.read_text() == "2021-02-04T04:05:06.000+08:00,2021-02-03\n"
        options = "OPTIONS(timestampFormat='yyyy-MM-dd HH:mm XXX', dateFormat='d.M.yyyy')"
        (formatted,) = written(DuckSql(engine), f"csv {options}", query)
        assert formatted.read_text() == "2021-02-04 04:05 +08:00,3.2.2021\n"
    finally:
        engine.close()


def test_a_missing_package_names_the_extra() -> None:
    """And what to install."""
    with pytest.raises(SqlError, match=r"without nonsense.*'dli-async\[emulator-formats\]'"):
        imported("nonsense.parquet", "parquet")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy-MM-dd HH:mm:ss", "2021-02-03 16:05:06"),
        ("yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "2021-02-03T16:05:06.078Z"),
        ("d/M/yy h:m:s a", "3/2/21 4:5:6 PM"),
        ("EEEE, MMMM dd", "Wednesday, February 03"),
        ("SSSSSS''VV", "078900'UTC"),
    ],
)
def test_patterns_are_javas(pattern: str, expected: str) -> None:
    """Letters, quotes and optional sections."""
    assert formatter(pattern)("2021-02-03 16:05:06.0789") == expected


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    """The emulator starts without what only SQL, or only some format, wants."""
    show = "import dli_async.emulator, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert not {"sqlglot", "pyarrow", "fastavro", "duckdb"} & set(run.stdout.split())
