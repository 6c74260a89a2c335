"""What becomes of the files of a bulk run's exports when these have finished."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio

from .._export.context import HasContext
from .._journal.records import Record
from .._values.errors import ClientClosed, InvalidExport, JournalError, Problem
from .._values.files import VerificationFailed
from .._values.paths import FolderSet
from .._values.results import ExportResult
from .._values.spec import ExportSpec

if TYPE_CHECKING:
    from .._obs.files import Files

# Exports whose files are read at a time. One of them has several requests under way, so that more
# of them would not be faster, and would hold more blocks in memory.
_AT_A_TIME = 4
_FATAL = (ClientClosed, JournalError)


class HasContextAndFiles(HasContext, Protocol):
    """A `DliClient`, for those who need no more of it."""

    @property
    def files(self) -> Files:
        """What exports left on OBS."""


class Landing:
    """Verifies and fetches what has finished, as far as that is wanted and was not done before.

    Args:
        verify: whether the files are to be checked.
        fetch: the folder below which each export gets one of its own; None to leave them where
            they are.

    Raises:
        ConfigurationError: files are wanted, and nothing tells where OBS is.
    """

    def __init__(
        self, client: HasContextAndFiles, verify: bool, fetch: str | os.PathLike[str] | None
    ) -> None:
        self._client = client
        self._verify = verify
        self._root = None if fetch is None else Path(fetch).absolute()
        self._local = FolderSet()
        self._limit = anyio.CapacityLimiter(_AT_A_TIME)
        if verify or fetch is not None:
            client.files  # noqa: B018 - raises unless there is an OBS

    def take_folder(self, spec: ExportSpec) -> None:
        """Gives an export a local folder, which no other one of the run has.

        Raises:
            InvalidExport: another one has it: they differ by the bucket, or by the case of letters
                where files of the system do not.
        """
        if self._root is None:
            return
        below = _below_bucket(spec.data_path)
        if self._local.add(f"obs://any/{_as_files_differ(below)}") is not None:
            rule = (
                f"{self._root / below} is, contains or lies in the local folder of another export "
                "of this run; fetch them by two runs, into two folders"
            )
            raise InvalidExport([Problem("data_path", spec.data_path, rule)])

    async def complete(
        self, result: ExportResult, record: Record
    ) -> tuple[ExportResult, Exception | None]:
        """The result with what became of its files, and why they are not as wanted, or None.

        Raises:
            ClientClosed, JournalError: nothing can be done, or noted, any more.
        """
        if self._verify and not record.is_verified:
            result, error = await self._try(self._verified, result)
            await record.verified(error)
            if error is not None:
                return result, error
        folder = self._folder_of(result)
        if folder is None or await self._is_there(folder, record):
            return result, None
        return await self._fetch(result, folder, record)

    async def _fetch(
        self, result: ExportResult, folder: Path, record: Record
    ) -> tuple[ExportResult, Exception | None]:
        async def fetched(result: ExportResult) -> ExportResult:
            await record.fetching(folder)
            return await self._client.files.complete(result, verify=False, fetch=folder)

        result, error = await self._try(fetched, result)
        await record.fetched(folder, error)
        return result, error

    async def _verified(self, result: ExportResult) -> ExportResult:
        return await self._client.files.complete(result, verify=True, fetch=None)

    async def _try(
        self, step: Callable[[ExportResult], Awaitable[ExportResult]], result: ExportResult
    ) -> tuple[ExportResult, Exception | None]:
        """What a step makes of a result; if it fails, the result as it was, and why."""
        async with self._limit:
            try:
                return await step(result), None
            except _FATAL:
                raise
            except VerificationFailed as error:
                return replace(result, verification=error.verification), error
            except Exception as error:
                return result, error

    def _folder_of(self, result: ExportResult) -> Path | None:
        if self._root is None or result.data_path is None:
            return None
        return self._root / _below_bucket(result.data_path)

    async def _is_there(self, folder: Path, record: Record) -> bool:
        """Whether an earlier run has fetched to this folder, and nobody has removed it since."""
        return record.fetched_to == folder and await anyio.Path(folder).is_dir()


def _below_bucket(data_path: str) -> str:
    """A normalised path without its bucket, which is safe as a local one: it has no dots at the
    ends of names, and nothing that a file system forbids.
    """
    return data_path.removeprefix("obs://").partition("/")[2]


def _as_files_differ(name: str) -> str:
    return name.casefold() if sys.platform in ("win32", "darwin") else name
