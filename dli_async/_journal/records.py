"""What is remembered of an attempt: in memory only, or in a journal."""

from __future__ import annotations

from pathlib import Path

from .._export.context import HasContext
from .._export.departure import Departure
from .._export.errors import JobError, JobLost
from .._export.job import ExportJob
from .._export.submit.record import SubmitRecord
from .._export.token import SavedJob
from .._values.errors import DliError, JournalError
from .._values.reports import StatusReport
from .._values.results import ExportResult
from .._values.spec import ExportSpec
from .entries import JournalEntry
from .journal import Journal


class Record:
    """One attempt of one export, remembered in memory only; a `SubmitRecord` too.

    Attributes:
        spec: what this attempt sends.
        attempt: counts from 1.
        past: how it ended in an earlier run, or None.
        obstacle: why it cannot be exported now, or None.
        job_id: its job, as far as it is known.
        is_verified: whether its files were found complete.
        fetched_to: the local folder that has all of its files, or None.
    """

    past: ExportResult | JobError | None = None
    obstacle: DliError | None = None
    is_verified: bool = False
    fetched_to: Path | None = None

    def __init__(self, spec: ExportSpec, attempt: int = 1) -> None:
        self.spec = spec
        self.attempt = attempt
        self.job_id: str | None = None

    def job(self, client: HasContext, submit: SubmitRecord) -> ExportJob:
        """The handle: a new one, or one that goes on where an earlier run stopped."""
        return ExportJob(client, self.spec, record=submit)

    async def before_post(self, departure: Departure) -> None:
        """A POST leaves now."""

    async def accepted(self, job_id: str) -> None:
        """The export became a job."""

    def saw(self, report: StatusReport) -> None:
        """The job was seen in another state."""

    async def ended(self, report: StatusReport, error: str | None) -> None:
        """The job has ended."""

    async def lost(self, error: JobLost) -> None:
        """The service does not know the job, or gives its id to another export."""

    async def left(self, job: ExportJob, error: Exception | None) -> None:
        """Nobody waits any more, and the end is not known; `error` says why, if it was one."""

    async def verified(self, error: Exception | None) -> None:
        """The files are complete, or `error` says what keeps that in doubt."""
        self.is_verified = error is None

    async def fetching(self, folder: Path) -> None:
        """The files begin to come into a local folder.

        Raises:
            FilesError: it has those of another export.
        """

    async def fetched(self, folder: Path, error: Exception | None) -> None:
        """All files have come, or `error` says why not."""
        self.fetched_to = folder if error is None else None

    async def again(self, spec: ExportSpec) -> Record:
        """The next attempt."""
        return Record(spec, self.attempt + 1)


class JournalRecord(Record):
    """One attempt of one export, remembered in a journal."""

    def __init__(self, journal: Journal, entry: JournalEntry) -> None:
        super().__init__(entry.spec, entry.attempt)
        self._journal = journal
        self._entry = entry
        self._noted: Departure | None = None
        self.job_id = self._noted_id = entry.job_id
        self.past = entry.outcome()
        self.is_verified = entry.verified_at is not None
        if entry.fetched_at is not None and entry.fetched_to is not None:
            self.fetched_to = Path(entry.fetched_to)
        if entry.owner != journal.owner:
            self.obstacle = JournalError(
                f"{entry.spec}: belongs to {entry.owner} until {entry.lease_expires_at}"
            )

    def job(self, client: HasContext, submit: SubmitRecord) -> ExportJob:
        entry = self._entry
        if entry.job_id is not None:
            known = SavedJob(export_id=entry.export_key, job_id=entry.job_id, spec=self.spec)
            return ExportJob.resume(client, known.to_text())
        export_id = entry.export_key or self._journal.export_id(entry)
        saved = SavedJob(export_id=export_id, spec=self.spec, departure=entry.departure)
        return ExportJob.resume(client, saved.to_text(), record=submit)

    async def before_post(self, departure: Departure) -> None:
        self._noted = departure
        await self._journal.departing(self._entry.id, departure)

    async def accepted(self, job_id: str) -> None:
        await self._journal.submitted(self._entry.id, job_id)
        self._noted_id = job_id

    def saw(self, report: StatusReport) -> None:
        self._journal.saw_status(self._entry.id, report)

    async def ended(self, report: StatusReport, error: str | None) -> None:
        await self._journal.ended(self._entry.id, report, error)

    async def lost(self, error: JobLost) -> None:
        await self._journal.lost(self._entry.id, str(error))

    async def left(self, job: ExportJob, error: Exception | None) -> None:
        reason = _words(error)
        if job.job_id is not None:
            if reason is not None or job.job_id != self._noted_id:
                await self._journal.submitted(self._entry.id, job.job_id, reason)
        elif job.in_doubt:
            if reason is not None:
                await self._journal.trouble(self._entry.id, reason)
        elif reason is not None:
            await self._journal.refused(self._entry.id, reason)
        elif self._noted is not None:
            await self._journal.not_sent(self._entry.id, self._noted)

    async def verified(self, error: Exception | None) -> None:
        await super().verified(error)
        await self._journal.verified(self._entry.id, _words(error))

    async def fetching(self, folder: Path) -> None:
        await self._journal.fetching(self._entry.id, str(folder))

    async def fetched(self, folder: Path, error: Exception | None) -> None:
        await super().fetched(folder, error)
        await self._journal.fetched(self._entry.id, _words(error))

    async def again(self, spec: ExportSpec) -> Record:
        entry = await self._journal.plan_again(self._entry, spec)
        return JournalRecord(self._journal, entry)


def _words(error: Exception | None) -> str | None:
    return None if error is None else str(error) or type(error).__name__


class Records:
    """The memory of one run.

    Args:
        journal: None keeps nothing.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal

    async def open(self, spec: ExportSpec) -> Record:
        """What is known of an export.

        Raises:
            InvalidExport: the journal has another export with this folder, or other options.
            JournalError: the journal cannot be written.
        """
        if self._journal is None:
            return Record(spec)
        return JournalRecord(self._journal, await self._journal.plan(spec))
