"""One attempt of an export under way: its job, and what the record keeps of it."""

from __future__ import annotations

from typing import Protocol

import anyio

from .._export.context import HasContext
from .._export.departure import Departure
from .._export.errors import JobCancelled, JobFailed, JobLost
from .._export.outcomes import unknown_job
from .._values.errors import ClientClosed, DliError, JournalError, NotFound
from .._values.reports import StatusReport
from .._values.results import ExportResult
from .records import Record


class Listener(Protocol):
    """Who hears of an attempt beside its record."""

    def accepted(self, job_id: str) -> None:
        """The export became a job."""

    def saw(self, report: StatusReport) -> None:
        """The job was seen in another state."""


class Attempt:
    """Carries an attempt on from where its record says that it is.

    Attributes:
        job: its job, which may have been submitted by an earlier process.
        is_over: whether the record knows how it ended.
    """

    def __init__(
        self, client: HasContext, record: Record, listener: Listener | None = None
    ) -> None:
        self.job = record.job(client, self)
        self.is_over = False
        self._record = record
        self._listener = listener
        self._last_status: str | None = None

    async def run(
        self, *, timeout: float | None = None, fatal: tuple[type[DliError], ...] = ()
    ) -> ExportResult | Exception:
        """Submits if need be and waits for the end, which is recorded.

        However it is left, what is known by then is recorded too. An error that is no end of the
        job is given back, and not recorded.

        Args:
            timeout: seconds for the wait.
            fatal: errors to raise, beside those that leave nothing to record in.
        """
        try:
            end = await self._end(timeout, (JournalError, ClientClosed, *fatal))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.job.settled()
                await self._record.left(self.job, None)
            raise
        self._record.job_id = self.job.job_id
        self.is_over = await self._is_recorded(end)
        return end

    async def _end(
        self, timeout: float | None, fatal: tuple[type[DliError], ...]
    ) -> ExportResult | Exception:
        try:
            return await self.job.result(timeout=timeout, on_report=self._saw)
        except fatal:
            raise
        except NotFound as error:
            return unknown_job(self.job.job_id, error)
        except Exception as error:
            return error

    async def _is_recorded(self, end: ExportResult | Exception) -> bool:
        if isinstance(end, ExportResult):
            await self._record.ended(end.report, None)
        elif isinstance(end, JobLost):
            await self._record.lost(end)
        elif isinstance(end, JobFailed | JobCancelled) and end.report is not None:
            await self._record.ended(end.report, str(end))
        else:
            return False
        return True

    async def before_post(self, departure: Departure) -> None:
        """See `SubmitRecord`."""
        await self._record.before_post(departure)

    async def accepted(self, job_id: str) -> None:
        """See `SubmitRecord`."""
        await self._record.accepted(job_id)
        if self._listener is not None:
            self._listener.accepted(job_id)

    def _saw(self, report: StatusReport) -> None:
        if report.raw_status == self._last_status:
            return
        self._last_status = report.raw_status
        if self._listener is not None:
            self._listener.saw(report)
        if not report.is_terminal:
            self._record.saw(report)
