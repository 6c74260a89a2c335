"""ExportJob: the handle of one export, from spec to result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, Literal

import anyio

from .._values.errors import ApiError, ConfigurationError
from .._values.policies import PollPolicy
from .._values.reports import JobDetail, JobProgress, StatusReport
from .._values.results import CancelOutcome, ExportResult
from .._values.spec import ExportSpec
from .awaiting import Awaiting, absence_noted, note_detached, tell_change
from .context import HasContext
from .errors import JobTimeout
from .outcomes import cancel_outcome, check_wait, end_wait, own_report, result_of
from .submit.record import SubmitRecord
from .token import SavedJob
from .watch.last_seen import LastSeen, OnReport, tell
from .watch.patience import is_noise
from .watch.polling import StatusSource, ask_source, source_watch
from .watch.watch import Watch


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
        client: HasContext,
        spec: ExportSpec | None,
        *,
        status_source: StatusSource | None = None,
        polling: PollPolicy | None = None,
        record: SubmitRecord | None = None,
        _saved: SavedJob | None = None,
    ) -> None:
        if not isinstance(spec, ExportSpec) and (spec is not None or _saved is None):
            raise ConfigurationError(
                f"spec={spec!r}: must be a TableExport, a QueryExport or a ResultExport"
            )
        saved = _saved or SavedJob()
        context = client.job_context
        self.spec = spec
        self.context = context
        self._source = status_source
        self._polling = polling or context.polling
        self._seen = LastSeen()
        self._own_watch: Watch | None = None
        self._fresh = False
        self.submission = context.submission(spec, saved, record)

    @classmethod
    def attach(
        cls,
        client: HasContext,
        job_id: str,
        *,
        spec: ExportSpec | None = None,
        status_source: StatusSource | None = None,
        polling: PollPolicy | None = None,
    ) -> ExportJob:
        """The handle of a job that exists already. No I/O."""
        if not isinstance(job_id, str) or not job_id:
            raise ConfigurationError(f"job_id={job_id!r}: must be the id of a job")
        saved = SavedJob(job_id=job_id)
        return cls(client, spec, status_source=status_source, polling=polling, _saved=saved)

    @classmethod
    def resume(
        cls,
        client: HasContext,
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
        ways = partial(cls, status_source=status_source, polling=polling, record=record)
        return ways(client, saved.spec, _saved=saved)

    @property
    def job_id(self) -> str | None:
        """The service's id; None until the export was accepted."""
        return self.submission.job_id

    @property
    def report(self) -> StatusReport | None:
        """The latest report that was seen, without asking; None before the first look."""
        return self._seen.latest

    @property
    def ended(self) -> bool:
        """Whether the job is known to have ended, without asking."""
        return self._seen.ended

    @property
    def in_doubt(self) -> bool:
        """Whether the export may or may not have been accepted."""
        return self.submission.open_departure is not None

    @property
    def token(self) -> str:
        """Versioned JSON, without secrets, from which `ExportJob.resume` makes this job again."""
        key = self.submission.export_id if self.job_id else self.submission.key
        if key is not None:
            self.context.registry.remember(key, self.submission)
        return SavedJob(
            export_id=key,
            job_id=self.job_id,
            spec=self.spec,
            departure=self.submission.open_departure,
        ).to_text()

    async def submit(self) -> str:
        """Submits the export once, whoever else does the same, and returns the job id.

        Raises:
            SubmitInDoubt: whether it was accepted could not be settled.
            ApiError: the service refused it.
            RequestNotSent: it could not be sent.
        """
        with Awaiting(self):
            return await self._submit()

    async def _submit(self) -> str:
        if self.job_id is not None:
            return self.job_id
        with self.context.until_closed():
            job_id = await self.submission.run(partial(note_detached, self))
        self._fresh = True
        return job_id

    async def settled(self) -> None:
        """Waits for the end of a POST that has left, if there is one; never sends anything.

        It takes one `request_timeout` at most, and then `job_id` and `in_doubt` say what is known.
        """
        await self.submission.wait_in_flight()

    async def status(self) -> StatusReport:
        """One look at the job.

        Raises:
            ConfigurationError: the export was not submitted yet.
            ApiError, RequestError: the look failed.
        """
        with self.context.until_closed():
            return await self._look()

    async def detail(self) -> JobDetail:
        """What the job was asked to do. Errors as for `status`."""
        with self.context.until_closed():
            return await self.context.api().job_detail(self._accepted_id())

    async def progress(self) -> JobProgress:
        """How far the job is, as a best effort of the service. Errors as for `status`."""
        with self.context.until_closed():
            return await self.context.api().job_progress(self._accepted_id())

    async def result(
        self,
        *,
        timeout: float | None = None,
        on_report: OnReport | None = None,
        on_timeout: Literal["detach", "cancel"] = "detach",
    ) -> ExportResult:
        """Submits the export if need be and waits for its end.

        Args:
            timeout: seconds for the whole wait; None (default) waits for ever. No look outlasts
                it: 0 gives what is known already, and `status` looks. A wait that ends while the
                submit is under way may overrun by one `request_timeout`.
            on_report: called, or awaited, with reports of the job, in this task; if it takes long,
                only with the latest. An error in it ends this wait only.
            on_timeout: `detach` (default) leaves the job alone; `cancel` then calls `cancel`.

        Raises:
            JobFailed, JobCancelled: the job ended so.
            JobLost: the service shows another export under the id of this one.
            JobTimeout: the job was not seen to end within `timeout`, or looks kept failing; it
                may still run.
            SubmitInDoubt, ApiError, RequestError: see `submit`.
            ClientClosed: the client closed meanwhile; the job runs on.
        """
        return await self._result(timeout, on_report, on_timeout)

    async def _result(
        self,
        timeout: float | None = None,
        on_report: OnReport | None = None,
        on_timeout: Literal["detach", "cancel"] = "detach",
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> ExportResult:
        """See `result`; `check` comes before the submit, in the same time."""
        check_wait(timeout, on_timeout)
        with Awaiting(self):
            # Without a limit there is no scope, which thousands would keep.
            with nullcontext() if timeout is None else anyio.move_on_after(timeout) as scope:
                if check is not None:
                    await check()
                    check = None
                await self._submit()
                self.context.api()  # raises where a closed client, or one of another loop, is used
                if not self.ended:
                    await self._wait(on_report)
            if timeout is not None and scope is not None and scope.cancelled_caught:
                undone = "submitted" if check is None else "checked"
                cancel = self.cancel if on_timeout == "cancel" else None
                await end_wait(self.submission, self._seen, timeout, undone, cancel)
            return result_of(self.report, self.spec)

    def __await__(self) -> Generator[Any, Any, ExportResult]:
        return self._result().__await__()

    async def cancel(self, *, timeout: float = 60.0) -> CancelOutcome:
        """Cancels the job at the service and looks until that is confirmed.

        Args:
            timeout: seconds to wait for the confirmation (default 60).

        Raises:
            ConfigurationError: the export was not submitted, or `timeout` is negative.
            ApiError, RequestError: the request to cancel failed for another reason than that the
                job has ended.
        """
        check_wait(timeout)
        with self.context.until_closed():
            await self.submission.wait_in_flight()
            job_id = self._accepted_id()
            try:
                await self.context.api().cancel_job(job_id)
            except ApiError as error:
                # A 400 means: look at the status. It may have ended, or the first answer was lost.
                if error.status_code != 400:
                    raise
                await self._look_through_noise()
            if not self.ended:
                # Not through the client's watch, which is in no hurry to see what has not started.
                with suppress(JobTimeout), anyio.move_on_after(timeout):
                    await self._make_watch().wait(job_id, self._note, fresh=self._is_new)
        return cancel_outcome(job_id, self.report)

    async def _look(self) -> StatusReport:
        api = self.context.api()
        # Only a client without a source of its own has a watch.
        client_source = api.status if self.context.watch else self.context.status_source
        with absence_noted(self):
            report = await ask_source(self._source or client_source, self._accepted_id())
        await self._note(report)
        return report

    async def _look_through_noise(self) -> None:
        try:
            await self._look()
        except Exception as error:
            if not is_noise(error):
                raise

    def _accepted_id(self) -> str:
        if self.job_id is None:
            fate = "may or may not have been accepted" if self.in_doubt else "was not submitted yet"
            raise ConfigurationError(f"{self!r} {fate}")
        return self.job_id

    def _own(self, report: StatusReport) -> StatusReport:
        return own_report(report, self.spec, self.submission.export_id)

    async def _note(self, report: StatusReport) -> None:
        """Takes in a report that those who wait have not seen yet."""
        self._seen.note(self._own(report), partial(tell_change, self))
        if self._own_watch is not None:
            self._own_watch.note(report)

    def _wait(self, on_report: OnReport | None) -> Awaitable[object]:
        async def seen(report: StatusReport) -> None:
            self._seen.note(self._own(report), partial(tell_change, self))
            await tell(on_report, report)

        watch = self.context.watch
        if watch is None or self._source or self._polling is not self.context.polling:
            watch = self._own_watch = self._own_watch or self._make_watch()
        sight = self._seen.note_sight
        kind = self.submission.job_type
        end = watch.wait(self._accepted_id(), seen, fresh=self._is_new, left=sight, job_type=kind)
        return self._until_closed(end) if watch is self._own_watch else end

    async def _until_closed(self, end: Awaitable[object]) -> None:
        with self.context.until_closed():
            await end

    def _make_watch(self) -> Watch:
        return source_watch(self._source or self.context.status_source, self._polling)

    @property
    def _is_new(self) -> bool:
        return self._fresh and self.report is None

    def __repr__(self) -> str:
        status = self.report.status if self.report else None
        return f"<ExportJob id={self.job_id!r} status={status and str(status)!r} {self.spec or ''}>"
