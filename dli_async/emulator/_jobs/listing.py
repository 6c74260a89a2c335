"""The job list: its filters, orders and pages (dli_02_0025)."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from .._protocol.answers import Refused, dli_error
from .._protocol.calls import Call
from .job import STATES, Job
from .job_table import JobTable

ARGUMENTS = frozenset(
    {
        *("page-size", "current-page", "start", "end", "job-type", "job_types", "job-status"),
        *("job-id", "queue_name", "sql_pattern", "order", "engine-type", "engine_type", "owner"),
        *("tags", "db_name", "table_name"),
    }
)

_TYPES = (
    *("DDL", "DCL", "IMPORT", "EXPORT", "QUERY", "INSERT", "DATA_MIGRATION", "UPDATE", "DELETE"),
    *("RESTART_QUEUE", "SCALE_QUEUE"),
)
_STATES = (
    *STATES,
    *("SCALING", "FINISH", "COMPUTED", "SUSPENDED", "ACTIVE", "DELETED", "CREATING"),
)
_ORDERS = ("start_time_desc", "start_time_asc", "duration_desc", "duration_asc")
_QUEUE = re.compile(r"(?!_)(?![0-9]+$)[A-Za-z0-9_]{1,128}")


class Seen(NamedTuple):
    """A job and the state in which the list shows it."""

    job: Job
    state: str


@dataclass(frozen=True, slots=True)
class View:
    """How faults bend the list; the default is the plain truth.

    `moment` is the moment the list tells about, `foreign` are other people's jobs, `shift` moves
    the rows of later pages, `show` may put another word for a job's state.
    """

    moment: float
    lags: bool = False
    foreign: tuple[Job, ...] = ()
    shift: int = 0
    show: Callable[[Job, str], str] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the states are those of the table's own index."""
        return not (self.lags or self.show)

    def see(self, job: Job) -> Seen:
        """The job as this list shows it."""
        state = job.state_at(self.moment)
        return Seen(job, self.show(job, state) if self.show else state)


@dataclass(frozen=True, slots=True)
class Query:
    """The arguments of one call, checked."""

    size: int
    page: int
    start: int
    end: int
    order: str
    state: str
    types: frozenset[str]
    tests: tuple[Callable[[Job], bool], ...]

    @classmethod
    def of(cls, call: Call) -> Query:
        """Reads a call's arguments; a bad one is DLI.0001."""
        return cls(
            size=call.number("page-size", 50, 1, 100),
            page=call.number("current-page", 1, 1),
            start=call.number("start", 0, 0),
            end=call.number("end", 0, 0),
            order=call.word("order", _ORDERS, "start_time_desc"),
            state=call.word("job-status", _STATES),
            types=_wanted_types(call),
            tests=tuple(_tests(call)),
        )

    def select(self, table: JobTable, view: View) -> tuple[int, list[Seen]]:
        """How many jobs there are in all, and those of the page."""
        jobs = self._own(table, view)
        if view.foreign:
            jobs = sorted([*jobs, *self._others(view)], key=lambda job: job.created_at)
        tests = self.tests
        if not table.types <= self.types or (view.foreign and "EXPORT" not in self.types):
            tests = (lambda job: job.spec.job_type in self.types, *tests)
        if tests:
            jobs = [job for job in jobs if all(test(job) for test in tests)]
        if self.order.startswith("duration"):
            jobs.sort(key=lambda job: job.seconds(view.moment))
        if self.order.endswith("desc"):
            jobs.reverse()
        return len(jobs), [view.see(job) for job in jobs[self._slice(view)]]

    def _own(self, table: JobTable, view: View) -> list[Job]:
        # Lists of many thousands are asked for again and again: bisected and sliced, not scanned.
        low, high = self._window(table, int(view.moment * 1000))
        if not self.state:
            return table.jobs[low:high]
        if not view.is_plain:
            return [job for job in table.jobs[low:high] if view.see(job).state == self.state]
        numbers = table.by_state.get(self.state, [])
        numbers = numbers[bisect_left(numbers, low) : bisect_left(numbers, high)]
        return [table.jobs[number] for number in numbers]

    def _others(self, view: View) -> Iterable[Job]:
        end = self.end or math.inf
        for job in view.foreign:
            if self.start <= job.start_ms <= end and self.state in ("", view.see(job).state):
                yield job

    def _window(self, table: JobTable, moment: int) -> tuple[int, int]:
        last = min(self.end or moment, moment)
        return bisect_left(table.started_ms, self.start), bisect_right(table.started_ms, last)

    def _slice(self, view: View) -> slice:
        start = (self.page - 1) * self.size
        if self.page > 1:
            start = max(0, start + view.shift)
        return slice(start, start + self.size)


def _tests(call: Call) -> Iterable[Callable[[Job], bool]]:
    """A predicate for each argument that can exclude a job, but for those about its type."""
    if wanted := call.arguments.get("job-id"):
        yield lambda job: job.job_id == wanted
    if queue := call.arguments.get("queue_name"):
        if not _QUEUE.fullmatch(queue):
            raise Refused(dli_error("DLI.0001", f"queue_name is invalid: {queue!r}"))
        yield lambda job: job.spec.queue_name == queue.lower()
    if owner := call.arguments.get("owner"):
        yield lambda job: job.owner == owner
    if database := call.arguments.get("db_name"):
        yield lambda job: job.spec.table[0] == database
    if table := call.arguments.get("table_name"):
        yield lambda job: job.spec.table[1] == table
    if pattern := call.arguments.get("sql_pattern", "").lower():
        yield lambda job: pattern in job.spec.statement.lower()
    for tag in filter(None, call.arguments.get("tags", "").split(",")):
        yield partial(_has_tag_like, tag)
    if _engine(call) == "hetuEngine":
        yield lambda job: False


def _has_tag_like(wanted: str, job: Job) -> bool:
    # The documents say that the filter is fuzzy, and that exact matches cannot be asked for.
    return any(wanted in f"{key}={value}" for key, value in job.spec.tags)


def _wanted_types(call: Call) -> frozenset[str]:
    one = call.word("job-type", ("ALL", *_TYPES), "ALL")
    several = [word for word in call.arguments.get("job_types", "").upper().split(",") if word]
    if unknown := set(several) - set(_TYPES):
        raise Refused(dli_error("DLI.0001", f"job_types has unknown words: {sorted(unknown)}"))
    return frozenset(_TYPES if one == "ALL" else (one,)) & frozenset(several or _TYPES)


def _engine(call: Call) -> str:
    # The Chinese page spells it engine-type, the newer English one engine_type.
    words = ("spark", "hetuEngine")
    return call.word("engine-type", words) or call.word("engine_type", words)
