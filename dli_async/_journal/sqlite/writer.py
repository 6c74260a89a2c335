"""One thread that writes a journal, many changes to a transaction.

Whoever waits for a change waits for its transaction, and those that queue up meanwhile share the
next one. So the event loop never touches the file, and a hundred exports cost one `fsync`.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

import anyio
import sniffio

from ..._values.errors import DliError, JournalError
from .schema import explain

_log = logging.getLogger("dli_async.bulk")

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]
Open = Callable[[], AbstractContextManager[sqlite3.Connection]]


def _caller_of_this_loop() -> Callable[[Callable[[], object]], object]:
    """Runs a function on the current event loop, from any thread, without waiting for it."""
    if sniffio.current_async_library() == "trio":
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon
    import asyncio

    return asyncio.get_running_loop().call_soon_threadsafe


class _Ticket(Generic[T]):
    """One change, and what came of it."""

    __slots__ = ("change", "done", "durable", "error", "value")

    def __init__(self, change: Change[T], durable: bool, done: anyio.Event | None) -> None:
        self.change = change
        self.durable = durable
        self.done = done
        self.value: T | None = None
        self.error: Exception | None = None

    def carry_out(self, db: sqlite3.Connection) -> None:
        """Makes the change; one that is refused before it wrote anything spares the others."""
        try:
            self.value = self.change(db)
        except DliError as error:
            self.error = error

    def settle(self) -> None:
        if self.done is not None:
            self.done.set()
        elif self.error is not None:
            _log.warning("a change was not recorded: %s", self.error)

    async def wait(self) -> T:
        if self.done is not None:
            await self.done.wait()
        if self.error is not None:
            raise self.error
        return cast(T, self.value)


class Writer:
    """The thread of one open journal.

    Args:
        path: the file, for messages.
        open_file: opens the file for as long as the context lasts; used in the thread.
    """

    def __init__(self, path: Path, open_file: Open) -> None:
        self._path = path
        self._open_file = open_file
        self._queue: SimpleQueue[_Ticket[Any] | None] = SimpleQueue()
        self._synchronous = ""
        self._ended = anyio.Event()
        self._is_open = False

    async def start(self) -> None:
        """Opens the file.

        Raises:
            JournalError: it cannot be opened or written.
        """
        self._call = _caller_of_this_loop()
        opened: _Ticket[None] = _Ticket(lambda db: None, False, anyio.Event())
        # A daemon, so that a loop that was torn down without closing does not hang the process.
        thread = threading.Thread(
            target=self._serve, args=(opened,), name="dli-journal", daemon=True
        )
        thread.start()
        self._is_open = True
        try:
            await opened.wait()
        except BaseException:
            await self.close()
            raise

    async def run(self, change: Change[T], *, durable: bool = False) -> T:
        """Makes a change and waits until it is committed.

        Args:
            durable: whether it must outlive a loss of power too, which costs an `fsync`.

        Raises:
            JournalError: it could not be written.
        """
        ticket: _Ticket[T] = _Ticket(change, durable, anyio.Event())
        self._put(ticket)
        return await ticket.wait()

    def post(self, change: Change[object]) -> None:
        """Makes a change some time soon; a failure is logged."""
        self._put(_Ticket(change, False, None))

    async def close(self) -> None:
        """Writes what is queued and closes the file."""
        if self._is_open:
            self._is_open = False
            self._queue.put(None)
            with anyio.CancelScope(shield=True):
                await self._ended.wait()

    def _put(self, ticket: _Ticket[Any]) -> None:
        if not self._is_open:
            raise JournalError(f"journal {self._path}: is closed")
        self._queue.put(ticket)

    def _tell(self, action: Callable[[], object]) -> None:
        # Nobody waits on a loop that has ended.
        with suppress(RuntimeError):
            self._call(action)

    def _serve(self, opened: _Ticket[None]) -> None:
        try:
            with self._open_file() as db:
                self._tell(opened.settle)
                self._write_until_closed(db)
        except DliError as error:
            opened.error = error
        except Exception as error:  # whatever it is, nobody may be left to wait for ever
            opened.error = explain(self._path, error)
        if opened.error is not None:
            self._tell(opened.settle)
        self._tell(self._ended.set)

    def _write_until_closed(self, db: sqlite3.Connection) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._collect()
            if batch:
                self._commit(db, batch)
                self._tell(partial(_settle, batch))

    def _collect(self) -> tuple[list[_Ticket[Any]], bool]:
        """All that is queued, and whether that was the last of it."""
        batch: list[_Ticket[Any]] = []
        ticket = self._queue.get()
        with suppress(Empty):
            while ticket is not None:
                batch.append(ticket)
                ticket = self._queue.get_nowait()
            return batch, True
        return batch, False

    def _commit(self, db: sqlite3.Connection, batch: list[_Ticket[Any]]) -> None:
        try:
            self._set_synchronous(db, any(ticket.durable for ticket in batch))
            db.execute("BEGIN IMMEDIATE")
            for ticket in batch:
                ticket.carry_out(db)
            db.execute("COMMIT")
        except Exception as error:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            for ticket in batch:
                ticket.error = explain(self._path, error)
                ticket.error.__cause__ = error

    def _set_synchronous(self, db: sqlite3.Connection, durable: bool) -> None:
        wanted = "FULL" if durable else "NORMAL"
        if wanted != self._synchronous:
            db.execute(f"PRAGMA synchronous = {wanted}")
            self._synchronous = wanted


def _settle(batch: list[_Ticket[Any]]) -> None:
    for ticket in batch:
        ticket.settle()
