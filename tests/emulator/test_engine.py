"""Tables are found, described and exported, from samples, files and folders."""

import gzip
import hashlib
import json
import re
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dli_async.emulator._engine.engine import (
    AlreadyExists,
    Column,
    DuckEngine,
    Engine,
    Exported,
    NullEngine,
    Staged,
    UnsafePath,
    UnsupportedColumn,
)
from dli_async.emulator._engine.obs import ObsStore
from dli_async.emulator._engine.session import SparkSession

VECTORS = Path(__file__).parent.parent / "vectors" / "spark"


@pytest.fixture
def obs(tmp_path: Path) -> ObsStore:
    return ObsStore(tmp_path / "obs")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    engine = DuckEngine(ObsStore(tmp_path_factory.mktemp("samples")))
    yield engine
    engine.close()


def export(engine: Engine, table: str, data_path: str, **changes: Any) -> Exported:
    options = {"data_type": "csv", "compress": "none", "header": True, "overwrite": False}
    staged = engine.stage(*table.split("."), data_path, **{**options, **changes})
    staged.publish()
    return staged.exported


def made(path: Path, *statements: str) -> Path:
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


# --- what Spark wrote ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    """The vectors' table, and the same without rows, in a DuckDB file."""
    folder = tmp_path_factory.mktemp("vectors")
    table = json.loads((VECTORS / "table.json").read_text())
    columns = ", ".join(f'"{name}" {duck_type(spark)}' for name, spark in table["columns"])
    with duckdb.connect(folder / "spark.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE traps ({columns})")
        connection.execute("CREATE TABLE nothing AS SELECT * FROM traps")
        places = ", ".join("?" * len(table["columns"]))
        connection.executemany(f"INSERT INTO traps VALUES ({places})", table["rows"])
    engine = DuckEngine(ObsStore(folder / "obs"), database=folder / "spark.duckdb")
    yield engine
    engine.close()


def duck_type(spark: str) -> str:
    return {"string": "varchar", "timestamp": "timestamptz"}.get(spark, spark)


@pytest.mark.parametrize(
    ("file", "table", "options"),
    [
        ("header.csv", "traps", {}),
        ("plain.csv", "traps", {"header": False}),
        ("lines.json", "traps", {"data_type": "json"}),
        ("empty-header.csv", "nothing", {}),
        (None, "nothing", {"header": False}),
        (None, "nothing", {"data_type": "json"}),
    ],
)
@pytest.mark.parametrize("compress", ["none", "gzip", "deflate"])
def test_files_are_those_of_a_real_spark(
    vectors: DuckEngine,
    tmp_path: Path,
    file: str | None,
    table: str,
    options: dict[str, Any],
    compress: str,
) -> None:
    """Byte for byte, whatever the compression; without rows and header a file of zero bytes."""
    path = f"obs://bucket/{table}"
    done = export(vectors, f"spark.{table}", path, compress=compress, overwrite=True, **options)
    [name] = done.files
    data = (vectors.obs.folder(path) / name).read_bytes()
    plain = {"none": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[compress](data)
    assert plain == ((VECTORS / file).read_bytes() if file else b"")
    assert done.bytes_written == len(data)


def test_columns_have_the_types_of_spark(vectors: DuckEngine) -> None:
    """A description names the types that the vectors' table has in Spark."""
    table = vectors.table("spark", "traps")
    assert table is not None
    expected = json.loads((VECTORS / "table.json").read_text())["columns"]
    assert [[column.name, column.type] for column in table.columns] == expected


# --- exports ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compress", "ending"),
    [("none", ""), ("gzip", ".gz"), ("bzip2", ".bz2"), ("deflate", ".deflate")],
)
@pytest.mark.parametrize("data_type", ["csv", "json"])
def test_files_are_named_as_by_spark(
    samples: DuckEngine, data_type: str, compress: str, ending: str
) -> None:
    """One part with a uuid, its codec last in the name, and _SUCCESS of zero bytes."""
    path = f"obs://names/{data_type}/{compress}"
    done = export(samples, "crm.regions", path, data_type=data_type, compress=compress)
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    [name] = done.files
    assert re.fullmatch(rf"part-00000-{uuid}-c000\.{data_type}{re.escape(ending)}", name)
    folder = samples.obs.folder(path)
    assert {file.name: file.stat().st_size for file in folder.iterdir()} == {
        name: done.bytes_written,
        "_SUCCESS": 0,
    }


