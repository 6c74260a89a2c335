"""Looking for jobs whose submit was not answered.

Such looks come in swarms, when a gateway has a bad minute; they share one listing at a time and ask
each job's folder once.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import time as wall_clock

import anyio

from ..._http.api import PAGE_SIZE, Api
from ..._values.errors import DliError
from ..._values.reports import JobRow
from .locks import Locks

# How far the start of a job may lie before our attempt, for the rounding of `Date` and clocks
# inside the service.
_MARGIN = timedelta(seconds=5)
_REMEMBERED = 50_000
_EXPORTS: dict[str, str | int | None] = {"job-type": "EXPORT", "order": "start_time_asc"}


@dataclass(frozen=True, slots=True)
class PostTime:
    """When a POST left, by two clocks: seconds on the event loop's, and seconds since 1970.

    The first serves this process, the second a token that another process resumes.
    """

    at: float
    wall: float

    @classmethod
    def now(cls) -> PostTime:
        """A POST that leaves at this moment."""
        return cls(anyio.current_time(), wall_clock())

    @classmethod
    def from_wall(cls, wall: float) -> PostTime:
        """A POST of an earlier process."""
        return cls(anyio.current_time() - max(0.0, wall_clock() - wall), wall)

    def elapsed(self) -> float:
        """Seconds since the POST left."""
        return anyio.current_time() - self.at


class _Round:
    """One listing, and those who wait for it."""

    def __init__(self) -> None:
        self.oldest = anyio.current_time()
        self.rows: list[JobRow] | None = None
        self.error: DliError | None = None
        self._date = datetime.max.replace(tzinfo=UTC)
        self._date_at = 0.0

    @property
    def done(self) -> bool:
        return self.rows is not None or self.error is not None

    def bound(self, at: float) -> datetime:
        """A moment of the event loop's clock on the server's, less the margin."""
        return self._date - timedelta(seconds=self._date_at - at) - _MARGIN

    async def fetch(self, api: Api) -> None:
        """Lists the EXPORT jobs that started since the oldest attempt.

        The newest page comes first, since its `Date` gives the server's clock. Older pages are
        read from the bound on in ascending order, which new jobs do not shift.
        """
        newest = await api.list_jobs(_EXPORTS | {"order": "start_time_desc"})
        self._date, self._date_at = newest.date or _guessed_now(), anyio.current_time()
        rows = {row.job_id: row for row in newest.rows}
        since = self.bound(self.oldest)
        if len(newest.rows) == PAGE_SIZE and _started_since(newest.rows[-1], since):
            start = int(since.timestamp() * 1000)
            rows |= {row.job_id: row async for row in api.jobs(_EXPORTS | {"start": start})}
        self.rows = list(rows.values())

    def rows_since(self, at: float) -> list[JobRow]:
        """The rows that started since a moment."""
        if self.error is not None:
            raise self.error
        since = self.bound(at)
        return [row for row in self.rows or () if _started_since(row, since)]


class Search:
    """The looks of one client."""

    def __init__(self) -> None:
        self._paths: OrderedDict[str, str] = OrderedDict()
        self._locks: Locks[str] = Locks()
        self._open: _Round | None = None
        self._fetching: anyio.Event | None = None

    async def rows_since(self, api: Api, attempt: PostTime) -> list[JobRow]:
        """EXPORT jobs that started since an attempt, as the service lists them from now on.

        Whoever asks while a listing is under way waits for the next one, which serves all of them.

        Raises:
            DliError: the listing failed.
        """
        mine = self._open = self._open or _Round()
        mine.oldest = min(mine.oldest, attempt.at)
        while not mine.done:
            if self._fetching is not None:
                await self._fetching.wait()
            else:
                await self._lead(api, mine)
        return mine.rows_since(attempt.at)

    async def _lead(self, api: Api, mine: _Round) -> None:
        ended = self._fetching = anyio.Event()
        if self._open is mine:
            self._open = None
        try:
            await mine.fetch(api)
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


def _guessed_now() -> datetime:
    # Without `Date` there is our own clock, which the gateway lets be wrong by 15 minutes.
    return datetime.fromtimestamp(wall_clock(), UTC) - timedelta(minutes=15)


def _started_since(row: JobRow, since: datetime) -> bool:
    return row.start_time is None or row.start_time >= since
