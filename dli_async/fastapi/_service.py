"""What the router can do for a caller: the policy, the journal, the runner and the feed at work."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio

from .._client import DliClient
from .._export.errors import JobCancelled, JobFailed
from .._export.job import ExportJob
from .._journal.entries import ExportState, JournalEntry
from .._values.errors import NotFound
from .._values.files import FilesError, PartFile
from .._values.results import CancelOutcome
from .._values.spec import ExportSpec
from ._problems import NoFiles, UnknownExport
from ._progress import Progress
from ._runner import Runner
from ._store import Filters, WebJournal
from ._views import ExportView, FilePage, FileView
from .events import Feed, Item
from .policy import ExportPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a router works; times are in seconds, as `exports_router` explains them."""

    policy: ExportPolicy
    journal: str | os.PathLike[str]
    lease: float
    heartbeat: float
    cancel_timeout: float
    link_life: int
    feed_interval: float = 0.25
    progress_interval: float = 2.0


class ExportService:
    """The exports of one router in one worker."""

    def __init__(self, settings: Settings, client: DliClient, journal: WebJournal) -> None:
        self.settings = settings
        self.policy = settings.policy
        self.journal = journal
        self._client = client
        self.feed = Feed(journal, settings.feed_interval)
        self.runner = Runner(client, journal, settings.lease)
        self.progress = Progress(client, journal, self.feed, settings.progress_interval)

    @classmethod
    @asynccontextmanager
    async def serving(cls, settings: Settings, client: DliClient) -> AsyncIterator[ExportService]:
        """Opens the journal, goes on with what it holds, and stops without losing anything."""
        owner = f"web {socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"
        async with WebJournal.open(settings.journal, owner=owner) as journal:
            assert isinstance(journal, WebJournal)
            service = cls(settings, client, journal)
            async with service.runner.serving(), anyio.create_task_group() as tasks:
                tasks.start_soon(service.feed.serve)
                tasks.start_soon(service.progress.serve)
                try:
                    yield service
                finally:
                    tasks.cancel_scope.cancel()

    def view(self, entry: JournalEntry) -> ExportView:
        """An export as callers see it."""
        return ExportView.of(entry, self.progress.of(entry.id))