def test_a_large_table_is_split_in_parts_of_one_job(samples: DuckEngine) -> None:
    """200,000 rows are four files with one uuid, each with the header, in the table's order."""
    done = export(samples, "sales.events", "obs://large/events")
    assert done.rows == 200_000
    assert [name[:10] for name in done.files] == [f"part-0000{n}" for n in range(4)]
    assert len({name[10:] for name in done.files}) == 1
    folder = samples.obs.folder("obs://large/events")
    texts = [(folder / name).read_text() for name in done.files]
    assert {text.partition("\n")[0] for text in texts} == {
        "id,at,customer_id,kind,amount,score,ok,note"
    }
    ids = [int(line.split(",")[0]) for text in texts for line in text.splitlines()[1:]]
    assert ids == list(range(1, 200_001))


@pytest.mark.slow
def test_every_sample_holds_its_rows(samples: DuckEngine) -> None:
    """The json of each sample table has as many lines as the table rows, each of them json."""
    for database in samples.databases():
        for table in samples.tables(database):
            path = f"obs://all/{database}/{table.name}"
            done = export(samples, f"{database}.{table.name}", path, data_type="json")
            assert done.rows == table.row_count
            assert done.input_size == table.size
            folder = samples.obs.folder(path)
            texts = [(folder / name).read_text() for name in done.files]
            lines = [line for text in texts for line in text.split("\n")[:-1]]
            names = {column.name for column in table.columns}
            assert len(lines) == table.row_count
            assert all(json.loads(line).keys() <= names for line in lines)


def test_an_existing_folder_is_an_error_unless_overwritten(samples: DuckEngine) -> None:
    """The old files stay after the error and are gone after Overwrite."""
    first = export(samples, "crm.regions", "obs://exists/a")
    with pytest.raises(AlreadyExists, match="path obs://exists/a already exists"):
        export(samples, "crm.regions", "obs://exists/a")
    folder = samples.obs.folder("obs://exists/a")
    assert (folder / first.files[0]).exists()
    second = export(samples, "crm.regions", "obs://exists/a", overwrite=True)
    assert {file.name for file in folder.iterdir()} == {*second.files, "_SUCCESS"}


@pytest.mark.parametrize(
    ("table", "path", "options", "error"),
    [
        ("crm.none", "obs://bad/a", {}, KeyError),
        ("none.regions", "obs://bad/a", {}, KeyError),
        ('crm.regions"; drop table crm', "obs://bad/a", {}, KeyError),
        ("crm.regions", "obs://bad/../a", {}, UnsafePath),
        ("crm.regions", "obs://bad/a", {"data_type": "orc"}, ValueError),
        ("crm.regions", "obs://bad/a", {"compress": "lzo"}, ValueError),
    ],
)
def test_what_cannot_be_exported_leaves_no_folder(
    samples: DuckEngine, table: str, path: str, options: dict[str, Any], error: type[Exception]
) -> None:
    """Each mistake has its own error, and nothing is written."""
    database, _, name = table.partition(".")
    given = {"data_type": "csv", "compress": "none", "header": True, "overwrite": True, **options}
    with pytest.raises(error):
        samples.stage(database, name, path, **given)
    assert not (samples.obs.root / "bad").exists()


@pytest.mark.parametrize(
    ("spark", "column", "said"),
    [
        ("3.3", "[1, NULL]", "CSV data source does not support array<int> data type."),
        ("3.5", "[1, NULL]", 'column `x` of the type "ARRAY<INT>"'),
        ("3.3", "'a'::blob", "values of the type binary: Spark writes the name of a Java object"),
        ("3.5", "'a'::blob", 'column `x` of the type "BINARY"'),
    ],
)
def test_what_csv_cannot_hold_is_refused_in_the_words_of_that_spark(
    obs: ObsStore, tmp_path: Path, spark: str, column: str, said: str
) -> None:
    """Nothing is left; Spark 3.3 takes binary, but writes nothing that means it."""
    file = made(tmp_path / "a.duckdb", f"CREATE TABLE t AS SELECT 1 AS i, {column} AS x")
    engine = DuckEngine(obs, database=file, session=SparkSession(spark))
    with pytest.raises(UnsupportedColumn, match=re.escape(said)):
        export(engine, "a.t", "obs://bucket/t")
    assert not obs.exists("obs://bucket/t")
    engine.close()


