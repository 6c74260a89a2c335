"""The journal's file: SQLite, its schema, its version and its lock.

All of this blocks and runs on worker threads. There is one writer in a process; readers open the
file for themselves, which WAL lets them do at any time.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

from ..._values.errors import JournalError
from ..entries import moment
from .clock import wind_up

SCHEMA_VERSION = 4
_APPLICATION = 0x444C4931  # "DLI1"
_BUSY_SECONDS = 30.0

_NOTE = """
BEGIN
  INSERT INTO events (export_id, at, state, status, job_id, error)
  VALUES (new.id, new.updated_at, new.state, new.status, new.job_id, new.error);
END
"""

_CLOCK = """
CREATE TABLE clock (
  boot TEXT NOT NULL,
  wall REAL NOT NULL,
  uptime REAL NOT NULL
)
"""

_BY_LOCAL_FOLDER = "CREATE INDEX exports_by_local_folder ON exports (fetched_to)"

_SCHEMA = (
    """
    CREATE TABLE exports (
      id INTEGER PRIMARY KEY,
      database_name TEXT NOT NULL COLLATE NOCASE,
      table_name TEXT NOT NULL COLLATE NOCASE,
      data_path TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      folder TEXT NOT NULL,
      state TEXT NOT NULL,
      job_id TEXT,
      status TEXT,
      error TEXT,
      identity TEXT,
      owner TEXT,
      lease_expires_at REAL,
      doubted_at REAL,
      departed_at REAL,
      doubted_at_server REAL,
      departed_at_server REAL,
      export_key TEXT,
      created_at REAL NOT NULL,
      updated_at REAL NOT NULL,
      ended_at REAL,
      duration REAL,
      row_count INTEGER,
      input_size INTEGER,
      spec_json TEXT NOT NULL,
      report_json TEXT,
      verified_at REAL,
      verify_error TEXT,
      fetched_at REAL,
      fetched_to TEXT,
      fetch_error TEXT,
      UNIQUE (data_path, database_name, table_name, attempt)
    )
    """,
    "CREATE INDEX exports_by_folder ON exports (folder)",
    "CREATE INDEX exports_by_job ON exports (job_id)",
    "CREATE INDEX exports_by_identity ON exports (identity, id)",
    "CREATE INDEX exports_by_owner ON exports (owner, state)",
    _BY_LOCAL_FOLDER,
    """
    CREATE TABLE events (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      export_id INTEGER NOT NULL REFERENCES exports (id),
      at REAL NOT NULL,
      state TEXT NOT NULL,
      status TEXT,
      job_id TEXT,
      error TEXT
    )
    """,
    """
    CREATE TABLE openings (
      id INTEGER PRIMARY KEY,
      owner TEXT NOT NULL,
      pid INTEGER NOT NULL,
      host TEXT NOT NULL,
      exclusive INTEGER NOT NULL,
      at REAL NOT NULL
    )
    """,
    _CLOCK,
    f"CREATE TRIGGER planned AFTER INSERT ON exports {_NOTE}",
    f"""
    CREATE TRIGGER changed AFTER UPDATE ON exports
    WHEN (new.state, new.status, new.job_id, new.error)
      IS NOT (old.state, old.status, old.job_id, old.error)
    {_NOTE}
    """,
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

# What makes a file of an earlier version one of the next.
_MIGRATIONS = {
    1: (
        "ALTER TABLE exports ADD COLUMN departed_at REAL",
        "ALTER TABLE exports ADD COLUMN doubted_at_server REAL",
        "ALTER TABLE exports ADD COLUMN departed_at_server REAL",
        _CLOCK,
        "PRAGMA user_version = 2",
    ),
    2: (
        "ALTER TABLE exports ADD COLUMN export_key TEXT",
        "UPDATE exports SET export_key = lower(hex(randomblob(16)))",
        "PRAGMA user_version = 3",
    ),
    3: (
        "ALTER TABLE exports ADD COLUMN verified_at REAL",
        "ALTER TABLE exports ADD COLUMN verify_error TEXT",
        "ALTER TABLE exports ADD COLUMN fetched_at REAL",
        "ALTER TABLE exports ADD COLUMN fetched_to TEXT",
        "ALTER TABLE exports ADD COLUMN fetch_error TEXT",
        _BY_LOCAL_FOLDER,
        "PRAGMA user_version = 4",
    ),
}


def explain(path: Path, error: Exception) -> JournalError:
    """An error of SQLite as one of the journal, with its file's name."""
    return JournalError(f"journal {path}: {error}")


