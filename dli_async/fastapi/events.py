"""Live events: what changes in the journal, to everybody who listens.

One task in each worker reads the journal, and only while somebody listens. What it reads is put
into words once and kept for a while; a listener is no more than a place in that row, so one that is
slow or has gone costs nothing. A listener that was away goes on from the journal.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from itertools import islice

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent

from .._journal.entries import JournalEntry
from .._values.errors import JournalError
from ._store import Change, WebJournal
from ._views import ExportEvent
from ._words import without_request

_log = logging.getLogger("dli_async.fastapi")

_PAGE = 500
_KEPT = 10_000
_RECONNECT = 2_000  # milliseconds after which a browser whose stream broke comes back


@dataclass(frozen=True, slots=True)
class Item:
    """One event in words.

    `seq` is its number in the journal; None for progress, which the journal does not keep.
    """

    seq: int | None
    export_id: int
    identity: str | None
    is_end: bool
    chunk: bytes


def item_of(change: Change) -> Item:
    """An event of the journal in words."""
    event, entry = change.event, change.entry
    is_end = event.state.is_end
    view = ExportEvent(
        export_id=entry.id,
        job_id=event.job_id,
        state=event.state,
        status=event.status,
        error=event.error and without_request(event.error),
        progress=1.0 if event.state == "finished" else None,
        at=event.at,
        label=entry.label,
        database_name=entry.database_name,
        table_name=entry.table_name,
        data_path=entry.data_path,
        duration=entry.duration if is_end else None,
        row_count=entry.row_count if is_end else None,
        input_size=entry.input_size if is_end else None,
    )
    kind = "end" if is_end else "status"
    chunk = _chunk(view, kind, event.seq)
    return Item(event.seq, entry.id, entry.identity, is_end, chunk)


def progress_item(entry: JournalEntry, progress: float) -> Item:
    """News of an export's progress in words."""
    view = ExportEvent(
        export_id=entry.id,
        job_id=entry.job_id,
        state=entry.state,
        status=entry.status,
        progress=progress,
        at=entry.updated_at,
        label=entry.label,
        database_name=entry.database_name,
        table_name=entry.table_name,
        data_path=entry.data_path,
    )
    return Item(None, entry.id, entry.identity, False, _chunk(view, "progress", None))


def _chunk(view: ExportEvent, kind: str, seq: int | None) -> bytes:
    number = None if seq is None else str(seq)
    return ServerSentEvent(view.model_dump_json(), event=kind, id=number).encode()


class Feed:
    """The events of one worker.

    Args:
        interval: seconds between two looks into the journal.
    """

    def __init__(self, journal: WebJournal, interval: float) -> None:
        self._journal = journal
        self._interval = interval
        self._seq = 0
        self._row: deque[Item] = deque(maxlen=_KEPT)
        self._end = 0  # how many items were ever put into the row
        self._listeners = 0
        self._news = anyio.Event()
        self._wanted = anyio.Event()

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._listeners

    async def serve(self) -> None:
        """Reads the journal while somebody listens, until it is cancelled."""
        self._seq = await self._journal.last_seq()
        while True:
            await self.wanted()
            try:
                more = await self._read()
            except JournalError as error:
                _log.error("events cannot be read: %s", error)
                more = False
            if not more:
                await anyio.sleep(self._interval)

    async def wanted(self) -> None:
        """Waits until somebody listens."""
        while not self._listeners:
            await self._wanted.wait()

    async def _read(self) -> bool:
        """Takes in what is new; whether there may be more."""
        changes = await self._journal.changes(after=self._seq, limit=_PAGE)
        if changes:
            self._seq = changes[-1].event.seq
            self.put(*map(item_of, changes))
        return len(changes) == _PAGE

    def put(self, *items: Item) -> None:
        """Hands items to everybody who listens."""
        self._row.extend(items)
        self._end += len(items)
        news, self._news = self._news, anyio.Event()
        news.set()

    async def follow(self, after: int, export_id: int | None) -> AsyncGenerator[Item]:
        """Every item from an event of the journal on, or those of one export; never ends."""
        with self._listening():
            while True:
                place = self._end
                async with aclosing(self.replay(after, export_id)) as earlier:
                    async for item in earlier:
                        after = item.seq or after
                        yield item
                # One that lags behind what is kept goes on from the journal.
                while place >= self._end - len(self._row):
                    if place == self._end:
                        await self._news.wait()
                    for item in self._items_from(place):
                        place += 1
                        if item.seq is not None and item.seq <= after:
                            continue
                        after = item.seq or after
                        if export_id in (None, item.export_id):
                            yield item

    def _items_from(self, place: int) -> list[Item]:
        return list(islice(self._row, max(0, place - self._end + len(self._row)), None))

    async def replay(self, after: int, export_id: int | None) -> AsyncGenerator[Item]:
        """What happened from an event on until now."""
        while changes := await self._journal.changes(after=after, export_id=export_id, limit=_PAGE):
            for change in changes:
                yield item_of(change)
            after = changes[-1].event.seq

    @contextmanager
    def _listening(self) -> Iterator[None]:
        self._listeners += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._wanted = anyio.Event()


def stream(
    feed: Feed,
    after: int,
    *,
    sees: Callable[[Item], bool],
    export_id: int | None = None,
    follow: bool = True,
    heartbeat: float,
) -> EventSourceResponse:
    """A response of server-sent events.

    Args:
        after: the number of the event to go on from.
        sees: whether the caller may see an event.
        export_id: tells of this export only, and ends with it; None for all.
        follow: whether to go on with what happens from now on.
        heartbeat: seconds between comments that keep the connection open.
    """

    async def chunks() -> AsyncIterator[bytes]:
        yield ServerSentEvent(comment="follows the journal", retry=_RECONNECT).encode()
        told = feed.follow(after, export_id) if follow else feed.replay(after, export_id)
        async with aclosing(told) as items:
            async for item in items:
                if sees(item):
                    yield item.chunk
                if export_id is not None and item.is_end:
                    return

    return EventSourceResponse(chunks(), ping=heartbeat)