@pytest.mark.parametrize(("rows", "lines"), [(1, "1,\n"), (0, "")])
def test_spark_3_3_writes_a_binary_column_without_values(
    obs: ObsStore, tmp_path: Path, rows: int, lines: str
) -> None:
    """Only a value has no form, so an empty column is exported."""
    select = f"SELECT 1 AS i, NULL::blob AS x LIMIT {rows}"
    file = made(tmp_path / "a.duckdb", f"CREATE TABLE t AS {select}")
    engine = DuckEngine(obs, database=file)
    [name] = export(engine, "a.t", "obs://bucket/t").files
    text = (obs.folder("obs://bucket/t") / name).read_text()
    assert text == f"i,x\n{lines}"
    engine.close()


def test_what_csv_refuses_is_exported_as_json(obs: ObsStore, tmp_path: Path) -> None:
    """Nested values are what json is for."""
    file = made(tmp_path / "a.duckdb", "CREATE TABLE t AS SELECT 1 AS i, [1, NULL] AS list")
    engine = DuckEngine(obs, database=file)
    [name] = export(engine, "a.t", "obs://bucket/t", data_type="json").files
    text = (obs.folder("obs://bucket/t") / name).read_text()
    assert text == '{"i":1,"list":[1,null]}\n'
    engine.close()


@pytest.mark.parametrize("column", ["map {[1]: 2}", "map {'a'::blob: 2}", "[map {{'a': [1]}: 2}]"])
def test_keys_that_would_be_names_of_java_objects_are_refused(
    obs: ObsStore, tmp_path: Path, column: str
) -> None:
    """The export fails with the reason and leaves nothing; the table can be looked at."""
    file = made(tmp_path / "a.duckdb", f"CREATE TABLE t AS SELECT {column} AS x")
    engine = DuckEngine(obs, database=file)
    assert engine.tables("a")[0].row_count == 1
    with pytest.raises(UnsupportedColumn, match=r"keys of the type .* the name of a Java object"):
        export(engine, "a.t", "obs://bucket/t", data_type="json")
    assert not obs.exists("obs://bucket/t")
    engine.close()


def test_a_failure_in_mid_export_leaves_nothing(obs: ObsStore, tmp_path: Path) -> None:
    """A query that breaks after some rows has not published any of them."""
    file = made(
        tmp_path / "a.duckdb",
        "CREATE VIEW v AS SELECT if(i = 40000, error('broken'), i::varchar) AS x "
        "FROM range(50000) AS rows(i)",
    )
    engine = DuckEngine(obs, database=file, rows_per_file=1000)
    with pytest.raises(duckdb.Error):
        export(engine, "a.v", "obs://bucket/t")
    assert not obs.root.exists()
    engine.close()


def test_exports_run_at_the_same_time(samples: DuckEngine) -> None:
    """Threads do not get into each other's way."""
    tables = [f"crm.{table.name}" for table in samples.tables("crm")]

    def one(table: str) -> int:
        return export(samples, table, f"obs://threads/{table}", data_type="json").rows

    with ThreadPoolExecutor(len(tables)) as pool:
        rows = list(pool.map(one, tables))
    assert rows == [table.row_count for table in samples.tables("crm")]


# --- samples ------------------------------------------------------------------------------------


def test_samples_have_what_is_needed_to_try_things(samples: DuckEngine) -> None:
    """At least 20 tables in two databases; an empty one, a large one, and all common types."""
    assert samples.databases() == ["crm", "external", "sales"]
    tables = [table for database in ("crm", "sales") for table in samples.tables(database)]
    assert len(tables) >= 20
    assert {table.kind for table in tables} == {"MANAGED"}
    assert sorted(table.row_count for table in tables)[::19][0] == 0
    assert max(table.row_count for table in tables) == 200_000
    types = {column.type.partition("(")[0] for table in tables for column in table.columns}
    assert types >= {
        *("tinyint", "smallint", "int", "bigint", "float", "double", "decimal"),
        *("boolean", "string", "date", "timestamp"),
    }


