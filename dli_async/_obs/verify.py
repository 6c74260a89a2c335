"""Whether an export is complete: every part is read to its end and its rows are counted."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import anyio.to_thread

from .._values.files import FileChanged, FileDamaged, PartFile, Verification
from .contents import Decoder, Rows, decoder, rows_of
from .parts import Contents, missing_numbers, said_of
from .store import ObjectStore
from .workers import for_each

BLOCK = 2 * 1024 * 1024
"""Bytes that are asked for at once: large enough to cost little, small enough to try again."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the job tells of its files; None where it does not.

    `header` is whether every csv file begins with the names of the columns.
    """

    rows: int | None
    header: bool


class _Reading:
    """One part on its way through decoder and counter; blocking."""

    def __init__(self, part: PartFile) -> None:
        self._decoder: Decoder = decoder(part.codec)
        self._rows: Rows | None = rows_of(part.format)

    def feed(self, block: bytes) -> None:
        for piece in self._decoder.feed(block):
            if self._rows is not None:
                self._rows.feed(piece)

    def finish(self) -> int | None:
        self._decoder.finish()
        return self._rows.finish() if self._rows is not None else None


async def verify(
    store: ObjectStore, data_path: str, contents: Contents, expected: Expected, max_parallel: int
) -> Verification:
    """Looks at everything; the differences are in the order of the files."""
    counted: dict[str, int | None] = {}
    wrong: dict[str, str] = {}

    async def look(part: PartFile) -> None:
        try:
            counted[part.key] = await _count(store, part)
        except (FileChanged, FileDamaged) as error:
            wrong[part.key] = said_of(part, error)

    await for_each(contents.parts, look, max_parallel)
    rows = _total(contents.parts, counted, expected.header)
    damage = [wrong[part.key] for part in contents.parts if part.key in wrong]
    return Verification(
        data_path=data_path,
        files=contents.parts,
        size=sum(part.size for part in contents.parts),
        rows=rows,
        expected_rows=expected.rows,
        has_success=contents.has_success,
        differences=(*damage, *_differences(contents, rows, expected, bool(damage))),
    )


async def _count(store: ObjectStore, part: PartFile) -> int | None:
    reading = _Reading(part)
    for start in range(0, part.size, BLOCK):
        block = await store.read(part, start, BLOCK)
        await anyio.to_thread.run_sync(reading.feed, block)
    return reading.finish()


def _total(parts: tuple[PartFile, ...], counted: dict[str, int | None], header: bool) -> int | None:
    total = 0
    for part in parts:
        rows = counted.get(part.key)
        if rows is None:
            return None
        total += max(0, rows - (header and part.format == "csv"))
    return total


def _differences(
    contents: Contents, rows: int | None, expected: Expected, is_damaged: bool
) -> list[str]:
    found = []
    is_compared = rows is not None and expected.rows is not None
    if not contents.parts:
        found.append("there are no part files")
    if contents.has_temporary:
        found.append("_temporary is there: a job still writes, or has been broken off")
    if not contents.has_success and not is_compared and not is_damaged:
        found.append("_SUCCESS is missing, and there are no rows to compare")
    if is_compared and rows != expected.rows:
        gaps = missing_numbers(contents.parts)
        missing = f"; missing: {', '.join(gaps[:10])}" if gaps else ""
        found.append(f"{rows} rows were counted, the job tells {expected.rows}{missing}")
    elif is_damaged and (gaps := missing_numbers(contents.parts)):
        found.append(f"perhaps missing: {', '.join(gaps[:10])}")
    return found
