"""The journal as a web service uses it: many callers, and several workers on one file.

A worker that was held up for longer than its lease may find that another one has taken over. So
each change says under which condition it still holds: an end is never undone, and a POST leaves
only while its export is this worker's, has no job and was not cancelled.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .._journal.entries import ENDS, ExportState, JournalEntry, JournalEvent
from .._journal.journal import Journal
from .._journal.sqlite import changes as changes
from .._values.enums import ExportMode
from .._values.paths import FolderSet
from .._values.spec import ExportSpec
from ._problems import FolderInUse
from .policy import PolicyViolation

_ENDS = ", ".join(repr(str(state)) for state in ENDS)
_UNENDED = f"state NOT IN ({_ENDS})"
# Given up, and its job may run all the same.
_IN_DOUBT = f"(state = '{ExportState.LOST}' AND job_id IS NULL)"
# What keeps to ErrorIfExists fails, and so it must not hide the files that were there.
_LEFT_ALONE = (ExportState.PLANNED, ExportState.FAILED, ExportState.CANCELLED)
UNENDED = tuple(state for state in ExportState if state not in ENDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which exports a list holds; None and empty are no filter."""

    states: Sequence[ExportState] = ()
    database_name: str | None = None
    table_name: str | None = None
    data_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An event of the journal and the export that it is about, as that is now."""

    event: JournalEvent
    entry: JournalEntry


class WebJournal(Journal):
    """A journal that serves callers and is shared with other workers."""

    async def accept(
        self,
        specs: Sequence[ExportSpec],
        *,
        identity: str | None,
        max_active: int | None,
        lease: float,
    ) -> list[JournalEntry]:
        """Plans all of some exports, durably, or none.

        Raises:
            FolderInUse: one of the folders overlaps that of another export that has not ended; or
                Overwrite would delete what a finished export of another caller wrote.
            PolicyViolation: the caller would have more than `max_active` exports.
        """
        change = partial(
            _accept,
            specs=specs,
            owner=self.owner,
            identity=identity,
            max_active=max_active,
            lease=lease,
        )
        return await self._writer.run(change, durable=True)

    async def page(
        self, filters: Filters, *, identity: str | None, before: int | None, limit: int
    ) -> list[JournalEntry]:
        """Exports, the newest first; `identity` None is for everybody's."""
        given: dict[str, Any] = {
            "identity = ?": identity,
            "database_name = ?": filters.database_name,
            "table_name = ?": filters.table_name,
            "data_path = ?": filters.data_path,
            "id < ?": before,
        }
        wanted = {rule: value for rule, value in given.items() if value is not None}
        rules = list(wanted)
        if filters.states:
            rules.append(f"state IN ({', '.join('?' * len(filters.states))})")
        where = f"WHERE {' AND '.join(rules)}" if rules else ""
        return await self._read(
            f"SELECT * FROM exports {where} ORDER BY id DESC LIMIT ?",
            (*wanted.values(), *map(str, filters.states), limit),
            JournalEntry.of,
        )

    async def other_jobs(self, entry: JournalEntry) -> list[str]:
        """The jobs that other exports to the same folder became."""
        return await self._read(
            "SELECT job_id FROM exports WHERE folder = ? AND id != ? AND job_id IS NOT NULL",
            (entry.folder, entry.id),
            lambda row: str(row["job_id"]),
        )

    async def is_overwritten(self, entry: JournalEntry) -> bool:
        """Whether a later export to the same folder has, or may have, written there."""
        found = await self._read(
            "SELECT 1 FROM exports WHERE folder = ? AND id > ? AND state NOT IN (?, ?, ?) LIMIT 1",
            (entry.folder, entry.id, *_LEFT_ALONE),
            bool,
        )
        return bool(found)

    async def last_seq(self) -> int:
        """The sequence number of the latest event; 0 if there is none."""
        sql = "SELECT coalesce(max(seq), 0) AS seq FROM events"
        return (await self._read(sql, (), lambda row: int(row["seq"])))[0]

    async def changes(
        self, *, after: int, export_id: int | None = None, limit: int
    ) -> list[Change]:
        """What happened after an event, with the exports that it happened to."""
        return await self._read(
            "SELECT exports.*, events.seq AS event_seq, events.at AS event_at, "
            "events.state AS event_state, events.status AS event_status, "
            "events.job_id AS event_job_id, events.error AS event_error "
            "FROM events JOIN exports ON exports.id = events.export_id "
            "WHERE events.seq > :after AND (:id IS NULL OR events.export_id = :id) "
            "ORDER BY events.seq LIMIT :limit",
            {"after": after, "id": export_id, "limit": limit},
            _change,
        )

    async def cancel_planned(self, export_id: int) -> JournalEntry | None:
        """Ends an export that was not posted yet; None if it is too late for that."""
        return await self._writer.run(partial(_cancel_planned, export_id=export_id), durable=True)


