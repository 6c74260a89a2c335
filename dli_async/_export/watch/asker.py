"""Requests of the watch: pages of the job list and the status of one job, at a bounded rate.

Here trouble is sorted: what concerns one job ends the waits for it, what concerns the job list lets
it rest, and what concerns all is raised.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from ..._http.api import PAGE_SIZE, Api, JobPage
from ..._values.enums import JobStatus
from ..._values.errors import (
    ApiError,
    AuthenticationError,
    DliError,
    InvalidResponse,
    NotFound,
    PermissionDenied,
)
from ..._values.policies import PollPolicy, is_transient
from .patience import is_borne
from .watched import Watched, WatchedJob, start_ms

_log = logging.getLogger("dli_async.watch")

T = TypeVar("T")

# Seconds between two requests: never more than 5 of them in a second, or 11 without lists.
_SPACING, _SPACING_ALONE = 1 / 3, 0.1
# Lists that fail, or never show what is asked for, are left alone for a while.
_LIST_FAILURES, _BARREN_LOOKS = 3, 20
_LIST_REST, _BARREN_REST = 60.0, 300.0
# A list of which one look reads more has no end.
_MOST_PAGES = 1000


class NoList(Exception):
    """The job list was refused."""


@dataclass(slots=True)
class Cursor:
    """Where the next page begins: a start time, and a number while whole pages share it."""

    descending: bool = False
    at: int | None = None
    number: int = 1

    def params(self) -> dict[str, str | int | None]:
        if self.descending:
            end = None if self.at is None else self.at + 1
            return {"order": "start_time_desc", "end": end}
        # One less, because the documents leave open whether the bound itself is in.
        return {"order": "start_time_asc", "start": None if self.at is None else self.at - 1}

    def move(self, to: int | None) -> None:
        if to is None or to == self.at:
            self.number += 1
        else:
            self.at, self.number = to, 1


class Asker:
    """Asks the service and tells `Watched` what came.

    Attributes:
        cost: how many requests were made.
        answered_at: when the service last gave a usable answer.
    """

    def __init__(self, api: Callable[[], Api], watched: Watched, policy: PollPolicy) -> None:
        self._api = api
        self._watched = watched
        self._policy = policy
        self.cost = 0
        self.answered_at = -math.inf
        self._next_start = -math.inf
        self._denied = 0
        self._list_rests_until = -math.inf
        self._list_failures = 0
        self._barren_looks = 0
        self._rows_seen = 0
        self._said_so = False

    @property
    def list_works(self) -> bool:
        """Whether asking for lists is worth while."""
        return anyio.current_time() >= self._list_rests_until

    def judge_list(self) -> None:
        """Notices a list that never shows any job that `/status` knows; called after each look."""
        is_barren = self._rows_seen == 0 and bool(self._watched.running)
        self._barren_looks = self._barren_looks + 1 if is_barren else 0
        self._rows_seen = 0
        if self._barren_looks >= _BARREN_LOOKS:
            self._barren_looks = 0
            self._leave_list(_BARREN_REST, "shows none of the jobs")

    async def ask(self, job: WatchedJob) -> None:
        """Takes in the status of one job.

        Raises:
            DliError: trouble that concerns all jobs.
        """
        try:
            report = await self._exchange(lambda api: api.status(job.job_id, repeat=False))
        except DliError as error:
            self._note_trouble(job, error)
        else:
            self._denied = 0
            self._watched.hear(job, report, anyio.current_time())

    def _note_trouble(self, job: WatchedJob, error: DliError) -> None:
        """Tells facts about one job from trouble that concerns all, which is raised."""
        job.postpone(anyio.current_time())
        if isinstance(error, NotFound) or is_transient(error):
            if not is_borne(job, error, self._policy):
                self._watched.fail(job, error)
            if is_transient(error):
                raise error
            return
        if not isinstance(error, ApiError) or isinstance(error, AuthenticationError):
            raise error
        # One job may be somebody else's; a second refusal in a row is about us.
        self._denied += isinstance(error, PermissionDenied)
        if self._denied > 1:
            raise error
        self._watched.fail(job, error)

    async def page(
        self, cursor: Cursor, status: JobStatus | None = None
    ) -> tuple[list[str], float]:
        """Takes in one page of the list, if need be only of jobs in one state.

        Returns:
            The ids of its jobs, and the start of its last row, infinite on the last page.

        Raises:
            InvalidResponse: one look has read more pages than there can be. Further errors are
                those of `list`.
        """
        if self.cost >= _MOST_PAGES:
            endless = InvalidResponse(
                f"the job list has no end after {self.cost} pages", status_code=200
            )
            self._note_list_failure(endless)
            raise endless
        page = await self.list(cursor, status)
        rows = page.rows
        last = start_ms(rows[-1]) if len(rows) >= PAGE_SIZE else None
        return [row.job_id for row in rows], math.inf if last is None else last

    async def list(self, cursor: Cursor, status: JobStatus | None = None) -> JobPage:
        """Takes in one page and returns it.

        Raises:
            NoList: the list was refused; it is not asked for again.
            DliError: trouble that concerns all jobs.
        """
        types = self._watched.job_types
        # One type or all: that is what the documents agree on.
        kind = next(iter(types)) if len(types) == 1 else "ALL"
        params = {"job-type": kind, "job-status": status, **cursor.params()}
        try:
            page = await self._exchange(
                lambda api: api.list_jobs(params, page=cursor.number, repeat=False)
            )
        except DliError as error:
            self._note_list_failure(error)
            raise
        self._list_failures = 0
        now = anyio.current_time()
        self._rows_seen += sum(self._watched.see(row, now) for row in page.rows)
        return page

    async def _exchange(self, request: Callable[[Api], Awaitable[T]]) -> T:
        spacing = _SPACING if self.list_works else _SPACING_ALONE
        # Two may follow each other at once: a list, and the page that explains it.
        await anyio.sleep(max(0.0, self._next_start - spacing - anyio.current_time()))
        self._next_start = max(self._next_start, anyio.current_time()) + spacing
        self.cost += 1
        answer = await request(self._api())
        self.answered_at = anyio.current_time()
        return answer

    def _note_list_failure(self, error: DliError) -> None:
        if isinstance(error, AuthenticationError):
            return
        if isinstance(error, ApiError) and not is_transient(error):
            self._leave_list(_BARREN_REST, f"was refused ({error})")
            raise NoList from error
        self._list_failures += 1
        if self._list_failures >= _LIST_FAILURES:
            self._leave_list(_LIST_REST, f"keeps failing ({error})")

    def _leave_list(self, seconds: float, why: str) -> None:
        self._list_rests_until = anyio.current_time() + seconds
        if not self._said_so:
            self._said_so = True
            _log.warning("the job list %s: jobs are asked for one by one", why)
