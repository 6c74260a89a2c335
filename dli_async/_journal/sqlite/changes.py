"""Every statement that changes a journal, as functions of a connection inside a transaction."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Sequence
from typing import Any

from ..._export.departure import Departure
from ..._values.errors import InvalidExport, JournalError, Problem
from ..._values.files import FilesError
from ..._values.paths import folders_above, overlap
from ..._values.spec import ExportSpec, dump_spec
from ..entries import ENDS, ExportState, JournalEntry

_log = logging.getLogger("dli_async.bulk")

_UNENDED = f"state NOT IN ({', '.join(repr(str(state)) for state in ENDS)})"


def insert(
    db: sqlite3.Connection,
    spec: ExportSpec,
    *,
    data_path: str,
    owner: str,
    identity: str | None = None,
    lease: float | None = None,
) -> JournalEntry:
    """Writes a planned export as the next attempt of its key; `lease` is in seconds."""
    row = db.execute(
        "INSERT INTO exports (database_name, table_name, data_path, attempt, folder, state,"
        " identity, owner, lease_expires_at, created_at, updated_at, spec_json, export_key) "
        "SELECT :database, :table, :data_path, 1 + coalesce(max(attempt), 0), :folder, :state,"
        " :identity, :owner, journal_now() + :lease, :now, :now, :spec_json, :key FROM exports "
        "WHERE database_name = :database AND table_name = :table AND data_path = :data_path "
        "RETURNING *",
        {
            "database": _table(spec)[0],
            "table": _table(spec)[1],
            "data_path": data_path,
            "folder": spec.data_path,
            "state": ExportState.PLANNED,
            "identity": identity,
            "owner": owner,
            "lease": lease,
            "now": time.time(),
            "spec_json": json.dumps(dump_spec(spec)),
            "key": uuid.uuid4().hex,
        },
    ).fetchone()
    return JournalEntry.of(row)


def _table(spec: ExportSpec) -> tuple[str, str]:
    """The names in the key of an export; of a query they are empty."""
    return spec.table or ("", "")


def change(
    db: sqlite3.Connection, export_id: int, *, owner: str | None = None, **columns: Any
) -> None:
    """Writes new values of an export that has not ended; a trigger writes the event that says so.

    Args:
        owner: only if this worker holds it; None (default) for what is true whoever tells it.
    """
    sql = (
        "SELECT job_id FROM exports "
        f"WHERE id = :id AND (:owner IS NULL OR owner = :owner) AND {_UNENDED}"
    )
    row = db.execute(sql, {"id": export_id, "owner": owner}).fetchone()
    if row is None:
        return
    told = columns.get("job_id")
    if told is not None and row["job_id"] not in (None, told):
        # Whoever watches the first one must not lose it.
        _log.error("export %d is job %s, and became job %s too", export_id, row["job_id"], told)
        return
    _write(db, export_id, columns)


def _write(db: sqlite3.Connection, export_id: int, columns: dict[str, Any]) -> None:
    now = time.time()
    state = columns.get("state")
    if state is not None:
        columns["ended_at"] = now if state in ENDS else None
    settings = ", ".join(f"{name} = ?" for name in columns)
    db.execute(
        f"UPDATE exports SET {settings}, updated_at = ? WHERE id = ?",
        (*columns.values(), now, export_id),
    )


def note_files(db: sqlite3.Connection, export_id: int, *, owner: str, **columns: Any) -> None:
    """Writes what became of the files of an export that has finished, if this owner holds it."""
    sql = "SELECT 1 FROM exports WHERE id = ? AND owner = ? AND state = ?"
    if db.execute(sql, (export_id, owner, ExportState.FINISHED)).fetchone():
        _write(db, export_id, columns)


def claim_folder(db: sqlite3.Connection, export_id: int, *, owner: str, folder: str) -> None:
    """Writes that the files of an export begin to come into a local folder.

    Raises:
        FilesError: those of another export are there.
    """
    sql = "SELECT * FROM exports WHERE fetched_to = ? AND id != ?"
    other = db.execute(sql, (folder, export_id)).fetchone()
    if other is not None:
        entry = JournalEntry.of(other)
        raise FilesError(
            f"{folder} has the files of {entry.label} from {entry.folder}; give another folder"
        )
    note_files(db, export_id, owner=owner, fetched_to=folder, fetched_at=None)


def note_departure(
    db: sqlite3.Connection, export_id: int, *, owner: str, departure: Departure
) -> None:
    """Writes that a POST leaves, if it still may: this is what keeps two workers apart.

    Raises:
        JournalError: it may not: the export has ended, or another worker has taken it over.
    """
    earliest, latest = departure.earliest, departure.latest
    written = db.execute(
        "UPDATE exports SET state = ?, doubted_at = ?, doubted_at_server = ?, departed_at = ?, "
        "departed_at_server = ?, ended_at = NULL, updated_at = ? "
        f"WHERE id = ? AND owner = ? AND job_id IS NULL AND {_UNENDED} "
        "AND (lease_expires_at IS NULL OR lease_expires_at > journal_now())",
        (
            ExportState.SUBMITTING,
            *(earliest.wall, earliest.server, latest.wall, latest.server),
            *(time.time(), export_id, owner),
        ),
    ).rowcount
    if not written:
        raise JournalError(f"export {export_id} is not for {owner} to submit any more")


def take_back(db: sqlite3.Connection, export_id: int, *, owner: str, departure: Departure) -> None:
    """Writes that a POST which was noted made nothing, unless another one was noted since."""
    db.execute(
        "UPDATE exports SET state = ?, doubted_at = NULL, doubted_at_server = NULL, "
        "departed_at = NULL, departed_at_server = NULL, updated_at = ? "
        f"WHERE id = ? AND owner = ? AND departed_at = ? AND job_id IS NULL AND {_UNENDED}",
        (ExportState.PLANNED, time.time(), export_id, owner, departure.latest.wall),
    )


def plan(db: sqlite3.Connection, spec: ExportSpec, owner: str) -> JournalEntry:
    """The latest attempt of an export for a bulk run, which takes it over; a new one if none.

    An export that somebody else holds by a lease is given as it is.

    Raises:
        InvalidExport: its folder belongs to another export of the journal, or the journal has it
            with other options.
    """
    attempts = _rows_of(db, spec, spec.data_path)
    if not attempts:
        return insert(db, spec, data_path=spec.data_path, owner=owner)
    entry = JournalEntry.of(attempts[0])
    if entry.owner != owner and attempts[0]["is_held"]:
        return entry
    columns: dict[str, Any] = {"owner": owner, "lease_expires_at": None}
    if entry.state is ExportState.LOST and entry.job_id is None:
        # It was given up while in doubt, and perhaps its job can be found by now.
        columns["state"] = ExportState.SUBMITTING
    if entry.doubted_at is None and entry.job_id is None:
        # Nothing came of it so far, so it starts again, as it is asked for now.
        columns |= {"state": ExportState.PLANNED, "error": None}
        if entry.attempt == 1:
            columns["spec_json"] = json.dumps(dump_spec(spec))
    if "spec_json" not in columns:
        _refuse_other_options(entry, spec)
    _write(db, entry.id, columns)
    return JournalEntry.of(_rows_of(db, spec, spec.data_path)[0])


def plan_again(
    db: sqlite3.Connection, entry: JournalEntry, spec: ExportSpec, owner: str
) -> JournalEntry:
    """Writes the next attempt of an export, which has a folder of its own.

    Raises:
        InvalidExport: the folder belongs to another export of the journal.
    """
    _rows_of(db, spec, entry.data_path)
    return insert(db, spec, data_path=entry.data_path, owner=owner, identity=entry.identity)


def _rows_of(db: sqlite3.Connection, spec: ExportSpec, data_path: str) -> list[sqlite3.Row]:
    """All attempts of an export, the latest first, if nobody else has the folder of `spec`."""
    key = (*(name.casefold() for name in _table(spec)), data_path)
    mine = []
    overlaps, folders = overlapping(spec.data_path)
    for row in db.execute(
        "SELECT *, lease_expires_at > journal_now() AS is_held FROM exports "
        f"WHERE data_path = ? OR {overlaps} ORDER BY attempt DESC",
        (data_path, *folders),
    ):
        names = (row["database_name"].casefold(), row["table_name"].casefold())
        if (*names, row["data_path"]) == key:
            mine.append(row)
        elif overlap(row["folder"], spec.data_path):
            raise InvalidExport([Problem("data_path", spec.data_path, _why_taken(row, spec))])
    return mine


def overlapping(folder: str) -> tuple[str, Sequence[str]]:
    """A condition for exports whose folders overlap a folder, and its parameters.

    Ranges, which the index serves and which know no wildcards; `0` follows the slash.
    """
    same_or_above = (folder, *folders_above(folder))
    marks = ", ".join("?" * len(same_or_above))
    return (
        f"(folder IN ({marks}) OR (folder > ? AND folder < ?))",
        (*same_or_above, f"{folder}/", f"{folder}0"),
    )


def _why_taken(row: sqlite3.Row, spec: ExportSpec) -> str:
    owner = JournalEntry.of(row).label.casefold()
    if row["folder"] == spec.data_path:
        return f"the journal has it as the folder of {owner}; each needs its own"
    return f"contains, or lies in, {row['folder']!r}, which the journal has as that of {owner}"


def _refuse_other_options(entry: JournalEntry, spec: ExportSpec) -> None:
    had, asked = json.loads(entry.spec_json), dump_spec(spec)
    problems = [
        Problem(
            name,
            asked.get(name),
            f"the journal has this export with {had.get(name)!r}; use another journal or data_path",
        )
        for name in {**asked, **had}
        if name not in ("database_name", "table_name", "data_path")
        and had.get(name) != asked.get(name)
    ]
    if problems:
        raise InvalidExport(problems)


def claim(
    db: sqlite3.Connection, owner: str, lease: float, export_id: int | None
) -> list[JournalEntry]:
    """Gives `owner` the unended exports that nobody holds any more, or the one that is named."""
    rows = db.execute(
        "UPDATE exports SET owner = :owner, lease_expires_at = journal_now() + :lease "
        f"WHERE {_UNENDED} AND (:id IS NULL OR id = :id) AND (owner IS NULL "
        "OR lease_expires_at <= journal_now() OR (owner = :owner AND :id IS NOT NULL)) RETURNING *",
        {"owner": owner, "lease": lease, "id": export_id},
    ).fetchall()
    return [JournalEntry.of(row) for row in rows]


def renew(db: sqlite3.Connection, owner: str, lease: float) -> int:
    """Makes the leases of an owner last `lease` seconds from now; returns how many there are."""
    return db.execute(
        f"UPDATE exports SET lease_expires_at = journal_now() + ? WHERE owner = ? AND {_UNENDED} "
        "AND lease_expires_at IS NOT NULL",
        (lease, owner),
    ).rowcount


def release(db: sqlite3.Connection, owner: str, export_ids: Sequence[int]) -> None:
    """Lets go of exports, so that others may claim them at once."""
    db.executemany(
        "UPDATE exports SET owner = NULL, lease_expires_at = NULL WHERE id = ? AND owner = ?",
        [(export_id, owner) for export_id in export_ids],
    )
