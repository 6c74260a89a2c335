"""The durable record of exports: what was meant, what was submitted, and what came of it.

    async with Journal.open("run.db", owner="worker-1") as journal:
        entry = await journal.add(spec, identity="alice", lease=60.0)

Every change of state is an event with a sequence number. Nothing here touches the file on the
event loop. Changes that a loss of power must not undo (intents and job ids) are flushed to the
disk before the call returns; the rest survives the death of the process.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

import anyio.to_thread

from .._export.departure import Departure
from .._values.errors import ConfigurationError
from .._values.reports import StatusReport
from .._values.spec import ExportSpec
from .entries import ExportState, JournalEntry, JournalEvent, dump_report, end_state
from .sqlite import changes as changes
from .sqlite.schema import reading, writing
from .sqlite.writer import Writer

T = TypeVar("T")

_NO_DEPARTURE: Any = dict.fromkeys(
    ("doubted_at", "departed_at", "doubted_at_server", "departed_at_server")
)


class JournalReader:
    """Reads a journal, also while somebody writes it.

    Args:
        path: the file; it is never created.

    All methods raise `JournalError` if the file is not there or not a journal.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()

    async def entries(
        self,
        *,
        states: Iterable[ExportState] = (),
        identity: str | None = None,
        owner: str | None = None,
        after: int = 0,
        limit: int = -1,
    ) -> list[JournalEntry]:
        """Exports in the order in which they were planned.

        Args:
            states: only exports in one of these; all by default.
            identity: only exports of this caller; None (default) for everybody's.
            owner: only exports that this worker holds or held.
            after: only exports with a greater `id`, for paging.
            limit: at most this many; all by default.
        """
        wanted = {f"state_{number}": str(state) for number, state in enumerate(states)}
        condition = f"state IN ({', '.join(f':{name}' for name in wanted)})" if wanted else "1"
        return await self._read(
            "SELECT * FROM exports WHERE (:identity IS NULL OR identity = :identity) AND "
            f"(:owner IS NULL OR owner = :owner) AND id > :after AND {condition} "
            "ORDER BY id LIMIT :limit",
            {"identity": identity, "owner": owner, "after": after, "limit": limit, **wanted},
            JournalEntry.of,
        )

    async def entry(self, export_id: int) -> JournalEntry | None:
        """One export, or None."""
        sql = "SELECT * FROM exports WHERE id = ?"
        return next(iter(await self._read(sql, (export_id,), JournalEntry.of)), None)

    async def entry_of_job(self, job_id: str) -> JournalEntry | None:
        """The export that became this job, or None."""
        sql = "SELECT * FROM exports WHERE job_id = ?"
        return next(iter(await self._read(sql, (job_id,), JournalEntry.of)), None)

    async def events(
        self, *, after: int = 0, export_id: int | None = None, limit: int = -1
    ) -> list[JournalEvent]:
        """Changes with a sequence number greater than `after`, in order."""
        return await self._read(
            "SELECT * FROM events WHERE seq > :after AND (:id IS NULL OR export_id = :id) "
            "ORDER BY seq LIMIT :limit",
            {"after": after, "id": export_id, "limit": limit},
            JournalEvent.of,
        )

    async def counts(self, *, identity: str | None = None) -> dict[ExportState, int]:
        """How many exports are in each state, zeros included; earlier attempts count too."""
        rows = await self._read(
            "SELECT state, count(*) FROM exports WHERE :identity IS NULL OR identity = :identity "
            "GROUP BY state",
            {"identity": identity},
            tuple,
        )
        return dict.fromkeys(ExportState, 0) | {ExportState(row[0]): row[1] for row in rows}

    async def job_ids(self) -> list[str]:
        """The ids of all jobs, oldest first."""
        sql = "SELECT job_id FROM exports WHERE job_id IS NOT NULL ORDER BY id"
        return await self._read(sql, (), lambda row: str(row[0]))

    async def _read(
        self,
        sql: str,
        values: tuple[Any, ...] | dict[str, Any],
        make: Callable[[sqlite3.Row], T],
    ) -> list[T]:
        def fetch() -> list[T]:
            with reading(self.path) as db:
                return [make(row) for row in db.execute(sql, values)]

        return await anyio.to_thread.run_sync(fetch)


