"""ExportJob: the handle of one export, from spec to result."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol
from uuid import uuid4

import anyio

from ._context import JobContext
from ._errors import (
    ApiError,
    ConfigurationError,
    JobCancelled,
    JobError,
    JobFailed,
    JobTimeout,
    SubmitInDoubt,
)
from ._events import EndEvent, StatusEvent
from ._models import CancelOutcome, ExportResult, JobStatus, StatusReport, TableExport
from ._policies import PollPolicy
from ._polling import StatusSource, poll
from ._reports import OnReport, Reports
from ._rows import JobDetail, JobProgress
from ._submission import Submission, SubmitRecord
from ._token import SavedJob

_log = logging.getLogger("dli_async.watch")


class _HasContext(Protocol):
    @property
    def job_context(self) -> JobContext: ...


class ExportJob:
    """One export at the service: submit it, await it, cancel it, resume it.

    Awaiting a job submits it if that has not happened, waits for its end and returns an
    `ExportResult`. Any number of tasks may await one job: it is submitted once. Cancelling a task
    that awaits never cancels the job at the service; `cancel()` does.

    Args:
        client: an open `DliClient`.
        spec: what to export; None only for a job attached by id (`client.job`).
        status_source: an async callable from job id to `StatusReport` that is asked in place of
            the client's own way of watching (default None).
        polling: replaces the client's `PollPolicy` for this job (default None).
        record: is told, and awaited, before each POST and when the job is known, to keep a durable
            record of them (default None).
    """

    def __init__(
        self,
        client: _HasContext,
        spec: TableExport,
        *,
        status_source: StatusSource | None = None,
        polling: PollPolicy | None = None,
        record: SubmitRecord | None = None,
    ) -> None:
        if not isinstance(spec, TableExport):
            raise ConfigurationError(f"spec={spec!r}: must be a TableExport")
        self._set_up(client, spec, status_source, polling, record)

    def _set_up(
        self,
        client: _HasContext,
        spec: TableExport | None,
        status_source: StatusSource | None,
        polling: PollPolicy | None,
        record: SubmitRecord | None = None,
        *,
        export_id: str | None = None,
        job_id: str | None = None,
        doubted_at: float | None = None,
    ) -> None:
        context = client.job_context
        self.spec = spec
        self._context = context
        self._source = status_source
        self._polling = polling or context.polling
        self._reports = Reports(self._note_change)
        self._fresh = False
        self._export_id = export_id
        shared = context.registry.recall(export_id) or context.registry.recall(job_id)
        self._submission = shared or Submission(
            context.api,
            spec,
            policy=context.submit,
            retry=context.retry,
            registry=context.registry,
            emit=context.emit,
            record=record,
        )
        if shared is None:
            self._submission.resume(job_id, doubted_at)
            self._submission.on_settled(self._note_settled)

    @classmethod
    def attach(
        cls,
        client: _HasContext,
        job_id: str,
        *,
        spec: TableExport | None = None,
        status_source: StatusSource | None = None,
        polling: PollPolicy | None = None,
    ) -> ExportJob:
        """The handle of a job that exists already. No I/O."""
        if not isinstance(job_id, str) or not job_id:
            raise ConfigurationError(f"job_id={job_id!r}: must be the id of a job")
        job = cls.__new__(cls)
        job._set_up(client, spec, status_source, polling, job_id=job_id)
        return job

    @classmethod
    def resume(
        cls,
        client: _HasContext,
        token: str,
        *,
        status_source: StatusSource | None = None,
        polling: PollPolicy | None = None,
        record: SubmitRecord | None = None,
    ) -> ExportJob:
        """The job of a `token`, perhaps of another process. No I/O.

        A job whose submit was in doubt is looked for before it is posted again.

        Raises:
            ConfigurationError: the token is not one, or is of a later version.
            TypeError: the token is not text.
        """
        saved = SavedJob.from_text(token)
        job = cls.__new__(cls)
        job._set_up(
            client,
            saved.spec,
            status_source,
            polling,
            record,
            export_id=saved.export_id,
            job_id=saved.job_id,
            doubted_at=saved.doubted_at,
        )
        return job

    @property
    def job_id(self) -> str | None:
        """The service's id; None until the export was accepted."""
        return self._submission.job_id

    @property
    def report(self) -> StatusReport | None:
        """The latest report that was seen, without asking; None before the first look."""
        return self._reports.latest

    @property
    def in_doubt(self) -> bool:
        """Whether the export may or may not have been accepted."""
        return self._submission.doubted_at is not None

    @property
    def token(self) -> str:
        """Versioned JSON, without secrets, from which `ExportJob.resume` makes this job again."""
        self._export_id = self._export_id or uuid4().hex
        self._context.registry.remember(self._export_id, self._submission)
        doubted_at = self._submission.doubted_at
        return SavedJob(self._export_id, self.job_id, self.spec, doubted_at).to_text()

    async def submit(self) -> str:
        """Submits the export once, whoever else does the same, and returns the job id.

        Raises:
            SubmitInDoubt: whether it was accepted could not be settled.
            ApiError: the service refused it.
            RequestNotSent: it could not be sent.
        """
        with self._awaited(), self._context.until_closed():
            return await self._submit()

    async def _submit(self) -> str:
        if self.job_id is not None:
            return self.job_id
        try:
            job_id = await self._submission.run()
        except SubmitInDoubt as error:
            error.job = self
            raise
        self._fresh = True
        return job_id

    async def settled(self) -> None:
        """Waits for the end of a POST that has left, if there is one; never sends anything.

        It takes one `request_timeout` at most, and then `job_id` and `in_doubt` say what is known.
        """
        await self._submission.wait_in_flight()

    async def status(self) -> StatusReport:
        """One look at the job.

        Raises:
            ConfigurationError: the export was not submitted yet.
            ApiError, RequestError: the look failed.
        """
        job_id = self._accepted_id()
        with self._context.until_closed():
            if self._source is not None:
                report = await self._source(job_id)
            else:
                report = await self._context.api().status(job_id)
        self._reports.note(report)
        return report

    async def detail(self) -> JobDetail:
        """What the job was asked to do. Errors as for `status`."""
        with self._context.until_closed():
            return await self._context.api().job_detail(self._accepted_id())

    async def progress(self) -> JobProgress:
        """How far the job is, as a best effort of the service. Errors as for `status`."""
        with self._context.until_closed():
            return await self._context.api().job_progress(self._accepted_id())

    async def result(
        self,
        *,
        timeout: float | None = None,
        on_report: OnReport | None = None,
        on_timeout: Literal["detach", "cancel"] = "detach",
    ) -> ExportResult:
        """Submits the export if need be and waits for its end.

        Args:
            timeout: seconds for the whole wait; None (default) waits for ever. A wait that ends
                while the submit is under way may overrun by one `request_timeout`.
            on_report: called, or awaited, with reports of the job, in this task; an error in it
                ends this wait only.
            on_timeout: `detach` (default) leaves the job running; `cancel` cancels it.

        Raises:
            JobFailed, JobCancelled: the job ended so.
            JobTimeout: `timeout` is over, or looks kept failing; the job still runs.
            SubmitInDoubt, ApiError, RequestError: see `submit`.
            ClientClosed: the client closed meanwhile; the job runs on.
        """
        if timeout is not None and not timeout >= 0:
            raise ConfigurationError(f"timeout={timeout!r}: must not be negative")
        if on_timeout not in ("detach", "cancel"):
            raise ConfigurationError(f"on_timeout={on_timeout!r}: must be 'detach' or 'cancel'")
        with self._awaited(), self._context.until_closed(), self._carried_by_errors():
            with anyio.move_on_after(timeout) as scope:
                await self._submit()
                await self._wait(on_report)
            if scope.cancelled_caught:
                await self._time_is_up(timeout, on_timeout)
            return self._result()

    def __await__(self) -> Generator[Any, Any, ExportResult]:
        return self.result().__await__()

    async def cancel(self, *, timeout: float = 60.0) -> CancelOutcome:
        """Cancels the job at the service and looks until that is confirmed.

        Args:
            timeout: seconds to wait for the confirmation (default 60).

        Raises:
            ConfigurationError: the export was not submitted.
            ApiError, RequestError: the request to cancel failed for another reason than that the
                job has ended.
        """
        with self._context.until_closed():
            await self._submission.wait_in_flight()
            job_id = self._accepted_id()
            try:
                await self._context.api().cancel_job(job_id)
            except ApiError as error:
                # A 400 means: look at the status. It may have ended, or the first answer was lost.
                if error.status_code != 400:
                    raise
                self._reports.note(await self._look())
            with anyio.move_on_after(timeout):
                await self._wait(None)
        return self._cancel_outcome()

    async def _look(self) -> StatusReport:
        source = self._source or self._context.api().status
        return await source(self._accepted_id())

    def _cancel_outcome(self) -> CancelOutcome:
        if self.report is None or not self.report.is_terminal:
            _log.warning("job %s: its cancellation was not confirmed", self.job_id)
            return CancelOutcome.NOT_CONFIRMED
        if self.report.status is JobStatus.CANCELLED:
            return CancelOutcome.CANCELLED
        return CancelOutcome.ALREADY_ENDED

    def _accepted_id(self) -> str:
        if self.job_id is None:
            raise ConfigurationError(f"{self!r} was not submitted yet")
        return self.job_id

    async def _wait(self, on_report: OnReport | None) -> None:
        await self._reports.wait_for_end(self._poll, on_report)

    async def _poll(self, seen: Callable[[StatusReport], Awaitable[None]]) -> None:
        fresh = self._fresh and self.report is None
        watch = self._context.watch
        own_way = self._source is not None or self._polling is not self._context.polling
        if watch is not None and not own_way:
            await watch.wait(self._accepted_id(), seen, fresh=fresh)
            return
        if fresh:
            await anyio.sleep(self._polling.initial_delay)
        source = self._source or self._context.status_source
        await poll(source, self._accepted_id(), self._polling, seen)

    def _note_change(self, report: StatusReport, before: StatusReport | None) -> None:
        job_id = self._accepted_id()
        previous = before.status if before else None
        if report.status is JobStatus.UNKNOWN:
            _log.warning("job %s: unknown status %r; waiting on", job_id, report.raw_status)
        self._context.emit(StatusEvent(job_id=job_id, status=report.status, previous=previous))
        if report.is_terminal:
            self._submission.let_go = False
            self._context.detached.pop(self._submission, None)
            _log.info("job %s: %s", job_id, report.status)
            self._context.emit(
                EndEvent(job_id=job_id, status=report.status, error_code=report.error_code)
            )

    async def _time_is_up(self, timeout: float | None, on_timeout: str) -> None:
        await self._submission.wait_in_flight()
        fate = "still runs"
        if on_timeout == "cancel" and self.job_id is not None:
            outcome = await self.cancel()
            if self.report and self.report.status is JobStatus.FINISHED:
                return
            fate = f"was to be cancelled: {outcome}"
        if self.job_id is None and self.spec is not None and self.in_doubt:
            raise SubmitInDoubt(
                f"{self.spec}: no more than {timeout:g} s were left to find out whether it was "
                "accepted",
                spec=self.spec,
                job=self,
            )
        what = f"job {self.job_id} {fate}" if self.job_id else f"{self.spec} was not submitted"
        raise JobTimeout(
            f"{timeout:g} s are over and {what}", job_id=self.job_id, report=self.report
        )

    def _result(self) -> ExportResult:
        report = self.report
        assert report is not None
        if report.status is JobStatus.FINISHED:
            return ExportResult.of(report, self.spec)
        kind = JobFailed if report.status is JobStatus.FAILED else JobCancelled
        reason = f": {report.message}" if report.message else ""
        raise kind(
            f"job {self.job_id} ended as {report.status}{reason}",
            job_id=self.job_id,
            report=report,
        )

    @contextmanager
    def _carried_by_errors(self) -> Iterator[None]:
        try:
            yield
        except (JobError, SubmitInDoubt) as error:
            error.job = self
            raise

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        """Counts who waits; when the last one leaves early the job is noted as detached."""
        submission = self._submission
        submission.awaiters += 1
        submission.let_go = False
        self._context.detached.pop(submission, None)
        try:
            yield
        except BaseException:
            submission.let_go = submission.awaiters == 1 and not self._reports.ended
            raise
        finally:
            submission.awaiters -= 1
            self._note_detached(logging.INFO)

    def _note_settled(self) -> None:
        self._note_detached(logging.WARNING)

    def _note_detached(self, level: int) -> None:
        if not self._submission.let_go or not (self.job_id or self.in_doubt):
            self._context.detached.pop(self._submission, None)
            return
        self._context.detached[self._submission] = self
        where = f"runs on as job {self.job_id}" if self.job_id else "may have been accepted"
        _log.log(
            level,
            "nobody awaits %s any more; it %s; token to resume: %s",
            self.spec or "the export",
            where,
            self.token,
        )

    def __repr__(self) -> str:
        status = self.report.status if self.report else None
        return f"<ExportJob id={self.job_id!r} status={status and str(status)!r} {self.spec or ''}>"