def _accept(
    db: sqlite3.Connection,
    specs: Sequence[ExportSpec],
    owner: str,
    identity: str | None,
    max_active: int | None,
    lease: float,
) -> list[JournalEntry]:
    _check_active(db, identity, len(specs), max_active)
    _check_folders(db, specs, identity)
    return [
        changes.insert(
            db, spec, data_path=spec.data_path, owner=owner, identity=identity, lease=lease
        )
        for spec in specs
    ]


def _check_active(
    db: sqlite3.Connection, identity: str | None, more: int, max_active: int | None
) -> None:
    if max_active is None:
        return
    active = db.execute(
        f"SELECT count(*) FROM exports WHERE identity IS ? AND {_UNENDED}", (identity,)
    ).fetchone()[0]
    if active + more > max_active:
        raise PolicyViolation(
            f"{active} of at most {max_active} exports are under way, so {more} more cannot start "
            "(rule max_active)",
            rule="max_active",
        )


def _check_folders(
    db: sqlite3.Connection, specs: Sequence[ExportSpec], identity: str | None
) -> None:
    seen = FolderSet()
    for spec in specs:
        folder = spec.data_path
        other = seen.add(folder)
        if other == folder:
            raise FolderInUse(f"two of the exports have the data_path {folder!r}")
        if other is not None:
            raise FolderInUse(f"data_path {folder!r} of an export overlaps {other!r} of another")
        overlaps, folders = changes.overlapping(folder)
        if _any_export(db, f"{overlaps} AND ({_UNENDED} OR {_IN_DOUBT})", folders):
            raise FolderInUse(f"an export to or around data_path {folder!r} has not ended")
        if spec.export_mode is ExportMode.OVERWRITE:
            _check_files_of_others(db, folder, identity)


def _check_files_of_others(db: sqlite3.Connection, folder: str, identity: str | None) -> None:
    """Overwrite deletes whatever lies in its folder."""
    rule = "(folder = ? OR (folder > ? AND folder < ?)) AND state = ? AND identity IS NOT ?"
    values = (folder, f"{folder}/", f"{folder}0", ExportState.FINISHED, identity)
    if _any_export(db, rule, values):
        raise FolderInUse(
            f"data_path {folder!r} holds an export of another caller, which Overwrite would delete"
        )


def _any_export(db: sqlite3.Connection, rule: str, values: Sequence[str | None]) -> bool:
    return db.execute(f"SELECT 1 FROM exports WHERE {rule} LIMIT 1", values).fetchone() is not None


def _cancel_planned(db: sqlite3.Connection, export_id: int) -> JournalEntry | None:
    now = time.time()
    row = db.execute(
        "UPDATE exports SET state = ?, error = ?, ended_at = ?, updated_at = ? "
        "WHERE id = ? AND state = ? RETURNING *",
        (
            ExportState.CANCELLED,
            "cancelled before it was submitted",
            now,
            now,
            export_id,
            ExportState.PLANNED,
        ),
    ).fetchone()
    return JournalEntry.of(row) if row else None


def _change(row: sqlite3.Row) -> Change:
    values = dict(row)
    event = {
        name.removeprefix("event_"): values.pop(name)
        for name in tuple(values)
        if name.startswith("event_")
    }
    return Change(
        event=JournalEvent.of(event | {"export_id": values["id"]}),  # type: ignore[arg-type]
        entry=JournalEntry.of(values),  # type: ignore[arg-type]
    )
