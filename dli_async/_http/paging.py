"""Reading a list page by page, to an end that is sure to come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from .._values.errors import InvalidResponse

PAGE_SIZE = 100
# A list of more pages has no end, and one that shows nothing new so often never will.
_MOST_PAGES = 10_000
_MOST_STALE_PAGES = 10

Row = TypeVar("Row")


async def all_pages(
    fetch: Callable[[int, int], Awaitable[tuple[Sequence[Row], int]]], key: Callable[[Row], str]
) -> AsyncIterator[Row]:
    """The rows of all pages, each once.

    A page that is not full is the last, unless the service counts more rows than it has shown
    (its pages may be smaller than asked for).

    Args:
        fetch: is given the number of a page and of the rows read so far, and returns the rows of
            that page and the number of all rows, 0 if it is not told.
        key: what tells two rows apart.

    Raises:
        InvalidResponse: the list has no end.
    """
    seen: set[str] = set()
    read = stale = 0
    for page in range(1, _MOST_PAGES + 1):
        rows, total = await fetch(page, read)
        new = {key(row): row for row in rows if key(row) not in seen}
        for row in new.values():
            yield row
        seen.update(new)
        read += len(rows)
        stale = 0 if new else stale + 1
        if not rows or (read >= total and (len(rows) < PAGE_SIZE or not new)):
            return
        if stale == _MOST_STALE_PAGES:
            raise InvalidResponse(
                f"a list shows {len(seen)} rows again and again, and counts {total}",
                status_code=200,
            )
    raise InvalidResponse(f"a list has no end after {_MOST_PAGES} pages", status_code=200)
