"""The commands about files on OBS: ls, verify, fetch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ..._client import DliClient
from ..._values.files import FetchProgress, PartFile, Verification
from ..._values.results import ExportResult
from .._shell.connection import Connection
from .._shell.export_options import FilesOptions
from .._shell.failures import Exit
from .._shell.output import Output, counted, fields_text, plain_table
from .._shell.run import run

_COLUMNS = ("name", "size", "format", "codec", "last_modified")
_STEPS = 10  # lines that a fetch prints where there is no terminal


def ls(output: Output, connection: Connection, source: str) -> Exit:
    """Lists the part files of a job or a folder."""

    async def work() -> Exit:
        async with connection.client() as client:
            parts = await client.files.list(await source_of(client, source))
        table = plain_table(*_COLUMNS)
        for part in parts:
            size, codec = f"{part.size:,}", part.codec or "-"
            table.add_row(part.name, size, part.format or "-", codec, part.last_modified)
        output.result([_part_document(part) for part in parts], table)
        return Exit.FINISHED

    return run(output, work)


def verify(output: Output, connection: Connection, source: str, header: bool | None) -> Exit:
    """Checks whether the files of a job or a folder are complete."""

    async def work() -> Exit:
        async with connection.client() as client:
            found = await client.files.verify(await source_of(client, source), header=header)
        document = verification_document(found)
        output.result(document, fields_text(document))
        return Exit.FINISHED

    return run(output, work)


def fetch(output: Output, connection: Connection, source: str, folder: Path) -> Exit:
    """Brings the files of a job or a folder home."""

    async def work() -> Exit:
        async with connection.client() as client:
            origin = await source_of(client, source)
            with fetch_progress(output) as progress:
                done = await client.files.fetch(origin, folder, on_progress=progress)
        document = {"folder": folder, "files": len(done.files), "fetched": done.fetched}
        document["size"] = done.size
        output.result(document, fields_text(document))
        return Exit.FINISHED

    return run(output, work)


async def complete(
    client: DliClient, output: Output, result: ExportResult, wanted: FilesOptions
) -> dict[str, Any]:
    """Verifies and fetches as far as that is wanted; returns what to tell of it."""
    document: dict[str, Any] = {}
    if wanted.verify:
        found = await client.files.verify(result)
        document |= {"verified": True, "files": len(found.files), "size": found.size}
    if wanted.fetch is not None:
        with fetch_progress(output) as progress:
            done = await client.files.fetch(result, wanted.fetch, on_progress=progress)
        document |= {"files": len(done.files), "size": done.size, "fetched_to": wanted.fetch}
    return document


async def source_of(client: DliClient, text: str) -> ExportResult | str:
    """The folder, or the result of the job once it has ended."""
    return text if "://" in text else await client.job(text.strip())


def verification_document(found: Verification) -> dict[str, Any]:
    """What a look at files came to."""
    return {
        "data_path": found.data_path,
        "verified": found.ok,
        "files": len(found.files),
        "size": found.size,
        "rows": found.rows,
        "expected_rows": found.expected_rows,
        "has_success": found.has_success,
        "differences": found.differences,
    }


def _part_document(part: PartFile) -> dict[str, Any]:
    fields = ("name", "key", "size", "etag", "format", "codec", "last_modified")
    return {name: getattr(part, name) for name in fields}


@contextmanager
def fetch_progress(output: Output) -> Iterator[FetchDisplay]:
    """Shows how a fetch moves on while the block runs."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=output.err,
        transient=True,
        disable=not output.err.is_terminal,
    )
    with progress:
        yield FetchDisplay(output, progress)


class FetchDisplay:
    """An `on_progress`: a bar on a terminal, elsewhere a line for each tenth of the bytes."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._task = progress.add_task("fetching", total=None)
        self._told = 0

    def __call__(self, seen: FetchProgress) -> None:
        text = f"{seen.files_done:,} of {counted(seen.files_total, 'file')}"
        self._progress.update(
            self._task, description=text, completed=seen.bytes_done, total=seen.bytes_total
        )
        step = _STEPS * seen.bytes_done // max(1, seen.bytes_total)
        is_last = seen.files_done == seen.files_total
        if not self._output.err.is_terminal and (step > self._told or is_last):
            self._told = step
            self._output.note(f"fetched {text}, {seen.bytes_done:,} of {seen.bytes_total:,} bytes")
