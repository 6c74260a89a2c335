"""What one worker does for the exports that it holds: submit, watch, record the end.

Nothing is kept in memory only. A tick renews the leases, takes over exports that nobody holds, and
brings what runs here in line with what the journal says that this worker holds; so it does not
matter where a request, a task or a whole process was cut off.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain, repeat

import anyio
from anyio.abc import TaskGroup

from .._client import DliClient
from .._export.errors import SubmitInDoubt
from .._export.job import ExportJob
from .._journal.attempt import Attempt
from .._journal.entries import JournalEntry
from .._journal.records import JournalRecord
from .._values.errors import ClientClosed, DliError, JournalError
from .._values.policies import is_transient, never_carried_out
from .._values.results import ExportResult
from ._store import UNENDED, WebJournal
from ._words import words_for

_log = logging.getLogger("dli_async.fastapi")

# Seconds between tries to get on with an export; the last one repeats.
_DELAYS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Runner:
    """The exports that this worker holds.

    Args:
        lease: seconds for which an export is held; it is renewed three times as often.
    """

    def __init__(self, client: DliClient, journal: WebJournal, lease: float) -> None:
        self._client = client
        self._journal = journal
        self._lease = lease
        self._running: dict[int, anyio.CancelScope] = {}
        self._next: dict[int, JournalEntry] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Works while the block runs; at the end exports are given back, and none is lost."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._tick_for_ever)
            try:
                yield
            finally:
                held = list(self._running)
                self._tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._journal.release(held)

    def start(self, entry: JournalEntry) -> None:
        """Takes care of an export that this worker holds."""
        if entry.id not in self._running and self._tasks is not None:
            scope = self._running[entry.id] = anyio.CancelScope()
            self._tasks.start_soon(self._care, entry, scope, name=f"export {entry.id}")

    async def _tick_for_ever(self) -> None:
        while True:
            try:
                await self._tick()
            except Exception:
                _log.exception("exports could not be looked after; trying again")
            await anyio.sleep(self._lease / 3)

    async def _tick(self) -> None:
        if await self._journal.renew(lease=self._lease) != len(self._running):
            await self._align()
        taken = await self._journal.claim(lease=self._lease)
        if taken:
            _log.info("taking care of %d exports that nobody held", len(taken))
        for entry in taken:
            self._start_anew(entry)

    async def _align(self) -> None:
        """Lets go of exports that others have taken over, and starts those forgotten here."""
        running = set(self._running)
        entries = await self._journal.entries(owner=self._journal.owner, states=UNENDED)
        held = {entry.id for entry in entries}
        for export_id in running - held:
            self._let_go(export_id)
        for export_id in held - self._running.keys():
            # Asked anew, because it may have ended since the list was read.
            for entry in await self._journal.claim(export_id, lease=self._lease):
                self.start(entry)

    def _start_anew(self, entry: JournalEntry) -> None:
        """Starts an export; what still runs here of it may know less than the journal."""
        if entry.id in self._running:
            self._next[entry.id] = entry
            self._let_go(entry.id)
        else:
            self.start(entry)

    def _let_go(self, export_id: int) -> None:
        if scope := self._running.get(export_id):
            scope.cancel()

    async def _care(self, entry: JournalEntry, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                for job_id in await self._journal.other_jobs(entry):
                    self._client.job_context.registry.own(job_id)
                await _Care(self._client, self._journal, entry).to_the_end()
        except (JournalError, ClientClosed) as error:
            # Cancelled, or another worker has it; else the next tick starts it again.
            _log.warning("export %d: %s", entry.id, error)
        except Exception:
            _log.exception("export %d: will be taken up again", entry.id)
        finally:
            del self._running[entry.id]
            if following := self._next.pop(entry.id, None):
                self.start(following)


class _Care:
    """One export, from where the journal says that it is to its end."""

    def __init__(self, client: DliClient, journal: WebJournal, entry: JournalEntry) -> None:
        self._journal = journal
        self._id = entry.id
        self._record = JournalRecord(journal, entry)
        self._attempt = Attempt(client, self._record)

    async def to_the_end(self) -> None:
        """Submits if need be, waits for the end and records it."""
        for delay in chain(_DELAYS, repeat(_DELAYS[-1])):
            end = await self._attempt.run()
            if self._attempt.is_over or isinstance(end, ExportResult):
                return
            if not isinstance(end, DliError):
                raise end
            if await self._is_hopeless(end):
                return
            await anyio.sleep(delay)

    async def _is_hopeless(self, error: DliError) -> bool:
        hopeless = not _may_pass(self._attempt.job, error)
        # The journal's words are shown to callers, so the whole of them is kept here.
        _log.warning("export %d: %s: %s", self._id, type(error).__name__, error)
        if hopeless and self._attempt.job.in_doubt:
            await self._journal.lost(self._id, words_for(error))
        elif hopeless:
            await self._journal.refused(self._id, words_for(error))
        await self._record.left(self._attempt.job, None)
        if not hopeless:
            await self._journal.trouble(self._id, words_for(error))
        return hopeless


def _may_pass(job: ExportJob, error: DliError) -> bool:
    """Whether an error may go away by itself, so that an export is worth another try."""
    if job.job_id is not None:
        # The job runs, whatever keeps us from seeing it.
        return True
    if isinstance(error, SubmitInDoubt):
        cause = error.__cause__
        return cause is not None and is_transient(cause)
    return never_carried_out(error)
