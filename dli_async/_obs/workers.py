"""Work on many things, a few at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

import anyio

T = TypeVar("T")


async def for_each(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], max_parallel: int
) -> None:
    """Works on each, at most `max_parallel` at a time; the first error ends all, and is raised."""
    errors: list[Exception] = []
    left = iter(items)

    async def worker(tasks: anyio.abc.TaskGroup, left: Iterator[T]) -> None:
        try:
            for item in left:
                await work(item)
        except Exception as error:
            # Here, because the group would wrap it.
            errors.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for _ in range(max_parallel):
            tasks.start_soon(worker, tasks, left)
    if errors:
        raise errors[0]
