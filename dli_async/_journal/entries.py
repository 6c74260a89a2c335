"""What a journal holds, as values: exports and their changes."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from .._export.departure import Departure, Moment
from .._export.errors import JobCancelled, JobError, JobFailed, JobLost
from .._values.enums import JobStatus
from .._values.reports import StatusReport
from .._values.results import ExportResult
from .._values.spec import ExportSpec, read_spec


class ExportState(StrEnum):
    """How far an export is.

    `SUBMITTING` is written right before the POST leaves, so after a crash it means: look before
    posting again. The last four are the end: `FAILED` without a job id was never accepted. Of a
    job that is `LOST` the service knows nothing, or shows another export under its id; without a
    job id it was given up while in doubt, and its job may run.
    """

    PLANNED = "planned"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_end(self) -> bool:
        """Whether nothing more is to be done for an export in this state."""
        return self in ENDS


ENDS = (ExportState.FINISHED, ExportState.FAILED, ExportState.CANCELLED, ExportState.LOST)

_END_OF = {
    JobStatus.FINISHED: ExportState.FINISHED,
    JobStatus.FAILED: ExportState.FAILED,
    JobStatus.CANCELLED: ExportState.CANCELLED,
}


def end_state(status: JobStatus) -> ExportState:
    """The state of an export whose job ended so."""
    return _END_OF[status]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One export as the journal knows it.

    Its key is `database_name`, `table_name`, `data_path` (as asked for) and `attempt` (from 1);
    the first two are empty unless it is one table that is exported. `spec` is what this attempt
    sends, to `folder`, which may be a fresh one; `export_key` is the id that its job carries.
    `doubted_at` is when the first POST of unknown fate left, and `departed_at` when the last one
    may have, both by the clock of the machine, and `_server` by the service's. `status` is the
    job's last known state. `duration` is in seconds, `row_count` in rows, `input_size` in bytes.
    An export with an owner and no lease belongs to a bulk run, whose lock decides whether it lives.

    `verified_at` is when a run found the files complete, and `fetched_at` when it had brought all
    to `fetched_to`, an absolute path; `verify_error` and `fetch_error` are why the last try at that
    came to nothing. A finished export stays finished, whatever its files are found to be.
    """

    id: int
    database_name: str
    table_name: str
    data_path: str
    attempt: int
    folder: str
    state: ExportState
    job_id: str | None
    status: str | None
    error: str | None
    identity: str | None
    owner: str | None
    lease_expires_at: datetime | None
    doubted_at: datetime | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    duration: float | None
    row_count: int | None
    input_size: int | None
    spec_json: str = field(repr=False)
    report_json: str | None = field(repr=False)
    departed_at: datetime | None = None
    doubted_at_server: datetime | None = None
    departed_at_server: datetime | None = None
    export_key: str | None = None
    verified_at: datetime | None = None
    verify_error: str | None = None
    fetched_at: datetime | None = None
    fetched_to: str | None = None
    fetch_error: str | None = None

    @classmethod
    def of(cls, row: sqlite3.Row) -> JournalEntry:
        """The entry that a row of the table `exports` makes."""
        values = {name: value for name, value in dict(row).items() if name in _COLUMNS}
        values["state"] = ExportState(values["state"])
        for name in _MOMENTS:
            values[name] = moment(values.get(name))
        return cls(**values)

    @property
    def spec(self) -> ExportSpec:
        """What this attempt sends."""
        return read_spec(json.loads(self.spec_json))

    @property
    def label(self) -> str:
        """A short name of what is exported."""
        if self.table_name:
            return f"{self.database_name}.{self.table_name}"
        return self.spec.label

    @property
    def files_error(self) -> str | None:
        """Why the files are not as they were wanted when they were last looked at, or None."""
        return self.verify_error or self.fetch_error

    def lacks(self, *, verify: bool, fetch: Path | None) -> bool:
        """Whether the files are still to be verified, or fetched to somewhere below a folder."""
        if verify and self.verified_at is None:
            return True
        if fetch is None:
            return False
        has_come = self.fetched_at is not None and self.fetched_to is not None
        return not (has_come and Path(self.fetched_to or "").is_relative_to(fetch.absolute()))

    @property
    def report(self) -> StatusReport | None:
        """The report that ended the job, or None."""
        return StatusReport.model_validate_json(self.report_json) if self.report_json else None

    @property
    def departure(self) -> Departure | None:
        """When POSTs of unknown fate may have left; None if there are none."""
        if self.doubted_at is None:
            return None
        earliest = _departed(self.doubted_at, self.doubted_at_server)
        # Journals of the first release knew one time only.
        if self.departed_at is None:
            return Departure.at(earliest)
        return Departure(earliest, _departed(self.departed_at, self.departed_at_server))

    def outcome(self) -> ExportResult | JobError | None:
        """What a job that has ended came to; None while it has not, or if there never was one."""
        if self.state is ExportState.LOST:
            return JobLost(self.error or "the job is lost", job_id=self.job_id)
        report = self.report
        if report is None or not self.state.is_end:
            return None
        if self.state is ExportState.FINISHED:
            return ExportResult.of(report, self.spec)
        kind = JobFailed if self.state is ExportState.FAILED else JobCancelled
        return kind(self.error or str(self.state), job_id=self.job_id, report=report)

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON knows it: times in ISO 8601 (UTC), the spec as a mapping."""
        values = asdict(self) | {"state": str(self.state), "spec": json.loads(self.spec_json)}
        del values["spec_json"], values["report_json"]
        return {name: _plain(value) for name, value in values.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEvent:
    """One change of an export; `seq` grows with every change in the file."""

    seq: int
    export_id: int
    at: datetime
    state: ExportState
    status: str | None
    job_id: str | None
    error: str | None

    @classmethod
    def of(cls, row: sqlite3.Row) -> JournalEvent:
        """The event that a row of the table `events` makes."""
        values = dict(row)
        return cls(
            **values | {"state": ExportState(values["state"]), "at": moment(values["at"])},
        )

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON knows it."""
        return {name: _plain(value) for name, value in asdict(self).items()}


_MOMENTS = (
    *("lease_expires_at", "created_at", "updated_at", "ended_at"),
    *("doubted_at", "departed_at", "doubted_at_server", "departed_at_server"),
    *("verified_at", "fetched_at"),
)


_COLUMNS = frozenset(column.name for column in fields(JournalEntry))


def _departed(wall: datetime, server: datetime | None) -> Moment:
    return Moment(wall.timestamp(), None if server is None else server.timestamp())


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A time that cannot be told must not keep a whole journal from being read.
_LEAST, _MOST = -6e10, 2e11


def moment(seconds: float | None) -> Any:
    """Seconds since 1970 as a datetime in UTC."""
    if seconds is None:
        return None
    return _EPOCH + timedelta(seconds=min(max(seconds, _LEAST), _MOST))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, ExportState) else value


def dump_report(report: StatusReport) -> str:
    """A report as JSON, with times in milliseconds as the service sends them."""
    return json.dumps(report.model_dump(exclude_none=True), default=_millis)


def _millis(value: datetime | timedelta) -> int:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return round(value / timedelta(milliseconds=1))
