"""Submit exactly once: post, and when in doubt look before posting again.

A look lists EXPORT jobs that started since the attempt by the server's clock, compares database
and table, then asks each candidate's detail for its folder. It never takes a job that another
export owns. Lists lag, so looks go on through a grace window before another POST.

What remains: a process looks at the time after its note and right before it sends, but one that is
stopped after that and before the socket may still post what another has posted meanwhile. Whoever
finds the note looks through the whole grace first, so it takes a stop at just that point for longer
than `request_timeout` and `grace` together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol, cast

import anyio

from ..._http.api import Api
from ..._http.exchange import HELD_UP
from ..._values.errors import AlreadyExists, DliError, RequestNotSent
from ..._values.events import AdoptionEvent, Emitter, LookEvent, SubmitEvent
from ..._values.policies import RetryPolicy, SubmitPolicy, is_transient, never_carried_out
from ..._values.reports import ExportAccepted, JobRow
from ..._values.spec import TableExport
from ..departure import Departure, Moment
from ..errors import SubmitInDoubt
from .admission import Place
from .registry import Registry
from .search import Found
from .verdict import Verdict, judge

_log = logging.getLogger("dli_async.submit")

# A departure is noted again if that took too long, but not for ever.
_NOTES = 3


class SubmitRecord(Protocol):
    """Keeps record of a submit outside this process, so that another one can go on from there."""

    async def before_post(self, departure: Departure) -> None:
        """Awaited right before each POST leaves, after all that can wait.

        A process that finds `departure` and no job must look before it posts. What this raises
        keeps the POST from leaving.
        """

    async def accepted(self, job_id: str) -> None:
        """Awaited when the job is known, before whoever submits hears of it."""


class Submission:
    """The submit of one export, by however many callers and however often they are cancelled.

    Attributes:
        export_id: tells this export from others, in tokens and journals; None while none has it.
        job_id: the accepted or adopted job, or None.
        trouble: what kept the last POST from being carried out, or None.
        awaiters: how many tasks await the export now.
        abandoned: whether the last of them left before its end.
    """

    def __init__(
        self,
        api: Callable[[], Api],
        spec: TableExport | None,
        *,
        policy: SubmitPolicy,
        retry: RetryPolicy,
        registry: Registry[Submission],
        emit: Emitter,
        record: SubmitRecord | None = None,
        export_id: str | None = None,
    ) -> None:
        # A job attached by its id has none, and never submits.
        self.spec = cast(TableExport, spec)
        self.export_id = export_id
        self.job_id: str | None = None
        self.trouble: DliError | None = None
        self.awaiters = 0
        self.abandoned = False
        self._api = api
        self._policy = policy
        self._retry = retry
        self._registry = registry
        self._emit = emit
        self._record = record
        self._departure: Departure | None = None
        self._in_flight: anyio.Event | None = None
        self._outcome: ExportAccepted | DliError | None = None
        self._verdict: Verdict | None = None
        self._doubtful = False
        self._doubts = 0
        self._has_posted = False
        self._landed = False

    def resume(self, job_id: str | None, departure: Departure | None) -> None:
        """Takes over what a token or a journal says of an earlier process's submit.

        Args:
            departure: when its POSTs may have left, if their fate is unknown.
        """
        if self.job_id is not None:
            return
        if job_id is not None:
            self._take(job_id)
        elif departure is not None and self.open_departure is None:
            self._departure = departure
            self._has_posted = False
            self._doubtful = True
            self._doubts = 1

    async def run(self, on_settled: Callable[[], None]) -> str:
        """Sees to it that the export is submitted once, and returns its job id.

        Args:
            on_settled: called when a POST has ended, even if the caller has left meanwhile.

        Raises:
            SubmitInDoubt: looking did not settle a lost answer.
            DliError: the service refused the export, or nothing could be sent.
        """
        async with self._registry.lock(self.spec):
            await self._registry.wait_in_flight(self.spec)
            # Another handle of this export may have learnt its job meanwhile.
            self.job_id = self.job_id or self._registry.job_of(self.export_id)
            while self.job_id is None:
                if not await self._is_found():
                    await self._post(on_settled)
            if self._record is not None:
                await self._record.accepted(self.job_id)
        return self.job_id

    @property
    def open_departure(self) -> Departure | None:
        """When the POSTs whose fate is unknown may have left; None if there are none.

        A POST that is under way counts: nobody knows its fate yet.
        """
        is_open = self.job_id is None and (self._doubtful or self._in_flight is not None)
        return self._departure if is_open else None

    def saw_start(self, start: datetime) -> None:
        """Learns from the job of an own POST how the clocks of service and gateway differ."""
        if self._has_posted and self._departure is not None:
            self._registry.search.note_start(self._departure, start)

    async def wait_in_flight(self) -> None:
        """Waits for the end of a POST that has left, if there is one."""
        if self._in_flight is not None:
            await self._in_flight.wait()

    async def _post(self, on_settled: Callable[[], None]) -> None:
        settle = partial(self._settled, on_settled)

        async def once() -> None:
            self._outcome = None
            places = [await self._registry.noting.enter()] if self._record is not None else []
            try:
                places.append(await self._registry.admission.enter())
                await self._api().export_table(self.spec, partial(self._leave, places), settle)
                outcome: object = self._outcome
                if isinstance(outcome, DliError) and self._verdict is not Verdict.DOUBT:
                    raise outcome
            except DliError as error:
                self.trouble = error
                raise
            finally:
                _give_back(places)

        await self._retry.run(once, never_carried_out)

    async def _leave(self, places: Sequence[Place]) -> None:
        """Notes that a POST leaves now; nothing may wait between the note and the POST."""
        places[-1].leave()
        self._in_flight = anyio.Event()
        self._registry.note_in_flight(self.spec, self._in_flight)
        before = self._departure
        try:
            for _ in range(_NOTES):
                started = anyio.current_time()
                await self._note_departure(before)
                # One that took long may have been overtaken, as by a process that was stopped.
                if anyio.current_time() - started <= HELD_UP:
                    break
            else:
                raise RequestNotSent(f"{self.spec}: noting its departure took too long each time")
        except BaseException:
            self._departure = before
            self._land()
            raise
        finally:
            _give_back(places)

    async def _note_departure(self, before: Departure | None) -> None:
        moment = Moment.now(self._api().http.server_clock.now())
        self._departure = before.again(moment) if before else Departure.at(moment)
        if self._record is not None:
            await self._record.before_post(self._departure)

    def _settled(self, on_settled: Callable[[], None], outcome: ExportAccepted | DliError) -> None:
        self._outcome = outcome
        self._has_posted = True
        verdict = self._verdict = judge(outcome, doubted_before=self._doubts > 0)
        if isinstance(outcome, ExportAccepted):
            self._take(outcome.job_id)
            _log.info("%s: submitted as job %s", self.spec, self.job_id)
            self._emit(SubmitEvent(spec=self.spec, job_id=outcome.job_id))
        elif verdict is Verdict.DOUBT:
            self._doubtful = True
            self._doubts += 1
            self._landed |= isinstance(outcome, AlreadyExists)
            _log.warning("%s: the answer to its submit was lost (%s)", self.spec, outcome)
        # A refusal tells nothing of an earlier POST that is in doubt.
        self._land()
        on_settled()

    def _land(self) -> None:
        """No POST is under way any more."""
        if self._in_flight is not None:
            self._in_flight.set()
            self._in_flight = None

    def _take(self, job_id: str) -> None:
        self.job_id = job_id
        self._doubtful = False
        self._registry.own(job_id, self)
        if self.export_id is not None:
            self._registry.note_job(self.export_id, job_id)

    async def _is_found(self) -> bool:
        """Whether the job of an earlier POST is there; if not, a POST is due.

        Until that POST has told more, the export stays in doubt for others: they look first too.
        """
        departure = self._departure
        return self._doubtful and departure is not None and await self._settle(departure)

    async def _settle(self, departure: Departure) -> bool:
        """Looks until the job is found, or the grace window is over."""
        trouble: DliError | None = None
        found = Found()
        for delay in self._delays(departure):
            await anyio.sleep(delay)
            try:
                found = await self._look(departure)
                trouble = None
            except DliError as error:
                trouble = error
                if not is_transient(error):
                    break
                continue
            if self._adopted(found.ours):
                return True
        if trouble is not None:
            raise self._in_doubt(f"looking for its job failed ({trouble})", ()) from trouble
        if found.unclear:
            raise self._in_doubt("the folder of some jobs could not be told", found.unclear)
        if self._landed or self._doubts >= self._policy.attempts:
            raise self._in_doubt("no job of it was found", found=())
        return False

    def _delays(self, departure: Departure) -> Iterator[float]:
        yield 0.0
        # Only now, since the first look tells the service's clock.
        yield from self._policy.looks(self._grace(departure))

    def _grace(self, departure: Departure) -> float:
        """How long to go on looking; what an earlier process left long ago has had its time."""
        if self._has_posted:
            return self._policy.grace
        http = self._api().http
        elapsed = departure.elapsed(Moment.now(http.server_clock.now()))
        return max(0.0, http.request_timeout + self._policy.grace - elapsed)

    def _adopted(self, found: Sequence[JobRow]) -> bool:
        live = [row for row in found if not row.is_terminal]
        match found, live:
            case ([row], _) | (_, [row]):
                self._take(row.job_id)
                _log.info("%s: adopted job %s, which its lost submit made", self.spec, row.job_id)
                self._emit(AdoptionEvent(spec=self.spec, job_id=row.job_id))
                return True
            case ([], _):
                return False
        raise self._in_doubt(f"{len(found)} jobs could be it", found=found)

    def _in_doubt(self, why: str, found: Sequence[JobRow]) -> SubmitInDoubt:
        return SubmitInDoubt(
            f"{self.spec}: the answer to its submit was lost, and {why}; "
            "it may or may not have been accepted",
            spec=self.spec,
            found=found,
        )

    async def _look(self, departure: Departure) -> Found:
        """The jobs that this export may have become."""
        search, owns = self._registry.search, self._registry.owns
        found = await search.look(self._api(), self.spec, departure, owns)
        ids = tuple(row.job_id for row in found.ours)
        _log.debug("%s: a look found %s", self.spec, ids)
        self._emit(LookEvent(spec=self.spec, found=ids))
        return found


def _give_back(places: Iterable[Place]) -> None:
    for place in places:
        place.leave()
