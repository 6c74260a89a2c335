"""Reading into Arrow: the types of the table, whatever the codec; null and `""` kept apart."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dli_async import DliClient, TableDescription
from dli_async.obs import FileDamaged

from .conftest import COMPRESS, DATA_PATH, Lake, result

pytestmark = pytest.mark.anyio

SPARK = Path(__file__).parent.parent / "vectors" / "spark"
TABLE = json.loads((SPARK / "table.json").read_text())
FILES = {"plain.csv": False, "header.csv": True, "lines.json": False}


@pytest.fixture
def described(client: DliClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service knows the table that Spark wrote."""
    columns = [{"column_name": name, "type": kind} for name, kind in TABLE["columns"]]

    async def table(database: str, name: str) -> TableDescription:
        return TableDescription.model_validate(
            {"database_name": database, "table_name": name, "columns": columns}
        )

    monkeypatch.setattr(client._api, "table", table)


def cell(kind: str, value: Any, *, trimmed: bool) -> Any:
    """A value of the table as it is after Spark has written it: csv cuts blanks off."""
    if value is None:
        return None
    if kind.startswith("decimal"):
        return Decimal(value)
    if kind in ("double", "float"):
        return pytest.approx(float(value), nan_ok=True, rel=1e-6)
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "timestamp":
        moment = datetime.fromisoformat(value)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return value.strip(" ") if trimmed and isinstance(value, str) else value


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.usefixtures("described")
async def test_what_real_spark_wrote_is_read_as_it_was(
    lake: Lake, client: DliClient, name: str, ending: str
) -> None:
    """The table of traps: quotes, line ends, backslashes, NaN, dates, nulls."""
    text = COMPRESS[ending]((SPARK / name).read_bytes())
    for number in range(2):
        lake.write(f"part-0000{number}.{name.rpartition('.')[2]}{ending}", text)
    source = result(None, with_column_header=FILES[name])

    table = await client.files.read(source)

    kinds = [kind for _, kind in TABLE["columns"]]
    trimmed = name.endswith("csv")
    wanted = [
        tuple(cell(kind, value, trimmed=trimmed) for kind, value in zip(kinds, row, strict=True))
        for row in TABLE["rows"]
    ]
    assert [tuple(row.values()) for row in table.to_pylist()] == wanted * 2
    assert table.schema.field("price").type == pa.decimal128(10, 2)
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    assert table.schema.field("id").type == pa.int32()
    scanned = [batch async for batch in client.files.scan(source)]
    assert sum(batch.num_rows for batch in scanned) == table.num_rows
    assert {batch.schema for batch in scanned} == {table.schema}


async def test_of_a_path_csv_is_read_as_text(lake: Lake, client: DliClient) -> None:
    """The names come from the header, or are made up; null is not the empty text."""
    lake.write("part-00000.csv", b'id,"a\nb"\n1,""\n2,\n')

    named = await client.files.read(DATA_PATH, header=True)
    assert named.to_pylist() == [{"id": "1", "a\nb": ""}, {"id": "2", "a\nb": None}]
    bare = await client.files.read(DATA_PATH)
    assert bare.column_names == ["f0", "f1"]
    assert bare.num_rows == 3


async def test_a_null_in_a_table_of_one_column_is_a_row(lake: Lake, client: DliClient) -> None:
    """Spark writes it as an empty line."""
    lake.write("part-00000.csv", b"a\n\nb")
    assert (await client.files.read(DATA_PATH)).to_pylist() == [
        {"f0": "a"},
        {"f0": None},
        {"f0": "b"},
    ]


async def test_rows_that_cross_pieces_are_read_whole(lake: Lake, client: DliClient) -> None:
    """A row may be longer than a piece, and quotes open where one ends."""
    long = "x\n" * 800_000
    lake.write("part-00000.csv.gz", COMPRESS[".gz"](f'1,"{long}"\n2,y\n'.encode() * 3))

    table = await client.files.read(DATA_PATH)

    assert table.num_rows == 6
    assert table["f1"].to_pylist()[::2] == [long] * 3


@pytest.mark.usefixtures("described")
async def test_an_export_of_no_rows_has_the_tables_columns(lake: Lake, client: DliClient) -> None:
    """With and without a header."""
    lake.write("part-00000.csv", (SPARK / "empty-header.csv").read_bytes())
    lake.write("part-00001.json", b"")

    table = await client.files.read(result(0, with_column_header=True))

    assert table.num_rows == 0
    assert table.column_names == [name for name, _ in TABLE["columns"]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("part-00000.parquet", b"PAR1", "only csv and json"),
        ("part-00000.csv.gz", COMPRESS[".gz"](b"1,2\n" * 99)[:-4], "in the middle"),
        ("part-00000.csv", b"1,2\n1,2,3\n", "Expected 2 columns"),
    ],
    ids=["parquet", "cut-off", "columns"],
)
async def test_what_cannot_be_read_is_named(
    lake: Lake, client: DliClient, name: str, content: bytes, said: str
) -> None:
    """The file and the reason, never a part of the rows."""
    lake.write(name, content)
    with pytest.raises(FileDamaged, match=f"{name}.*{said}"):
        await client.files.read(DATA_PATH)
