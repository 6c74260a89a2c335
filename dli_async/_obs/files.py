"""`client.files`: what may be asked of the files that an export left on OBS."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from .._http.api import Api
from .._values.errors import ConfigurationError
from .._values.files import (
    Fetched,
    FileDamaged,
    OnProgress,
    PartFile,
    Verification,
    VerificationFailed,
)
from .._values.paths import normalise_path
from .._values.results import ExportResult
from . import fetch as _fetch
from . import verify as _verify
from .parts import Contents, Folder, contents_of, said_of
from .signing import check_expires
from .store import ObjectStore
from .workers import for_each

if TYPE_CHECKING:
    import pyarrow

Source = ExportResult | str
"""An export that has finished, or `obs://bucket/folder`."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """What is known of the export that wrote a folder."""

    data_path: str
    rows: int | None = None
    header: bool = False
    table: tuple[str, str] | None = None


class Files:
    """The files of exports, with the login and the connections of one client.

    A `source` is the `ExportResult` of an export, or the path of its folder as text. Of a path
    nobody knows how many rows there should be, whether files begin with a header, and which types
    the columns have; of a result all of that is known.

    Errors, beside those of each call: `NotFound` (no such bucket), `PermissionDenied` and other
    `ApiError` of OBS, `RequestError` where it cannot be reached, `FileChanged` where an object is
    replaced while it is read.
    """

    def __init__(self, store: ObjectStore, api: Api) -> None:
        self._store = store
        self._api = api

    async def list(self, source: Source) -> tuple[PartFile, ...]:
        """The part files in a folder, in the order of their names.

        Without `_SUCCESS`, hidden names, marks of folders and what lies in folders below.
        """
        origin = await self._origin(source)
        return (await self._contents(origin.data_path)).parts

    async def link(self, file: PartFile, *, expires: int = 300) -> str:
        """An address from which whoever has it downloads a file, without a login of their own.

        It is signed by the keys of the client; OBS is not asked. It holds the id of the access key
        and the security token of temporary keys, but nothing that could sign anything else. It
        opens whatever object has that name when it is used.

        Args:
            expires: whole seconds for which it opens the file (default 300), up to 7 days. A link
                that temporary keys have signed ends with them at the latest.

        Raises:
            ConfigurationError: `expires` is out of bounds.
        """
        return (await self.links([file], expires=expires))[0]

    async def links(self, files: Sequence[PartFile], *, expires: int = 300) -> tuple[str, ...]:
        """The links of many files, in their order; see `link`."""
        check_expires("expires", expires)
        return tuple(await self._store.links(files, expires))

    async def verify(
        self, source: Source, *, header: bool | None = None, max_parallel: int = 4
    ) -> Verification:
        """Reads every file to its end, counts the rows, and compares with what the job tells.

        Args:
            header: whether csv files begin with the names of the columns; None (default) is what
                the export was asked for, and no header where only a path is given.
            max_parallel: files at a time (default 4).

        Raises:
            VerificationFailed: something differs; its `verification` says what.
        """
        _check_parallel(max_parallel)
        origin = await self._origin(source, header)
        contents = await self._contents(origin.data_path)
        expected = _verify.Expected(origin.rows, origin.header)
        path = origin.data_path
        found = await _verify.verify(self._store, path, contents, expected, max_parallel)
        if not found.ok:
            raise VerificationFailed(found)
        return found

    async def fetch(
        self,
        source: Source,
        folder: str | os.PathLike[str],
        *,
        on_progress: OnProgress | None = None,
        max_parallel: int = 8,
    ) -> Fetched:
        """Brings all part files into a local folder, which is made if need be.

        Each is written to `name.part` and renamed when it is whole. A fetch that was cancelled or
        killed goes on where it stopped; what is whole is not fetched again, unless the object was
        replaced meanwhile. `.dli-async-fetch` in the folder tells which version each file is of.

        Args:
            on_progress: called with a `FetchProgress` after each block; an error in it ends the
                fetch.
            max_parallel: files at a time (default 8).

        Raises:
            UnsafeName: an object's name is no safe name for a file; nothing was fetched.
            FilesError: another fetch writes to the folder.
            OSError: it cannot be written to.
        """
        _check_parallel(max_parallel)
        parts = await self.list(source)
        return await _fetch.fetch(self._store, parts, Path(folder), on_progress, max_parallel)

    async def read(
        self, source: Source, *, header: bool | None = None, max_parallel: int = 4
    ) -> pyarrow.Table:
        """All rows as a `pyarrow.Table`, csv or json, of every codec (extra `[arrow]`).

        The types are those of the DLI table where the source is a result; columns of nested types
        are text in csv. Of a path, csv is read as text. An empty field is null, `""` is not.

        Args: see `verify`.

        Raises:
            FileDamaged: a file is cut off, does not fit the types, or is neither csv nor json.
            ConfigurationError: pyarrow is not installed.
        """
        _check_parallel(max_parallel)
        arrow = await _load_arrow()
        origin, parts, types = await self._to_read(source, header)
        found: dict[str, list[Any]] = {}

        async def take(part: PartFile) -> None:
            async with aclosing(self._batches(part, types, origin.header)) as batches:
                found[part.key] = [batch async for batch in batches]

        await for_each(parts, take, max_parallel)
        batches = [batch for part in parts for batch in found[part.key]]
        return await anyio.to_thread.run_sync(arrow.joined, batches, types)

    async def scan(
        self, source: Source, *, header: bool | None = None
    ) -> AsyncGenerator[pyarrow.RecordBatch]:
        """The rows as record batches of about a megabyte of text, file after file; see `read`."""
        await _load_arrow()
        origin, parts, types = await self._to_read(source, header)
        for part in parts:
            async with aclosing(self._batches(part, types, origin.header)) as batches:
                async for batch in batches:
                    yield batch

    async def exists(self, data_path: str) -> bool:
        """Whether anything lies in a folder, be it hidden: what ErrorIfExists looks at."""
        folder = Folder.of(_checked(data_path))
        return bool((await self._store.page(folder, limit=1)).objects)

    async def delete(self, data_path: str) -> int:
        """Deletes a folder with all that lies below it, and returns the number of objects.

        Args:
            data_path: exactly the folder, `obs://bucket/folder`; never a bucket.

        Raises:
            ConfigurationError: it names no folder below a bucket.
            FilesError: some objects could not be deleted.
        """
        folder = Folder.of(_checked(data_path))
        deleted = 0
        async with aclosing(self._store.pages(folder)) as pages:
            async for page in pages:
                if page.objects:
                    await self._store.delete(folder.bucket, [item.key for item in page.objects])
                    deleted += len(page.objects)
        return deleted

    async def complete(
        self, result: ExportResult, *, verify: bool, fetch: str | os.PathLike[str] | None
    ) -> ExportResult:
        """A result with its verification and its fetched files, as far as they are wanted.

        Errors are those of `verify` and `fetch`.
        """
        if verify:
            result = replace(result, verification=await self.verify(result))
        if fetch is not None:
            result = replace(result, fetched=await self.fetch(result, fetch))
        return result

    async def _to_read(
        self, source: Source, header: bool | None
    ) -> tuple[_Origin, tuple[PartFile, ...], dict[str, Any] | None]:
        origin = await self._origin(source, header)
        parts = (await self._contents(origin.data_path)).parts
        return origin, parts, await self._types(origin)

    async def _types(self, origin: _Origin) -> dict[str, Any] | None:
        if origin.table is None:
            return None
        from .arrow import arrow_type

        table = await self._api.table(*origin.table)
        return {column.column_name: arrow_type(column.type) for column in table.columns} or None

    async def _batches(
        self, part: PartFile, types: dict[str, Any] | None, header: bool
    ) -> AsyncGenerator[Any]:
        from .arrow import Reading, steps

        reading = Reading(part, types, header)
        try:
            for start in range(0, part.size, _verify.BLOCK):
                block = await self._store.read(part, start, _verify.BLOCK)
                following = steps(reading.batches(block))
                while (batch := await anyio.to_thread.run_sync(following)) is not None:
                    yield batch
            for batch in await anyio.to_thread.run_sync(lambda: list(reading.finish())):
                yield batch
        except FileDamaged as damage:
            raise FileDamaged(said_of(part, damage)) from damage.__cause__

    async def _contents(self, data_path: str) -> Contents:
        folder = Folder.of(data_path)
        objects: list[PartFile] = []
        folders: list[str] = []
        async with aclosing(self._store.pages(folder, delimiter="/")) as pages:
            async for page in pages:
                objects += page.objects
                folders += page.folders
        return contents_of(folder, objects, folders)

    async def _origin(self, source: Source, header: bool | None = None) -> _Origin:
        if isinstance(source, str):
            return _Origin(_checked(source), header=bool(header))
        if not isinstance(source, ExportResult):
            raise ConfigurationError(f"{source!r}: must be an ExportResult or obs://bucket/folder")
        told = source.spec or await self._api.job_detail(source.job_id)
        if not told.data_path:
            raise ConfigurationError(f"job {source.job_id} does not tell its data_path: give it")
        return _Origin(
            _checked(told.data_path),
            source.row_count,
            bool(told.with_column_header) if header is None else header,
            told.table,
        )


def _checked(data_path: str) -> str:
    try:
        return normalise_path(data_path)
    except ValueError as rule:
        raise ConfigurationError(f"data_path={data_path!r}: {rule}") from None


def _check_parallel(max_parallel: object) -> None:
    if not isinstance(max_parallel, int) or max_parallel < 1:
        raise ConfigurationError(f"max_parallel={max_parallel!r}: must be at least 1")


async def _load_arrow() -> Any:
    """Arrow takes long enough to load to do so off the event loop."""
    try:
        return await anyio.to_thread.run_sync(_import_arrow)
    except ImportError as error:
        text = f"reading needs pyarrow: pip install 'dli-async[arrow]' ({error})"
        raise ConfigurationError(text) from None


def _import_arrow() -> Any:
    from . import arrow

    return arrow