class CallersExports:
    """What one caller may do with the exports of a service.

    Args:
        identity: who calls; None if the router was made without identities.
    """

    def __init__(self, service: ExportService, identity: str | None) -> None:
        self.service = service
        self.identity = identity
        self._sees_all = service.policy.sees_all(identity)

    def sees(self, item: Item | JournalEntry) -> bool:
        """Whether something is about an export that the caller may see."""
        return self._sees_all or item.identity == self.identity

    async def start(self, specs: Sequence[ExportSpec]) -> list[JournalEntry]:
        """Accepts all of some exports, or none; they are durable when this returns.

        Raises:
            PolicyViolation: the policy does not allow one of them.
            FolderInUse: it would spoil another export; see `WebJournal.accept`.
        """
        for spec in specs:
            self.service.policy.check(spec)
        entries = await self.service.journal.accept(
            specs,
            identity=self.identity,
            max_active=self.service.policy.max_active,
            lease=self.service.settings.lease,
        )
        for entry in entries:
            self.service.runner.start(entry)
        return entries

    async def page(self, filters: Filters, *, before: int | None, limit: int) -> list[JournalEntry]:
        """The caller's exports, the newest first."""
        identity = None if self._sees_all else self.identity
        return await self.service.journal.page(
            filters, identity=identity, before=before, limit=limit
        )

    async def find(self, known_as: str) -> JournalEntry:
        """An export by its own id, or by the id of its job.

        Raises:
            UnknownExport: there is none, or the caller may not see it.
        """
        journal = self.service.journal
        is_number = known_as.isascii() and known_as.isdigit() and len(known_as) < 19
        entry = await journal.entry(int(known_as)) if is_number else None
        entry = entry or await journal.entry_of_job(known_as)
        if entry is None or not self.sees(entry):
            raise UnknownExport(f"there is no export {known_as!r}")
        return entry

    async def files(self, known_as: str, *, after: str, limit: int) -> FilePage:
        """A page of what lies in the folder of a finished export, with links if they are allowed.

        Args:
            after: the name of the last file of the page before; "" for the first page.

        Raises:
            UnknownExport: there is none, or the caller may not see it.
            PolicyViolation: the policy does not allow its table or its folder any more.
            NoFiles: it has not finished, or its folder has become another export's.
            FilesError, ApiError, RequestError: OBS could not be asked.
        """
        entry = await self.find(known_as)
        self.service.policy.check_data(entry.spec)
        await self._check_is_owner(entry)
        parts = await _list(self.service._client, entry.spec.data_path)
        left = [part for part in parts if part.name > after]
        page = left[:limit]
        links, expire_at = await self._links(page)
        return FilePage(
            files=[FileView.of(part, link) for part, link in zip(page, links, strict=True)],
            count=len(parts),
            size=sum(part.size for part in parts),
            next_after=page[-1].name if len(left) > limit else None,
            links_expire_at=expire_at,
        )

    async def _check_is_owner(self, entry: JournalEntry) -> None:
        """Looks whether what lies in the folder of an export was written by it."""
        if entry.state is not ExportState.FINISHED:
            raise NoFiles(f"export {entry.id} has not finished: its state is {str(entry.state)!r}")
        if await self.service.journal.is_overwritten(entry):
            raise NoFiles(f"a later export to {entry.folder!r} has or may have replaced the files")

    async def _links(
        self, page: Sequence[PartFile]
    ) -> tuple[Sequence[str | None], datetime | None]:
        if not self.service.policy.links or not page:
            return [None] * len(page), None
        life = self.service.settings.link_life
        # A link begins with a whole second, and must not end before it is told to.
        expire_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=life)
        return await self.service._client.files.links(page, expires=life), expire_at

    async def cancel(self, known_as: str) -> tuple[CancelOutcome, JournalEntry]:
        """Cancels an export, wherever it is and whichever worker has it.

        Raises:
            UnknownExport: there is none, or the caller may not see it.
            ApiError, RequestError: DLI could not be asked.
        """
        entry = await self.find(known_as)
        if entry.state is ExportState.PLANNED:
            entry = await self.service.journal.cancel_planned(entry.id) or await self._now(entry)
            if entry.state is ExportState.CANCELLED:
                return CancelOutcome.CANCELLED, entry
        timeout = self.service.settings.cancel_timeout
        started = anyio.current_time()
        if entry.job_id is None and not entry.state.is_end:
            entry = await self._when_submitted(entry, timeout)
        if entry.state.is_end:
            return CancelOutcome.ALREADY_ENDED, entry
        if entry.job_id is None:
            return CancelOutcome.NOT_CONFIRMED, entry
        left = max(0.0, started + timeout - anyio.current_time())
        return await self._cancel_job(entry, entry.job_id, left)

    async def _when_submitted(self, entry: JournalEntry, timeout: float) -> JournalEntry:
        """An export whose POST is under way, when its fate is known or the time is up."""
        service = self.service
        with anyio.move_on_after(timeout):
            after = await service.journal.last_seq()
            async with aclosing(service.feed.follow(after, entry.id)) as items:
                current = await self._now(entry)
                while current.state is ExportState.SUBMITTING and current.job_id is None:
                    await anext(items)
                    current = await self._now(entry)
        return await self._now(entry)

    async def _cancel_job(
        self, entry: JournalEntry, job_id: str, timeout: float
    ) -> tuple[CancelOutcome, JournalEntry]:
        job = ExportJob.attach(self.service._client, job_id, spec=entry.spec)
        outcome = await job.cancel(timeout=timeout)
        if job.report is not None and job.report.is_terminal:
            # Whoever holds the export will see the same end, but the caller is told now.
            with anyio.CancelScope(shield=True):
                await self.service.journal.ended(entry.id, job.report, await _reason(job))
        return outcome, await self._now(entry)

    async def _now(self, entry: JournalEntry) -> JournalEntry:
        return await self.service.journal.entry(entry.id) or entry


async def _list(client: DliClient, data_path: str) -> tuple[PartFile, ...]:
    try:
        return await client.files.list(data_path)
    except NotFound as error:
        # The caller asked for an export, which is there; that its bucket is not is OBS's word.
        raise FilesError(str(error)) from error


async def _reason(job: ExportJob) -> str | None:
    """Why a job that has ended has no result."""
    try:
        await job.result()
    except (JobFailed, JobCancelled) as error:
        return str(error)
    return None
