"""Brings part files home: streamed to `name.part`, renamed when whole, resumed where it stopped."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from .._values.files import Fetched, FetchProgress, OnProgress, PartFile, UnsafeName
from .ledger import NAME, PART, Ledger
from .store import ObjectStore
from .verify import BLOCK
from .workers import for_each

_ELSEWHERE = ':*?"<>|' if os.name == "nt" else ""
_UNSAFE = re.compile(rf"[{_ELSEWHERE}\\/\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST_NAME = 255 - len(PART)


class _Fetch:
    """One fetch: what is done, and what is told of it."""

    def __init__(
        self, store: ObjectStore, parts: tuple[PartFile, ...], on_progress: OnProgress | None
    ) -> None:
        self._store = store
        self._parts = parts
        self._total = sum(part.size for part in parts)
        self._on_progress = on_progress
        self._files = self._bytes = 0
        self.fetched = 0

    async def bring_all(self, ledger: Ledger, max_parallel: int) -> None:
        starts = await anyio.to_thread.run_sync(ledger.begin, self._parts)
        begun = list(zip(self._parts, starts, strict=True))
        missing = [(part, start) for part, start in begun if start is not None]
        for part, start in begun:
            self._note(part.size if start is None else start, files=start is None)
        await for_each(missing, partial(self._bring, ledger), max_parallel)

    async def _bring(self, ledger: Ledger, begun: tuple[PartFile, int]) -> None:
        part, start = begun
        is_whole = False
        while not is_whole:
            block = await self._store.read(part, start, BLOCK)
            start += len(block)
            is_whole = start >= part.size
            write = partial(ledger.write, part.name, block, start - len(block), is_whole)
            await anyio.to_thread.run_sync(write)
            self._note(len(block))
        self.fetched += 1
        self._note(0, files=1)

    def _note(self, size: int, files: int = 0) -> None:
        self._bytes += size
        self._files += files
        if self._on_progress is not None and (size or files):
            self._on_progress(
                FetchProgress(
                    files_done=self._files,
                    files_total=len(self._parts),
                    bytes_done=self._bytes,
                    bytes_total=self._total,
                )
            )


async def fetch(
    store: ObjectStore,
    parts: tuple[PartFile, ...],
    folder: Path,
    on_progress: OnProgress | None,
    max_parallel: int,
) -> Fetched:
    """Brings all parts that are not there.

    Raises:
        UnsafeName: before anything is fetched.
    """
    check_names(parts)
    run = _Fetch(store, parts, on_progress)
    ledger = await anyio.to_thread.run_sync(Ledger, folder)
    with ledger:
        await run.bring_all(ledger, max_parallel)
    paths = tuple(folder / part.name for part in parts)
    size = sum(part.size for part in parts)
    return Fetched(folder=folder, files=paths, size=size, fetched=run.fetched)


def check_names(parts: tuple[PartFile, ...]) -> None:
    """Refuses names that are no safe names of files; a key is never trusted as a path.

    Raises:
        UnsafeName: naming the key.
    """
    for part in parts:
        name = part.name
        is_safe = not _UNSAFE.search(name) and name not in ("", ".", "..")
        is_ours = name == NAME or name.endswith(PART)
        is_long = len(name.encode("utf-8", "replace")) > _LONGEST_NAME
        if not is_safe or is_ours or is_long:
            raise UnsafeName(f"{part.key!r} has no safe name for a local file")
