"""Work that belongs to a client and not to the caller that started it.

A POST that has left must run to its end whatever happens to its caller, and some connection pools
lose a slot for ever when a request is cancelled (encode/httpcore#1093). anyio's shield stops
neither a native `Task.cancel()` nor Ctrl-C, so such work runs in a task of its own, which the
client waits for when it closes. Task groups would tie the client to one task, and a fixture or a
lifespan may open it in one and close it in another.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, Generic, TypeVar, cast

import anyio
import sniffio

from .._values.errors import ClientClosed

T = TypeVar("T")


class _Work(Generic[T]):
    """One piece of work: its end, and its value or error."""

    __slots__ = ("_ended", "_error", "_value", "done", "scope", "task")

    def __init__(self, may_stop: bool, ended: Callable[[], None]) -> None:
        self.done = anyio.Event()
        self.scope = anyio.CancelScope() if may_stop else None
        self.task: Any = None  # asyncio keeps only weak references
        self._ended = ended
        self._value: T | None = None
        self._error: Exception | None = ClientClosed(
            "a request was cut off: its client was closed, or the event loop is ending"
        )

    async def run(self, func: Callable[[], Awaitable[T]]) -> None:
        try:
            with self.scope or nullcontext():
                self._value = await func()
                self._error = None
        except Exception as error:
            self._error = error

    def end(self) -> None:
        try:
            self._ended()
        except Exception as error:
            self._error = error
        finally:
            self.done.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return cast(T, self._value)


class OwnedTasks:
    """The tasks of one client."""

    def __init__(self) -> None:
        self._running: set[_Work[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    async def run(
        self,
        func: Callable[[], Awaitable[T]],
        *,
        may_stop: bool,
        ended: Callable[[], None] = lambda: None,
    ) -> T:
        """Runs `func` to its end, even if the caller is cancelled meanwhile.

        Args:
            may_stop: whether closing the client may cut it short; a POST may not.
            ended: called once when `func` has ended, whatever ended it, even a cancellation of
                its own task before that began.

        Raises:
            ClientClosed: it was cut short.
        """
        work: _Work[T] = _Work(may_stop, ended)
        self._running.add(work)
        self._spawn(work, func)
        await work.done.wait()
        return work.result()

    def _spawn(self, work: _Work[T], func: Callable[[], Awaitable[T]]) -> None:
        if sniffio.current_async_library() == "trio":
            import trio

            async def run() -> None:
                try:
                    await work.run(func)
                finally:
                    self._end(work)

            trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
        else:
            import asyncio

            # The callback is in no task, by which the library would be known to `ended`.
            context = contextvars.copy_context()
            context.run(sniffio.current_async_library_cvar.set, "asyncio")
            work.task = asyncio.create_task(work.run(func), context=context)
            work.task.add_done_callback(partial(self._end, work), context=context)

    def _end(self, work: _Work[Any], _: object = None) -> None:
        self._running.discard(work)
        work.end()

    async def drain(self) -> None:
        """Waits for all work that may not stop, and stops the rest.

        A cancellation, even a second one, is raised after the last of it has ended; how long that
        takes is bounded by the work itself (one `request_timeout`).
        """
        cancelled: BaseException | None = None
        while self._running:
            for work in self._running:
                if work.scope is not None:
                    work.scope.cancel()
            try:
                with anyio.CancelScope(shield=True):
                    await next(iter(self._running)).done.wait()
            except anyio.get_cancelled_exc_class() as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
