"""Submit exactly once: post, and when in doubt look before posting again.

A look lists jobs that started since; its own has its key, or table and folder, and no other owner.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import cast
from uuid import uuid4

import anyio

from ..._http.api import Api
from ..._values.errors import (
    AlreadyExists,
    DliError,
    FolderExists,
    RequestNotSent,
)
from ..._values.events import AdoptionEvent, Emitter, LookEvent, SubmitEvent
from ..._values.policies import RetryPolicy, SubmitPolicy, is_transient, never_carried_out
from ..._values.reports import ExportAccepted, JobRow
from ..._values.spec import ExportSpec, Posting
from ..departure import Departure, Moment
from .admission import Place
from .look import Found, in_doubt, look_for, postings_of
from .record import SubmitRecord
from .registry import Registry
from .verdict import Verdict, judge
from .ways import Ways

_log = logging.getLogger("dli_async.submit")

# A departure is noted again if that took too long, but not for ever.
_NOTES = 3


class Submission:
    """The submit of one export, by however many callers and however often they are cancelled.

    Attributes:
        export_id: tells this export from others, in tokens, journals and its job; None if none has.
        job_id, job_type: the accepted or adopted job, or None; and what lists show it as.
        record: is told of each POST, and of the job.
        trouble: what kept the last POST from being carried out, or None.
        awaiters, abandoned: how many tasks await it, and whether the last left before its end.
    """

    def __init__(
        self,
        api: Callable[[], Api],
        spec: ExportSpec | None,
        *,
        policy: SubmitPolicy,
        retry: RetryPolicy,
        registry: Registry[Submission],
        emit: Emitter,
        ways: Ways,
        record: SubmitRecord | None = None,
        export_id: str | None = None,
    ) -> None:
        # A job attached by its id has none, and never submits.
        self.spec = cast(ExportSpec, spec)
        self.export_id = export_id
        self.job_id: str | None = None
        self.job_type = spec.job_type if spec is not None else None
        self.trouble: DliError | None = None
        self.awaiters = 0
        self.abandoned = False
        self._api = api
        self._policy = policy
        self._retry = retry
        self._registry = registry
        self._emit = emit
        self._ways = ways
        self._went_by: tuple[str, ...] = ()
        self.record = record
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
            # Nobody has told by which of them.
            self._went_by = self.spec.ways

    @property
    def key(self) -> str:
        """Its `export_id`, made if need be."""
        self.export_id = self.export_id or uuid4().hex
        return self.export_id

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
            if self.record is not None:
                await self.record.accepted(self.job_id)
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
            posting = self.spec.posting(self._ways.way_of(self.spec), self.key)
            places = [await self._registry.noting.enter()] if self.record is not None else []
            try:
                places.append(await self._registry.admission.enter())
                await self._api().export(posting, partial(self._leave, posting, places), settle)
                outcome: object = self._outcome
                if isinstance(outcome, DliError) and self._verdict is not Verdict.DOUBT:
                    if self._ways.learns_from(self.spec, posting.way, outcome):
                        return
                    raise outcome
            except FolderExists:
                if not self._doubts:
                    raise
                # An own POST may have made it.
                self._doubtful = self._landed = True
            except DliError as error:
                self.trouble = error
                raise
            finally:
                _give_back(places)
                if self.open_departure is None and self.job_id is None:
                    self._registry.free_folder(self.spec.data_path, self.export_id)

        await self._retry.run(once, never_carried_out)

    async def _leave(self, posting: Posting, places: Sequence[Place]) -> None:
        """Notes that a POST leaves now; nothing may wait between the note and the POST."""
        places[-1].leave()
        await self._ways.check_folder(self.spec, posting)
        folder = self.spec.data_path
        # Eyes do not see what an own job is about to write.
        if posting.checks_folder and not self._registry.take_folder(folder, self.key):
            raise FolderExists(folder)
        self.job_type = posting.job_type
        if posting.way not in self._went_by:
            self._went_by += (posting.way,)
        self._in_flight = anyio.Event()
        self._registry.note_in_flight(self.spec, self._in_flight)
        before = self._departure
        try:
            for _ in range(_NOTES):
                started = anyio.current_time()
                await self._note_departure(before)
                # One that took long may have been overtaken, as by a process that was stopped.
                if anyio.current_time() - started <= self._api().http.longest_hold:
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
        if self.record is not None:
            await self.record.before_post(self._departure)

    def _settled(self, on_settled: Callable[[], None], outcome: ExportAccepted | DliError) -> None:
        self._outcome = outcome
        self._has_posted = True
        verdict = self._verdict = judge(outcome, doubted_before=self._doubts > 0)
        if isinstance(outcome, ExportAccepted):
            self._take(outcome.job_id)
            self.job_type = outcome.job_type or self.job_type
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
        for number, delay in enumerate(self._delays(departure)):
            await anyio.sleep(delay)
            try:
                # What a filter by tag leaves out is looked for later, before another POST.
                may_filter = number == 0 and self._has_posted and self._policy.grace > 0
                found = await self._look(departure, by_tag=may_filter)
                trouble = None
            except DliError as error:
                trouble = error
                if not is_transient(error):
                    break
                continue
            if self._adopted(found.ours):
                return True
        if trouble is not None:
            raise in_doubt(self.spec, f"looking for its job failed ({trouble})", ()) from trouble
        if found.unclear:
            raise in_doubt(self.spec, "the folder of some jobs could not be told", found.unclear)
        if self._landed or self._doubts >= self._policy.attempts:
            raise in_doubt(self.spec, "no job of it was found", found=())
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
        landed = http.longest_hold + http.request_timeout
        return max(0.0, landed + self._policy.grace - elapsed)

    def _adopted(self, found: Sequence[JobRow]) -> bool:
        live = [row for row in found if not row.is_terminal]
        match found, live:
            case ([row], _) | (_, [row]):
                self._take(row.job_id)
                self.job_type = row.job_type or self.job_type
                _log.info("%s: adopted job %s, which its lost submit made", self.spec, row.job_id)
                self._emit(AdoptionEvent(spec=self.spec, job_id=row.job_id))
                return True
            case ([], _):
                return False
        raise in_doubt(self.spec, f"{len(found)} jobs could be it", found=found)

    async def _look(self, departure: Departure, *, by_tag: bool) -> Found:
        """The jobs that this export may have become."""
        postings = postings_of(self.spec, self._went_by, self.key)
        found = await look_for(
            self._api(), self._registry, self.spec, postings, departure, by_tag=by_tag
        )
        ids = tuple(row.job_id for row in found.ours)
        _log.debug("%s: a look found %s", self.spec, ids)
        self._emit(LookEvent(spec=self.spec, found=ids))
        return found


def _give_back(places: Sequence[Place]) -> None:
    for place in places:
        place.leave()