def test_samples_outside_dli_are_apart(samples: DuckEngine) -> None:
    """An EXTERNAL table with its location and a VIEW are in a database of their own."""
    kinds = {table.name: table.kind for table in samples.tables("external")}
    assert kinds == {"landing": "EXTERNAL", "vip_customers": "VIEW"}
    landing = samples.table("external", "landing")
    assert landing is not None
    assert landing.location == "obs://samples/landing"


def test_samples_are_the_same_everywhere(samples: DuckEngine) -> None:
    """A digest over all rows of some tables: it must not change with machine or version."""
    digest = hashlib.sha256()
    for table in ("sales.orders", "sales.measurements", "sales.notes", "crm.balances"):
        [name] = export(samples, table, f"obs://digest/{table}", data_type="json").files
        digest.update((samples.obs.folder(f"obs://digest/{table}") / name).read_bytes())
    assert digest.hexdigest()[:16] == "8071cb6c33c19709"


def test_another_seed_makes_other_samples(samples: DuckEngine, obs: ObsStore) -> None:
    """Names and sizes stay, values change."""
    other = DuckEngine(obs, seed=7)
    assert other.tables("sales") == samples.tables("sales")
    [first] = export(samples, "crm.leads", "obs://seed/a").files
    [second] = export(other, "crm.leads", "obs://seed/a").files
    assert (samples.obs.folder("obs://seed/a") / first).read_text() != (
        obs.folder("obs://seed/a") / second
    ).read_text()
    other.close()


# --- looking at tables --------------------------------------------------------------------------


def test_names_are_found_in_any_case(samples: DuckEngine) -> None:
    """As in Spark's catalogue; the table keeps its own spelling."""
    table = samples.table("CRM", "Regions")
    assert table is not None
    assert (table.database, table.name) == ("crm", "regions")
    assert samples.tables("Crm")
    assert samples.table("crm", "none") is None
    assert samples.table("none", "regions") is None
    with pytest.raises(KeyError):
        samples.tables("none")


def test_a_closed_engine_says_so(obs: ObsStore) -> None:
    """It does not quietly open its tables again; closing twice is fine."""
    engine = DuckEngine(obs)
    assert engine.databases()
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.databases()


def test_many_threads_open_the_engine_once(obs: ObsStore) -> None:
    """The samples are made by whoever comes first, and the others wait."""
    engine = DuckEngine(obs)
    barrier = threading.Barrier(8)

    def look(_: int) -> int:
        barrier.wait()
        return len(engine.tables("crm"))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(look, range(8)))) == 1
    engine.close()


# --- a file of the user's own -------------------------------------------------------------------


def test_schemas_of_a_file_are_databases(obs: ObsStore, tmp_path: Path) -> None:
    """`main` goes by the file's name; views, comments and NOT NULL are told; case is kept."""
    file = made(
        tmp_path / "shop.duckdb",
        "CREATE SCHEMA Sales",
        'CREATE TABLE Sales."odd ""name" (id int NOT NULL, "sel ect" varchar)',
        "COMMENT ON TABLE Sales.\"odd \"\"name\" IS 'it''s odd'",
        'COMMENT ON COLUMN Sales."odd ""name".id IS \'the key\'',
        'INSERT INTO Sales."odd ""name" VALUES (1, NULL)',
        "CREATE TABLE t AS SELECT 1::decimal(10,2) AS d",
        "CREATE VIEW v AS SELECT * FROM t",
    )
    engine = DuckEngine(obs, database=file)
    assert engine.databases() == ["Sales", "shop"]
    assert [(table.name, table.kind) for table in engine.tables("shop")] == [
        ("t", "MANAGED"),
        ("v", "VIEW"),
    ]
    table = engine.table("sales", 'ODD "NAME')
    assert table is not None
    assert table.comment == "it's odd"
    assert table.columns == (
        Column("id", "int", nullable=False, comment="the key"),
        Column("sel ect", "string"),
    )
    assert table.created_at == pytest.approx(file.stat().st_mtime)
    [name] = export(engine, 'sales.odd "name', "obs://bucket/a").files
    assert (obs.folder("obs://bucket/a") / name).read_text() == "id,sel ect\n1,\n"
    engine.close()