class Journal(JournalReader):
    """A journal that is open for writing, by `open`.

    Attributes:
        owner: in whose name exports are held.
    """

    def __init__(self, path: str | os.PathLike[str], owner: str, exclusive: bool) -> None:
        super().__init__(path)
        self.path = self.path.resolve()
        self.owner = owner
        opening = partial(writing, self.path, owner, exclusive=exclusive)
        self._writer = Writer(self.path, opening)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: str | os.PathLike[str], *, owner: str, exclusive: bool = False
    ) -> AsyncGenerator[Journal]:
        """Opens a journal, or makes a new one, and closes it at the end.

        Args:
            owner: names this worker; every process must have its own.
            exclusive: whether to hold the lock of a bulk run (default False).

        Raises:
            JournalError: it is not a journal, is of a newer version, cannot be written, or is
                locked by another bulk run.
        """
        journal = cls(path, owner, exclusive)
        await journal._writer.start()
        try:
            yield journal
        finally:
            await journal._writer.close()

    def export_id(self, entry: JournalEntry) -> str:
        """Tells an export of this journal from all others, also from those of other journals."""
        return uuid5(NAMESPACE_URL, f"{self.path.as_uri()}#{entry.id}").hex

    async def add(
        self,
        spec: ExportSpec,
        *,
        data_path: str | None = None,
        identity: str | None = None,
        lease: float | None = None,
    ) -> JournalEntry:
        """Plans an export, as the next attempt of its key, and holds it.

        Args:
            data_path: the folder that was asked for, where `spec` has a fresh one.
            identity: the caller on whose behalf it is.
            lease: seconds after which others may claim it unless it is renewed; None (default)
                for exports of a bulk run.
        """
        change = partial(
            changes.insert,
            spec=spec,
            data_path=data_path or spec.data_path,
            owner=self.owner,
            identity=identity,
            lease=lease,
        )
        return await self._writer.run(change, durable=True)

    async def plan(self, spec: ExportSpec) -> JournalEntry:
        """The latest attempt of an export, which now belongs to this owner; a new one if none.

        An export that another worker holds by a lease is returned as it is.

        Raises:
            InvalidExport: its folder belongs to another export of the journal, or the journal has
                it with other options.
        """
        return await self._writer.run(partial(changes.plan, spec=spec, owner=self.owner))

    async def plan_again(self, entry: JournalEntry, spec: ExportSpec) -> JournalEntry:
        """Plans the next attempt of an export, with a folder of its own.

        Raises:
            InvalidExport: the folder belongs to another export of the journal.
        """
        change = partial(changes.plan_again, entry=entry, spec=spec, owner=self.owner)
        return await self._writer.run(change)

    async def departing(self, export_id: int, departure: Departure) -> None:
        """Notes, durably, that a POST leaves now.

        Raises:
            JournalError: it may not, since the export has ended, or another worker has it.
        """
        change = partial(
            changes.note_departure, export_id=export_id, owner=self.owner, departure=departure
        )
        await self._writer.run(change, durable=True)

    async def submitted(self, export_id: int, job_id: str, error: str | None = None) -> None:
        """Notes, durably, which job an export became; `error` says why nobody waits for it."""
        columns = {"state": ExportState.SUBMITTED, "job_id": job_id, "error": error}
        await self._change(export_id, durable=True, **columns)

    def saw_status(self, export_id: int, report: StatusReport) -> None:
        """Notes the state of a job, some time soon."""
        status = report.raw_status or str(report.status)
        self._writer.post(partial(changes.change, export_id=export_id, status=status))

    async def ended(self, export_id: int, report: StatusReport, error: str | None) -> None:
        """Notes how the job of an export ended."""
        await self._change(
            export_id,
            state=end_state(report.status),
            job_id=report.job_id,
            status=report.raw_status or str(report.status),
            error=error,
            duration=report.duration.total_seconds() if report.duration else None,
            row_count=report.row_count,
            input_size=report.input_size,
            report_json=dump_report(report),
        )

    async def lost(self, export_id: int, error: str) -> None:
        """Notes that the service does not know the job of an export, or gives its id to another."""
        await self._change(export_id, state=ExportState.LOST, error=error)

    async def refused(self, export_id: int, error: str) -> None:
        """Notes that an export was not accepted, so that there is no job of it."""
        await self._change(export_id, state=ExportState.FAILED, error=error, **_NO_DEPARTURE)

    async def not_sent(self, export_id: int, departure: Departure) -> None:
        """Takes back what `departing` noted: that POST made nothing, and nobody refused it."""
        change = partial(
            changes.take_back, export_id=export_id, owner=self.owner, departure=departure
        )
        await self._writer.run(change)

    async def trouble(self, export_id: int, error: str) -> None:
        """Notes why an export does not get on, or why it is not known whether it was accepted."""
        await self._change(export_id, error=error)

    async def verified(self, export_id: int, error: str | None) -> None:
        """Notes that the files of a finished export are complete, or what keeps that in doubt."""
        at = time.time() if error is None else None
        await self._note_files(export_id, verified_at=at, verify_error=error)

    async def fetching(self, export_id: int, folder: str) -> None:
        """Notes that the files of a finished export begin to come into a local folder.

        Raises:
            FilesError: those of another export of the journal are there.
        """
        change = partial(changes.claim_folder, export_id=export_id, owner=self.owner, folder=folder)
        await self._writer.run(change)

    async def fetched(self, export_id: int, error: str | None) -> None:
        """Notes that all files of a finished export have come, or why not."""
        at = time.time() if error is None else None
        await self._note_files(export_id, fetched_at=at, fetch_error=error)

    async def claim(self, export_id: int | None = None, *, lease: float) -> list[JournalEntry]:
        """Takes over the unended exports that nobody holds any more, or one of them.

        An export is free when it has no owner or its lease is over; those of a bulk run have an
        owner and no lease, and are never free. A named one that is held already is renewed.

        Args:
            export_id: only this one.
            lease: seconds to hold them unless `renew` is called.
        """
        _check_lease(lease)
        change = partial(changes.claim, owner=self.owner, lease=lease, export_id=export_id)
        return await self._writer.run(change)

    async def renew(self, *, lease: float) -> int:
        """Holds all unended exports of this owner for `lease` more seconds; returns how many.

        Fewer than expected means that some were taken over by others meanwhile.
        """
        _check_lease(lease)
        return await self._writer.run(partial(changes.renew, owner=self.owner, lease=lease))

    async def release(self, export_ids: Iterable[int]) -> None:
        """Lets go of exports, so that others may claim them at once."""
        change = partial(changes.release, owner=self.owner, export_ids=list(export_ids))
        await self._writer.run(change)

    async def _change(self, export_id: int, *, durable: bool = False, **columns: Any) -> None:
        # What is known of a job is true whoever tells it; all else only the owner may say.
        owner = None if "job_id" in columns else self.owner
        change = partial(changes.change, export_id=export_id, owner=owner, **columns)
        await self._writer.run(change, durable=durable)

    async def _note_files(self, export_id: int, **columns: Any) -> None:
        change = partial(changes.note_files, export_id=export_id, owner=self.owner, **columns)
        await self._writer.run(change)


def _check_lease(lease: float) -> None:
    if not lease > 0:
        raise ConfigurationError(f"lease={lease!r}: must be positive, in seconds")
