"""What the demo does with the files of one export: fetches them, and reads their first rows."""

from __future__ import annotations

import tempfile
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path

from ..._client import DliClient
from .._shell.output import Output, cell, counted, plain_table
from .demo_summary import DemoExport

_SHOWN = 3


async def bring_back(client: DliClient, output: Output, export: DemoExport) -> None:
    """Brings the files of an export home over OBS, and shows the first rows of its table."""
    result = await client.job(str(export.job_id))
    with tempfile.TemporaryDirectory(prefix="dli-demo-") as folder:
        done = await client.files.fetch(result, Path(folder))
    files, size = counted(len(done.files), "file"), f"{done.size:,} bytes"
    output.note(f"fetched {export.name} over OBS: {files}, {size}")
    if find_spec("pyarrow") is None:
        output.note("its rows can be read where pyarrow is: pip install 'dli-async[arrow]'")
        return
    async with aclosing(client.files.scan(result)) as batches:
        async for batch in batches:
            table = plain_table(*batch.schema.names)
            for row in batch.slice(0, _SHOWN).to_pylist():
                table.add_row(*(cell(value) for value in row.values()))
            output.err.print(table)
            return
