"""What wakes a task that waits: an event for one task, and for one time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import anyio
import sniffio


class Wakeup(Protocol):
    """What wakes one waiter, once."""

    def set(self) -> object: ...

    def wait(self) -> Awaitable[object]: ...


class _FutureWakeup:
    """A wakeup for asyncio; its events take 1 kB more, which counts where thousands wait."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def wait(self) -> Awaitable[None]:
        return self._future


def make_wakeup() -> Wakeup:
    """A wakeup for the running event loop."""
    return _FutureWakeup() if sniffio.current_async_library() == "asyncio" else anyio.Event()
