"""The engine of a bulk run: reads specs, keeps exports going, sends their outcomes."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing, nullcontext
from dataclasses import replace

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectSendStream

from .._export.context import HasContext
from .._export.errors import JobFailed, JobLost
from .._journal.attempt import Attempt
from .._journal.records import Record, Records
from .._values.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidExport,
    Problem,
)
from .._values.paths import FolderSet
from .._values.reports import StatusReport
from .._values.results import ExportResult
from .._values.spec import ExportSpec
from ._landing import Landing
from ._outcomes import (
    BulkEvent,
    ExportEnded,
    ExportOutcome,
    ExportPlanned,
    ExportStatusChanged,
    ExportSubmitted,
    OnEvent,
)
from ._queues import Queues

_log = logging.getLogger("dli_async.bulk")

Specs = Iterable[ExportSpec] | AsyncIterable[ExportSpec]

# What is not about one export ends the run: without a record nothing may be submitted, and a
# login that is refused once is refused for all, and locked when it is tried on and on.
_FATAL = (AuthenticationError,)


class Run:
    """One bulk run: reads specs, keeps as many exports going as it may, sends their outcomes."""

    def __init__(
        self,
        client: HasContext,
        queues: Queues,
        records: Records,
        send: MemoryObjectSendStream[ExportOutcome],
        *,
        on_event: OnEvent | None,
        attempts: int,
        timeout: float | None,
        landing: Landing,
    ) -> None:
        self._client = client
        self._queues = queues
        self._records = records
        self._send = send
        self._on_event = on_event
        self._attempts = attempts
        self._timeout = timeout
        self._landing = landing
        self._folders = FolderSet()
        self._failure: Exception | None = None

    async def drive(self, specs: Specs) -> None:
        """Exports all specs, and closes the stream of outcomes at the end."""
        async with self._send, anyio.create_task_group() as self._tasks:
            try:
                await self._feed(specs)
            except Exception as error:
                self._fail(error)

    def raise_failure(self) -> None:
        """Raises what ended the run early, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def tell(self, event: BulkEvent) -> None:
        """Hands an event to the listener, whose errors are logged."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            _log.exception("on_event failed for %s", type(event).__name__)

    async def _feed(self, specs: Specs) -> None:
        async with aclosing(_each(specs)) as each:
            async for spec in each:
                await self._plan(spec)
                await self._queues.wait_for_room()
        await self._queues.wait_until_empty()

    async def _plan(self, spec: ExportSpec) -> None:
        if not isinstance(spec, ExportSpec):
            raise ConfigurationError(f"specs: must hold exports such as TableExport, not {spec!r}")
        self.tell(ExportPlanned(spec=spec))
        try:
            self._take_folder(spec)
        except InvalidExport as error:
            await self._deliver(ExportOutcome.of(spec, error, job_id=None))
        else:
            self._queues.put(spec)
            self._start_ready()

    def _take_folder(self, spec: ExportSpec) -> None:
        other = self._folders.add(spec.data_path)
        if other is None:
            self._landing.take_folder(spec)
            return
        rule = "another export of this run has this folder; each needs its own"
        if other != spec.data_path:
            rule = f"contains, or lies in, {other!r} of another export of this run"
        raise InvalidExport([Problem("data_path", spec.data_path, rule)])

    def _start_ready(self) -> None:
        while (spec := self._queues.take()) is not None:
            self._tasks.start_soon(self._export, spec, name=f"export {spec}")

    async def _export(self, spec: ExportSpec) -> None:
        try:
            await self._deliver(await self._outcome_of(spec))
        except Exception as error:
            self._fail(error)
        else:
            self._queues.done(spec)
            self._start_ready()

    def _fail(self, error: Exception) -> None:
        """Ends the run: what is not about one export ends all."""
        self._failure = self._failure or error
        self._tasks.cancel_scope.cancel()

    async def _deliver(self, outcome: ExportOutcome) -> None:
        if outcome.error is not None:
            _log.info("%s: %s", outcome.spec, outcome.error)
        self.tell(ExportEnded(outcome=outcome))
        await self._send.send(outcome)

    async def _outcome_of(self, spec: ExportSpec) -> ExportOutcome:
        try:
            record = await self._records.open(spec)
        except InvalidExport as error:
            return ExportOutcome.of(spec, error, job_id=None)
        while True:
            end = record.obstacle or record.past or await self._attempt(spec, record)
            following = await self._following(spec, record, end)
            if following is None:
                return await self._landed(spec, record, end)
            record = following

    async def _landed(
        self, spec: ExportSpec, record: Record, end: ExportResult | Exception
    ) -> ExportOutcome:
        """The outcome of the last attempt, once its files are as wanted, or could not be so."""
        error = None
        if isinstance(end, ExportResult):
            end, error = await self._landing.complete(end, record)
        outcome = ExportOutcome.of(
            spec,
            end,
            job_id=record.job_id,
            attempts=record.attempt,
            resumed=record.past is not None,
            verified=record.is_verified,
            fetched_to=record.fetched_to,
        )
        return outcome if error is None else replace(outcome, error=error)

    async def _following(
        self, spec: ExportSpec, record: Record, end: ExportResult | Exception
    ) -> Record | None:
        """The next attempt, if there is to be one."""
        if record.attempt >= self._attempts:
            return None
        if isinstance(end, JobLost):
            end.add_note(f"no other attempt was made: look what {spec.data_path} holds first")
        if not isinstance(end, JobFailed):
            return None
        folder = f"{spec.data_path}-attempt-{record.attempt + 1}"
        try:
            fresh = spec.model_copy(update={"data_path": folder})
            self._take_folder(fresh)
            return await record.again(fresh)
        except InvalidExport as error:
            end.add_note(f"there was no other attempt: {error}")
            return None

    async def _attempt(self, spec: ExportSpec, record: Record) -> ExportResult | Exception:
        listener = _Listener(self, spec, record.attempt)
        attempt = Attempt(self._client, record, listener)
        if attempt.job.job_id is not None:
            listener.accepted(attempt.job.job_id, resumed=True)
        end = await attempt.run(timeout=self._timeout, fatal=_FATAL)
        if not attempt.is_over and isinstance(end, Exception):
            await record.left(attempt.job, end)
        return end


class _Listener:
    """Tells the listener of a run what becomes of one attempt."""

    def __init__(self, run: Run, asked: ExportSpec, attempt: int) -> None:
        self._run = run
        self._asked = asked
        self._attempt = attempt

    def accepted(self, job_id: str, *, resumed: bool = False) -> None:
        self._run.tell(
            ExportSubmitted(spec=self._asked, job_id=job_id, attempt=self._attempt, resumed=resumed)
        )

    def saw(self, report: StatusReport) -> None:
        self._run.tell(ExportStatusChanged(spec=self._asked, status=report.status, report=report))


async def _each(specs: Specs) -> AsyncGenerator[ExportSpec]:
    if isinstance(specs, AsyncIterable):
        async with aclosing(specs) if isinstance(specs, AsyncGenerator) else nullcontext():
            async for spec in specs:
                yield spec
    else:
        for spec in specs:
            yield spec
            # Many specs at once must not hold the event loop.
            await anyio.lowlevel.checkpoint()