def test_an_empty_main_is_not_a_database(obs: ObsStore, tmp_path: Path) -> None:
    """It is in every DuckDB file, but only alone or with tables it is shown."""
    only = DuckEngine(obs, database=made(tmp_path / "only.duckdb"))
    assert only.databases() == ["only"]
    assert only.tables("only") == []
    other = DuckEngine(
        obs, database=made(tmp_path / "x.duckdb", "CREATE SCHEMA a", "CREATE TABLE a.t (i int)")
    )
    assert other.databases() == ["a"]
    only.close()
    other.close()


def test_main_keeps_its_name_when_the_stem_is_taken(obs: ObsStore, tmp_path: Path) -> None:
    """Two schemas never become one database."""
    file = made(tmp_path / "crm.duckdb", "CREATE SCHEMA crm", "CREATE TABLE main.t (i int)")
    engine = DuckEngine(obs, database=file)
    assert engine.databases() == ["crm", "main"]
    engine.close()


def test_a_file_that_is_no_database_is_named(obs: ObsStore, tmp_path: Path) -> None:
    """The error is one a user understands."""
    (tmp_path / "x.duckdb").write_text("not a database" * 1000)
    with pytest.raises(ValueError, match="cannot be opened as a DuckDB file"):
        DuckEngine(obs, database=tmp_path / "x.duckdb").databases()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"database": Path("/nowhere")}, FileNotFoundError),
        ({"folder": Path("/nowhere")}, FileNotFoundError),
        ({"database": Path("/a"), "folder": Path("/b")}, ValueError),
        ({"rows_per_file": 0}, ValueError),
    ],
)
def test_wrong_settings_are_refused_at_once(
    obs: ObsStore, options: dict[str, Any], error: type[Exception]
) -> None:
    """What can be seen without opening is not left for the first export."""
    with pytest.raises(error):
        DuckEngine(obs, **options)


# --- a folder of files --------------------------------------------------------------------------


def test_files_in_folders_are_tables(obs: ObsStore, tmp_path: Path) -> None:
    """CSV, gzipped CSV and Parquet; sub-folders are databases; of equal names both are kept."""
    data = tmp_path / "Data"
    (data / "sub[1]").mkdir(parents=True)
    (data / "empty").mkdir()
    (data / "orders.csv").write_text("id,name\n1,李雷\n2,\n")
    (data / "orders.csv.gz").write_bytes(gzip.compress(b"a\n1\n2\n3\n"))
    (data / "notes.txt").write_text("not a table")
    (data / "folder.csv").mkdir()
    parquet = str(data / "sub[1]" / "it's *.parquet").replace("'", "''")
    duckdb.sql(f"COPY (SELECT 1.5::float AS f) TO '{parquet}' (FORMAT parquet)")
    engine = DuckEngine(obs, folder=data)
    assert engine.databases() == ["Data", "sub[1]"]
    assert {table.name: table.row_count for table in engine.tables("data")} == {
        "orders": 2,
        "orders_csv_gz": 3,
    }
    table = engine.table("data", "ORDERS")
    assert table is not None
    assert table.size == (data / "orders.csv").stat().st_size
    assert table.kind == "MANAGED"
    assert table.columns == (Column("id", "bigint"), Column("name", "string"))
    [name] = export(engine, "data.orders", "obs://bucket/a").files
    assert (obs.folder("obs://bucket/a") / name).read_text() == "id,name\n1,李雷\n2,\n"
    assert export(engine, "sub[1].it's *", "obs://bucket/b").rows == 1
    engine.close()


def test_a_file_that_cannot_be_read_is_left_out(
    obs: ObsStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other tables are served all the same, and a warning names the file."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bad.parquet").write_text("not parquet")
    engine = DuckEngine(obs, folder=tmp_path / "data")
    assert engine.databases() == ["data"]
    assert engine.tables("data") == []
    assert "bad.parquet is left out" in caplog.text
    engine.close()


# --- the engine without files -------------------------------------------------------------------