@contextmanager
def writing(path: Path, owner: str, *, exclusive: bool) -> Iterator[sqlite3.Connection]:
    """Opens or creates a journal, and proves by a durable write that it can be written.

    Args:
        owner: who opens it, for the records.
        exclusive: whether to hold the lock of a bulk run meanwhile.

    Raises:
        JournalError: not a journal, of a newer version, or locked by another run.
        sqlite3.Error: it cannot be opened or written.
    """
    with _run_lock(path) if exclusive else nullcontext() as lock, _connected(path) as db:
        is_new = _check(path, db, new_is_fine=True)
        if is_new and lock is not None and lock.has_journal:
            raise JournalError(_lost(path))
        _use_wal(db)
        db.execute("PRAGMA synchronous = FULL")
        _create(db)
        if lock is not None:
            lock.note_journal()
        db.execute(
            "INSERT INTO openings (owner, pid, host, exclusive, at) VALUES (?, ?, ?, ?, ?)",
            (owner, os.getpid(), socket.gethostname(), exclusive, time.time()),
        )
        yield db


@contextmanager
def _connected(target: Path | str, **options: Any) -> Iterator[sqlite3.Connection]:
    options = {"timeout": _BUSY_SECONDS, "isolation_level": None, **options}
    with closing(sqlite3.connect(target, **options)) as db:
        db.row_factory = sqlite3.Row
        yield db


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for reading, which never creates the file.

    Raises:
        JournalError: there is no such journal, or it cannot be read.
    """
    if not path.is_file():
        raise JournalError(f"journal {path}: there is no such file")
    try:
        with _connected(f"{path.as_uri()}?mode=ro", uri=True) as db:
            _check(path, db, new_is_fine=False)
            yield db
    except sqlite3.Error as error:
        raise explain(path, error) from error


def _check(path: Path, db: sqlite3.Connection, *, new_is_fine: bool) -> bool:
    """Whether there is nothing in the file yet; raises unless it can be used."""
    db.execute("BEGIN")  # so that a file which is just being made is seen as a whole
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    is_empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    db.execute("COMMIT")
    if application != _APPLICATION:
        if not (is_empty and new_is_fine):
            raise JournalError(f"journal {path}: is a database of something else")
    elif version > SCHEMA_VERSION:
        raise JournalError(
            f"journal {path}: is of version {version}, and this release reads up to "
            f"{SCHEMA_VERSION}; use a newer dli_async"
        )
    return is_empty


def _lost(path: Path) -> str:
    return (
        f"journal {path}: is empty, but a bulk run has written to it: its content, or the file "
        f"{path.name}-wal that belongs to it, was lost, and with it which exports were started. "
        f"Put both back; or, if no export of that run may still be started twice, remove {path} "
        "and begin anew"
    )


def _use_wal(db: sqlite3.Connection) -> None:
    """Readers and the writer do not hinder each other from here on."""
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            # The switch does not wait for whoever holds the file, but a transaction does.
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _create(db: sqlite3.Connection) -> None:
    # Closing the connection rolls back what failed half-way.
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    steps = [_SCHEMA] if version == 0 else [_MIGRATIONS[v] for v in range(version, SCHEMA_VERSION)]
    for statement in chain.from_iterable(steps):
        db.execute(statement)
    wind_up(db)
    db.execute("COMMIT")


class _RunLock:
    """The lock of a bulk run, while it is held.

    Attributes:
        has_journal: whether the journal is there and a run has written to it.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path = path
        self._db = db
        self._take()
        if not path.exists():
            self._mark(0)  # somebody has removed it, to begin anew
        self.has_journal = self._is_marked()

    def note_journal(self) -> None:
        """Remembers that the journal has been made, should it be found empty later."""
        self._mark(1)

    def _is_marked(self) -> bool:
        return bool(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _mark(self, value: int) -> None:
        if self._is_marked() != bool(value):
            self._db.execute(f"PRAGMA user_version = {value}")
            self._db.execute("COMMIT")
            self._take()  # whoever was faster has it, and nothing has happened here yet

    def _take(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            raise JournalError(
                f"journal {self._path}: is in use by another bulk run{_holder(self._path)}"
            ) from None


@contextmanager
def _run_lock(path: Path) -> Iterator[_RunLock]:
    """The lock of a bulk run: SQLite's own, on a file beside the journal.

    It needs no process to tidy up after, since the system lets go of it when its holder dies. The
    file stays: removing it would let two runs hold locks on two files of one name.

    Raises:
        JournalError: another run holds it; the message says who.
    """
    with _connected(path.with_name(path.name + ".lock"), timeout=0) as db:
        db.execute("PRAGMA journal_mode = MEMORY")
        yield _RunLock(path, db)


def _holder(path: Path) -> str:
    try:
        with reading(path) as db:
            row = db.execute(
                "SELECT * FROM openings WHERE exclusive ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except JournalError:
        return ""
    if row is None:
        return ""
    since = moment(row["at"]).isoformat(timespec="seconds")
    return f": process {row['pid']} on {row['host']}, since {since}"
