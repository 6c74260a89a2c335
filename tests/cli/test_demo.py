"""The demo from its first to its last line."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from dli_async import DliClient, TableExport
from dli_async.cli._offline import demo as demo_module
from dli_async.cli._offline.verify import BadExport, FolderContent, read_back

from .conftest import Cli, error_line

QUICK = ("--launch", "0", "--run", "0.02")


@pytest.mark.slow
def test_demo_exports_every_table_in_every_shape(tmp_path: Path) -> None:
    """All sample tables become files that hold what they should, in all formats; the document
    tells where they are, and progress is on stderr."""
    result = Cli()("demo", "--json", "--obs-dir", str(tmp_path / "obs"), *QUICK)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    exports = {f"{e['database_name']}.{e['table_name']}": e for e in document["exports"]}
    assert (len(exports), document["failed"]) == (21, 0)
    assert all(export["verified"] for export in exports.values())
    assert exports["sales.events"]["rows"] == 200_000
    assert len(exports["sales.events"]["files"]) > 1
    assert exports["sales.returns"]["rows"] == 0
    names = ("data_type", "compress", "with_column_header")
    shapes = {tuple(export[name] for name in names) for export in exports.values()}
    assert len(shapes) == 12
    assert document["rows"] == sum(export["rows"] for export in exports.values())
    assert "[21/21] " in result.stderr
    assert "fetched crm.balances over OBS: 1 file, " in result.stderr
    assert "customer_id" in result.stderr
    packed = next(
        e for e in exports.values() if (e["data_type"], e["compress"]) == ("json", "gzip")
    )
    lines = gzip.decompress((Path(packed["folder"]) / packed["files"][0]).read_bytes())
    assert lines.count(b"\n") == packed["rows"]


@pytest.mark.parametrize("command", [("demo",), ("demo", "--web"), ("emulator", "--port", "0")])
def test_a_folder_that_cannot_be_written_to_is_told_at_once(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """Nothing starts, and one line names option, folder and reason."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "obs"
    result = Cli()(*command, "--obs-dir", str(folder))
    assert (result.exit_code, result.stdout) == (2, "")
    assert error_line(result).endswith(f"--obs-dir {folder}: cannot be written to: Not a directory")


def test_demo_can_run_twice_and_tells_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run, even within the same second, has a folder of its own; if files are not what
    they should be, the exit code is 1 and the summary and one line say which."""
    monkeypatch.chdir(tmp_path)
    stamp = "obs://demo/20260101-000000"
    real = time.strftime  # which dates of requests take too
    monkeypatch.setattr(
        time, "strftime", lambda text, *at: stamp if text.startswith("obs:") else real(text, *at)
    )
    (tmp_path / "obs/demo/20260101-000000").mkdir(parents=True)

    def read(folder: Path, spec: TableExport, columns: Sequence[str]) -> FolderContent:
        found = read_back(folder, spec, columns)
        if spec.table_name == "flags":
            raise BadExport("part-00000: gnawed by mice")
        return FolderContent(1, 1, ()) if spec.table_name == "stores" else found

    async def plan_few(client: DliClient, root: str) -> AsyncIterator[TableExport]:
        async for spec in plan(client, root):
            if spec.table_name in ("flags", "regions", "stores"):
                yield spec

    plan = demo_module.plan
    monkeypatch.setattr(demo_module, "plan", plan_few)
    monkeypatch.setattr(demo_module, "read_back", read)
    result = Cli()("demo", "--max-running", "40", *QUICK)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("dli-async: error: 2 of 3 exports failed: ")
    assert "sales.flags: part-00000: gnawed by mice" in last
    assert "sales.stores: the files hold 1 rows, the table 40, the service says 40" in last
    lines = result.stdout.splitlines()
    assert lines[-1].endswith(f"{Path('obs/demo/20260101-000000-2/DATABASE/TABLE')}")
    assert [line.split()[0] for line in lines if line.endswith("failed")] == [
        "sales.flags",
        "sales.stores",
    ]