def test_the_null_engine_knows_the_given_tables() -> None:
    """Names in any case, and the same numbers in every run."""
    engine = NullEngine({"Shop": ["t2", "T1"]})
    assert engine.databases() == ["Shop"]
    assert [table.name for table in engine.tables("shop")] == ["T1", "t2"]
    assert engine.table("SHOP", "t1") == NullEngine({"Shop": ["T1"]}).table("shop", "T1")
    assert engine.table("shop", "t3") is None
    assert engine.table("none", "t1") is None
    with pytest.raises(KeyError):
        engine.tables("none")


def test_the_null_engine_imagines_tables() -> None:
    """Without names there are 100 tables with plausible sizes."""
    engine = NullEngine()
    tables = [table for database in engine.databases() for table in engine.tables(database)]
    assert len(tables) == 100
    assert len({table.row_count for table in tables}) > 50


def test_the_null_engine_exports_without_files() -> None:
    """It tells rows and sizes, and remembers what exists until it is closed."""
    engine = NullEngine()
    done = export(engine, "db1.t1", "obs://bucket/a")
    table = engine.table("db1", "t1")
    assert table is not None
    assert done == Exported(table.row_count, table.size, (), 0)
    with pytest.raises(AlreadyExists):
        export(engine, "db1.t1", "obs://bucket/a")
    assert export(engine, "db1.t1", "obs://bucket/a", overwrite=True) == done
    with pytest.raises(KeyError):
        export(engine, "db1.none", "obs://bucket/b")
    engine.close()
    assert export(engine, "db1.t1", "obs://bucket/a") == done


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_the_null_engine_discards_was_never_there(overwrite: bool) -> None:
    """A folder is free again, unless an earlier export had taken it."""
    options = {"data_type": "csv", "compress": "none", "header": True}
    engine = NullEngine()
    if overwrite:
        export(engine, "db1.t1", "obs://bucket/a")
    engine.stage("db1", "t1", "obs://bucket/a", overwrite=overwrite, **options).discard()
    if overwrite:
        with pytest.raises(AlreadyExists):
            export(engine, "db1.t1", "obs://bucket/a")
    else:
        export(engine, "db1.t1", "obs://bucket/a")


def test_an_export_that_is_discarded_leaves_nothing(samples: DuckEngine) -> None:
    """Until it is published only `_temporary` is in its folder, and afterwards not even that."""
    options = {"data_type": "csv", "compress": "none", "header": True, "overwrite": True}
    staged = samples.stage("crm", "regions", "obs://discarded/a", **options)
    assert [path.name for path in samples.obs.folder("obs://discarded/a").iterdir()] == [
        "_temporary"
    ]
    staged.discard()
    assert not (samples.obs.root / "discarded").exists()


@pytest.mark.parametrize("word", ["true", "TRUE", "True", "t"])
def test_booleans_of_csv_files_are_written_as_spark_writes_them(tmp_path: Path, word: str) -> None:
    """However a file of the user's spells them, the export says `true`."""
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / "q.csv").write_text(f"a,b\n1,{word}\n2,false\n")
    engine = DuckEngine(ObsStore(tmp_path / "obs"), folder=folder)
    table = engine.table("db", "q")
    assert table is not None
    if table.columns[1].type != "boolean":
        pytest.fail(f"{word} was read as {table.columns[1].type}")
    options = {"compress": "none", "header": False, "overwrite": True}
    engine.stage("db", "q", "obs://b/q", data_type="json", **options).publish()
    (part,) = (tmp_path / "obs" / "b" / "q").glob("part-*")
    assert part.read_text() == '{"a":1,"b":true}\n{"a":2,"b":false}\n'
    engine.close()


def test_an_engine_without_files_knows_which_folders_were_written() -> None:
    """What one export discards does not undo what another one to the same folder published."""
    engine = NullEngine()

    def stage(overwrite: bool) -> Staged:
        return engine.stage(
            "db1",
            "t1",
            "obs://b/x",
            data_type="csv",
            compress="none",
            header=False,
            overwrite=overwrite,
        )

    discarded, published = stage(overwrite=True), stage(overwrite=True)
    published.publish()
    discarded.discard()
    with pytest.raises(AlreadyExists):
        stage(overwrite=False)
