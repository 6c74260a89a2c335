"""How far running jobs are: asked for only while somebody listens, as a best effort."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress

import anyio

from .._client import DliClient
from .._journal.entries import ExportState, JournalEntry
from .._values.enums import JobStatus
from .._values.errors import DliError
from ._store import WebJournal
from .events import Feed, progress_item

# A round asks about so many jobs at most, each in its turn, so that it stays cheap.
_A_ROUND = 16
_PAGE = 500
_REMEMBERED = 10_000


class Progress:
    """The progress of exports that run.

    Args:
        interval: seconds between two rounds of questions.
    """

    def __init__(self, client: DliClient, journal: WebJournal, feed: Feed, interval: float) -> None:
        self._client = client
        self._journal = journal
        self._feed = feed
        self._interval = interval
        self._known: OrderedDict[int, float] = OrderedDict()
        self._last_asked = 0

    def of(self, export_id: int) -> float | None:
        """The latest progress of an export, from 0 to 1, if it is known."""
        return self._known.get(export_id)

    async def serve(self) -> None:
        """Asks, while somebody listens, until it is cancelled."""
        while True:
            await self._feed.wanted()
            with suppress(DliError):
                await self._ask_a_round()
            await anyio.sleep(self._interval)

    async def _ask_a_round(self) -> None:
        entries = await self._next_entries()
        async with anyio.create_task_group() as tasks:
            for entry in entries:
                tasks.start_soon(self._ask, entry)

    async def _next_entries(self) -> list[JournalEntry]:
        """Jobs to ask about: those after the last one of the round before, then the first again."""
        found = await self._journal.entries(
            states=[ExportState.SUBMITTED], after=self._last_asked, limit=_PAGE
        )
        running = [entry for entry in found if entry.status == JobStatus.RUNNING][:_A_ROUND]
        if len(running) == _A_ROUND:
            self._last_asked = running[-1].id
        else:
            self._last_asked = found[-1].id if len(found) == _PAGE else 0
        return running

    async def _ask(self, entry: JournalEntry) -> None:
        assert entry.job_id is not None
        try:
            said = await self._client.job(entry.job_id).progress()
        except DliError:
            return
        if said.status.is_terminal:
            return  # the end has an event of its own, which no progress may follow
        progress = said.share_done
        if progress > self._known.get(entry.id, -1.0):
            self._known[entry.id] = progress
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            self._feed.put(progress_item(entry, progress))
