"""The same `TableExport` gives the same files by the call and by SQL."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from dli_async import DliClient, FolderExists, TableExport
from dli_async.emulator import Emulator
from tests.conftest import REAL
from tests.journal.support import QUICK

pytestmark = pytest.mark.anyio

# json has no header, and by the call it is not explained what one would be.
KINDS = [
    ("csv", compress, header)
    for compress, header in product(["none", "gzip", "bzip2", "deflate"], [True, False])
] + [("json", compress, False) for compress in ("none", "gzip", "bzip2", "deflate")]


@pytest.fixture(params=REAL)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Real time: files are written in threads."""
    return request.param


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a folder; the name of a part has an id of its job in the middle."""
    found = sorted(folder.iterdir())
    return {f"{path.name[:10]}{path.suffixes}": path.read_bytes() for path in found}


async def test_a_table_gives_the_same_files_either_way(tmp_path: Path) -> None:
    """Byte for byte: csv and json, every compression, with a header and without."""
    async with Emulator(obs_dir=tmp_path, launch=0, run=0.01) as emulator:
        clients: dict[str, DliClient] = {
            way: emulator.client(table_exports=way, polling=QUICK)
            for way in ("export-table", "sql")
        }
        async with clients["export-table"], clients["sql"]:
            for data_type, compress, header in KINDS:
                written = []
                for way, client in clients.items():
                    spec = TableExport(
                        database_name="sales",
                        table_name="orders",
                        data_path=f"obs://b/{way}/{data_type}-{compress}-{header}",
                        data_type=data_type,
                        compress=compress,
                        with_column_header=header,
                    )
                    result = await client.export(spec)
                    folder = tmp_path / spec.data_path.removeprefix("obs://")
                    written.append((result.row_count, files(folder)))
                assert written[0] == written[1]
                assert len(written[0][1]) > 1


async def test_error_if_exists_keeps_its_meaning_by_sql(tmp_path: Path) -> None:
    """The client looks at OBS by itself: a new folder is written, and an old one never again."""
    async with (
        Emulator(obs_dir=tmp_path, launch=0, run=0.01, without=["export-table"]) as emulator,
        emulator.client(polling=QUICK) as client,
    ):
        spec = TableExport(database_name="sales", table_name="orders", data_path="obs://b/new")
        await client.export(spec)
        before = files(tmp_path / "b" / "new")
        with pytest.raises(FolderExists):
            await client.export(spec)
        assert files(tmp_path / "b" / "new") == before
        assert len(emulator.ledger.jobs) == 1
        await client.export(spec.model_copy(update={"export_mode": "Overwrite"}))
