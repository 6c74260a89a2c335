"""What the router says of exports, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from .._journal.entries import ExportState, JournalEntry
from .._values.files import PartFile
from .._values.results import CancelOutcome
from .._values.spec import AnySpec
from ._words import without_request

SPEC_EXAMPLE: dict[str, Any] = {
    "database_name": "sales",
    "table_name": "orders",
    "data_path": "obs://bucket/team/orders",
    "data_type": "csv",
    "compress": "gzip",
    "export_mode": "ErrorIfExists",
    "with_column_header": True,
}

_EXPORT_EXAMPLE: dict[str, Any] = {
    "export_id": 7,
    "job_id": "828d4044-3d39-449b-b32c-957f7cfadfc9",
    "state": "submitted",
    "status": "RUNNING",
    "progress": 0.4,
    "label": "sales.orders",
    "spec": SPEC_EXAMPLE,
    "error": None,
    "identity": "alice",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:02Z",
    "ended_at": None,
    "duration": None,
    "row_count": None,
    "input_size": None,
}

Label = Annotated[str, Field(description="A short name of what is exported, for people.")]
ExportId = Annotated[int, Field(description="The router's id of the export; known at once.")]
JobId = Annotated[
    str | None, Field(description="DLI's id of the job; null until DLI has accepted the export.")
]
State = Annotated[
    ExportState,
    Field(
        description="How far it is: `planned`, `submitting`, `submitted` (a job at DLI), or ended: "
        "`finished`, `failed`, `cancelled`, `lost` (DLI knows no job of that id, or another one)."
    ),
]
Status = Annotated[str | None, Field(description="DLI's own word for the state of the job.")]
Error = Annotated[str | None, Field(description="Why it failed, or what keeps it from getting on.")]
Progress = Annotated[
    float | None,
    Field(ge=0, le=1, description="From 0 to 1; known while somebody listens to events."),
]
Duration = Annotated[float | None, Field(description="How long the job took, in seconds.")]
Rows = Annotated[int | None, Field(description="How many rows were exported.")]
Size = Annotated[int | None, Field(description="How much the job read, in bytes.")]


class ExportView(BaseModel):
    """An export, as it is now."""

    model_config = ConfigDict(json_schema_extra={"example": _EXPORT_EXAMPLE})

    export_id: ExportId
    job_id: JobId
    state: State
    status: Status
    progress: Progress
    label: Label
    spec: AnySpec
    error: Error
    identity: Annotated[str | None, Field(description="On whose behalf it is.")]
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    duration: Duration
    row_count: Rows
    input_size: Size

    @classmethod
    def of(cls, entry: JournalEntry, progress: float | None = None) -> ExportView:
        """What a journal's entry says."""
        same = {name: getattr(entry, name) for name in _SAME}
        same["error"] = entry.error and without_request(entry.error)
        if entry.state is ExportState.FINISHED:
            progress = 1.0
        spec: Any = entry.spec
        return cls(export_id=entry.id, progress=progress, label=spec.label, spec=spec, **same)


_SAME = (
    "job_id",
    "state",
    "status",
    "error",
    "identity",
    "created_at",
    "updated_at",
    "ended_at",
    "duration",
    "row_count",
    "input_size",
)


class ExportPage(BaseModel):
    """Some exports, the newest first."""

    exports: list[ExportView]
    next_before: int | None = Field(
        description="Give it as `before` for the next page; null on the last page."
    )
    last_event_id: int = Field(
        description="Give it to the stream of events, which then tells of every later change."
    )


class ExportsAccepted(BaseModel):
    """The exports of a bulk request, in its order."""

    exports: list[ExportView]


class CancelView(BaseModel):
    """What became of a cancel."""

    outcome: CancelOutcome = Field(
        description="`cancelled`; `already ended`; or `not confirmed` in time: try again."
    )
    export: ExportView


_FILE_EXAMPLE: dict[str, Any] = {
    "name": "part-00000-6dc2f1a5-c000.csv.gz",
    "size": 20480,
    "etag": "9dd4e461268c8034f5c8564e155c67a6",
    "format": "csv",
    "codec": "gzip",
    "last_modified": "2026-01-01T00:00:02Z",
    "link": None,
}


class FileView(BaseModel):
    """A file that an export left on OBS, in the folder that is its `data_path`."""

    model_config = ConfigDict(json_schema_extra={"example": _FILE_EXAMPLE})

    name: str
    size: int = Field(description="In bytes.")
    etag: str = Field(description="Changes with the content; not always its MD5.")
    format: str | None = Field(
        description="`csv`, `json`, `parquet`, `orc` or `avro`; null where the name does not tell."
    )
    codec: str | None = Field(description="`gzip`, `bzip2` or `deflate`; null for none.")
    last_modified: datetime | None
    link: str | None = Field(
        description="Opens the file without a login, to whoever has it; null where the policy "
        "gives no links."
    )

    @classmethod
    def of(cls, part: PartFile, link: str | None) -> FileView:
        """What OBS told of a file."""
        same = {name: getattr(part, name) for name in ("name", "size", "etag", "format", "codec")}
        return cls(last_modified=_moment(part.last_modified), link=link, **same)


class FilePage(BaseModel):
    """Some of the files of an export, in the order of their names."""

    files: list[FileView]
    count: int = Field(description="How many files there are, on all pages.")
    size: int = Field(description="Bytes of all of them.")
    next_after: str | None = Field(
        description="Give it as `after` for the next page; null on the last page."
    )
    links_expire_at: datetime | None = Field(
        description="When the links end, at the latest; null where there are none."
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


class ExportEvent(BaseModel):
    """The data of one server-sent event."""

    export_id: ExportId
    job_id: JobId = None
    state: State
    status: Status = None
    progress: Progress = None
    error: Error = None
    at: datetime
    label: Label
    database_name: str
    table_name: str
    data_path: str
    duration: Duration = None
    row_count: Rows = None
    input_size: Size = None
