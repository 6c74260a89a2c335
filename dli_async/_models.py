"""What the service says about a job, and what an export came to.

Field names are DLI's own, so that the official manual can be searched for them. Answers are read
leniently (`_lenient`): unknown fields are ignored, missing or unreadable optional ones become
None, booleans may be text. The spec of an export, which is read strictly, has a page of its own
(`_spec`), and so have the words that both share (`_words`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WrapValidator, model_validator

from ._lenient import AnswerModel, Count, Flag, Moment, Span, Text, find_code, or_none
from ._spec import TableExport as TableExport
from ._words import Compress as Compress
from ._words import DataType as DataType
from ._words import ExportMode as ExportMode
from ._words import JobStatus as JobStatus


class ExportAccepted(AnswerModel):
    """The service's yes to a submit (dli_02_0020): the job was accepted, not yet done."""

    job_id: str = Field(min_length=1)
    message: Text = None
    job_mode: Text = None


class Tag(AnswerModel):
    """A key and a value that somebody put on a job or a queue."""

    key: str
    value: Text = None


Tags = Annotated[tuple[Tag, ...] | None, WrapValidator(or_none)]


class StatusReport(AnswerModel):
    """One look at a job (dli_02_0021). Only `job_id` and `status` are always there.

    `start_time` is a moment in UTC, `duration` a timedelta, `input_size` is in bytes and
    `result_count` in rows. `raw_status` keeps the service's own word. `retry_after` (seconds)
    asks the waiter to look no sooner.
    """

    job_id: str
    status: Annotated[JobStatus, BeforeValidator(JobStatus.read)]
    raw_status: str = ""
    message: Text = None
    job_type: Text = None
    job_mode: Text = None
    queue_name: Text = None
    owner: Text = None
    start_time: Moment = None
    duration: Span = None
    input_row_count: Count = None
    bad_row_count: Count = None
    input_size: Count = None
    result_count: Count = None
    database_name: Text = None
    table_name: Text = None
    detail: Text = None
    statement: Text = None
    user_conf: Text = None
    result_format: Text = None
    result_path: Text = None
    execution_details_path: Text = None
    tags: Tags = None
    retry_after: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _keep_raw_status(cls, data: Any) -> Any:
        if isinstance(data, dict) and "raw_status" not in data and "status" in data:
            return {**data, "raw_status": str(data["status"] or "")}
        return data

    @property
    def error_code(self) -> str | None:
        """The DLI code in `message`, such as `DLI.0999`, or None."""
        return find_code(self.message)

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self.status.is_terminal


class JobRow(StatusReport):
    """One row of the job list (dli_02_0025): a report and what only lists tell."""

    end_time: Moment = None
    with_column_header: Flag = None
    engine_type: Text = None
    cpu_cost: Text = None
    output_byte: Text = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What a finished export came to.

    `spec` is None when the job was attached by id, `data_path` too unless the service was asked.
    `row_count` is in rows, `input_size` in bytes; None where the service did not say.
    """

    job_id: str
    spec: TableExport | None
    status: JobStatus
    data_path: str | None
    row_count: int | None
    input_size: int | None
    started_at: datetime | None
    duration: timedelta | None
    queue_name: str | None
    report: StatusReport

    @classmethod
    def of(cls, report: StatusReport, spec: TableExport | None) -> ExportResult:
        """The result that a terminal report and its spec make."""
        rows = report.result_count
        return cls(
            job_id=report.job_id,
            spec=spec,
            status=report.status,
            data_path=spec.data_path if spec else None,
            row_count=report.input_row_count if rows is None else rows,
            input_size=report.input_size,
            started_at=report.start_time,
            duration=report.duration,
            queue_name=report.queue_name or (spec.queue_name if spec else None),
            report=report,
        )


class CancelOutcome(StrEnum):
    """What became of a cancel: confirmed, too late, or not confirmed in time."""

    CANCELLED = "cancelled"
    ALREADY_ENDED = "already ended"
    NOT_CONFIRMED = "not confirmed"
