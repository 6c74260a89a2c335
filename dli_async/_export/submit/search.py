"""Looking for jobs whose submit was not answered.

Such looks come in swarms, when a gateway has a bad minute; they share one listing at a time and ask
each job's folder once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

import anyio

from ..._http.api import PAGE_SIZE, Api, JobPage
from ..._values.errors import DliError
from ..._values.reports import JobRow
from ..._values.spec import Posting
from ..._values.spec.posting import KEY
from ..departure import WRONG_AT_MOST, Departure, Moment
from .locks import Locks

# Seconds by which the service's `start_time` may lie behind the gateway's `Date`; the folder tells
# our job from those that this lets in.
_MARGIN = 60.0
_REMEMBERED = 50_000


class _Round:
    """One listing, and those who wait for it.

    Attributes:
        departures: the POSTs whose jobs are looked for.
        job_types: among which jobs those are listed for certain.
        tag: the one that its job carries, if only one export is looked for, and by its tag.
    """

    def __init__(self) -> None:
        self.departures: list[Departure] = []
        self.job_types: set[str] = set()
        self.tag: str | None = None
        self.rows: list[JobRow] | None = None
        self.error: DliError | None = None
        self._now = Moment(0.0)

    @property
    def done(self) -> bool:
        return self.rows is not None or self.error is not None

    def join(self, departure: Departure, postings: Sequence[Posting], by_tag: bool) -> None:
        """Takes one more export in."""
        tags = {posting.tag for posting in postings}
        is_alone = by_tag and not self.departures and len(tags) == 1
        self.tag = tags.pop() if is_alone else None
        self.departures.append(departure)
        self.job_types.update(posting.listed_as for posting in postings)

    @property
    def _filter(self) -> dict[str, str | int | None]:
        # One type or all: that is what the documents agree on.
        kind = next(iter(self.job_types)) if len(self.job_types) == 1 else "ALL"
        return {"job-type": kind, "tags": None if self.tag is None else f"{KEY}={self.tag}"}

    async def fetch(self, api: Api, margin: float) -> None:
        """Lists the jobs that started since the oldest departure.

        The newest page comes first, since its `Date` gives the server's clock. Older pages are
        read from the bound on in ascending order, which new jobs do not shift.
        """
        departures = tuple(self.departures)
        newest = await api.list_jobs(self._filter | {"order": "start_time_desc"})
        now = Moment.now(api.http.server_clock.now())
        since = min(departure.started_since(now) for departure in departures) - margin
        rows = {row.job_id: row for row in newest.rows}
        if _may_hide(newest, since):
            start = max(0, int(since * 1000))
            older = self._filter | {"order": "start_time_asc", "start": start}
            rows |= {row.job_id: row async for row in api.jobs(older)}
        self._now = now
        self.rows = list(rows.values())

    def rows_since(self, departure: Departure, margin: float) -> list[JobRow]:
        """The rows of jobs that a departure may have made."""
        if self.error is not None:
            raise self.error
        since = departure.started_since(self._now) - margin
        return [row for row in self.rows or () if _started_since(row, since)]


class Search:
    """The looks of one client."""

    def __init__(self) -> None:
        self._paths: OrderedDict[str, str] = OrderedDict()
        self._locks: Locks[str] = Locks()
        self._open: _Round | None = None
        self._fetching: anyio.Event | None = None
        self._lag = 0.0

    def note_start(self, departure: Departure, start: datetime) -> None:
        """Learns from a job of ours how far `start_time` lies behind the clock of the gateway."""
        left_at = departure.earliest.server
        if left_at is not None:
            self._lag = max(self._lag, min(left_at - start.timestamp(), WRONG_AT_MOST))

    @property
    def _margin(self) -> float:
        return _MARGIN + self._lag

    async def rows_since(
        self,
        api: Api,
        departure: Departure,
        postings: Sequence[Posting],
        *,
        by_tag: bool = False,
    ) -> list[JobRow]:
        """Jobs that a departure may have made, as the service lists them from now on.

        Whoever asks while a listing is under way waits for the next one, which serves all of them.

        Args:
            postings: what may have left.
            by_tag: whether the service may leave out what does not carry their tag.

        Raises:
            DliError: the listing failed.
        """
        mine = self._open = self._open or _Round()
        mine.join(departure, postings, by_tag)
        while not mine.done:
            if self._fetching is not None:
                await self._fetching.wait()
            else:
                await self._lead(api, mine)
        return mine.rows_since(departure, self._margin)

    async def _lead(self, api: Api, mine: _Round) -> None:
        ended = self._fetching = anyio.Event()
        if self._open is mine:
            self._open = None
        try:
            await mine.fetch(api, self._margin)
        except DliError as error:
            mine.error = error
        finally:
            self._fetching = None
            ended.set()

    async def path_of(self, api: Api, job_id: str) -> str | None:
        """The folder of a job, or None if it is not told; it never changes, so is asked once."""
        async with self._locks.get(job_id):
            if job_id not in self._paths:
                path = (await api.job_detail(job_id)).data_path
                if path is None:
                    return None
                self._paths[job_id] = path
                if len(self._paths) > _REMEMBERED:
                    self._paths.popitem(last=False)
            return self._paths[job_id]


def _may_hide(newest: JobPage, since: float) -> bool:
    """Whether jobs that started since may stand on other pages than the newest."""
    rows = newest.rows
    starts = [row.start_time for row in rows if row.start_time is not None]
    is_all = len(rows) < PAGE_SIZE and newest.job_count <= len(rows)
    is_in_order = len(starts) == len(rows) and starts == sorted(starts, reverse=True)
    return not (is_all or (is_in_order and starts[-1].timestamp() < since))


def _started_since(row: JobRow, since: float) -> bool:
    return row.start_time is None or row.start_time.timestamp() >= since
