"""What the service says about a job: that it was accepted, how it is, and what it was asked to do.

Field names are DLI's own, so that the official manual can be searched for them. Answers are read
leniently (`parsing`): unknown fields are ignored, missing or unreadable optional ones become None,
booleans may be text.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WrapValidator, model_validator

from .enums import JobStatus
from .parsing import AnswerModel, Count, Flag, Moment, Ratio, Span, Text, find_code, or_none


class ExportAccepted(AnswerModel):
    """The service's yes to a submit (dli_02_0020): the job was accepted, not yet done."""

    job_id: str = Field(min_length=1)
    message: Text = None
    job_type: Text = None
    job_mode: Text = None


class Tag(AnswerModel):
    """A key and a value that somebody put on a job or a queue."""

    key: str
    value: Text = None


Tags = Annotated[tuple[Tag, ...] | None, Field(max_length=1000), WrapValidator(or_none)]


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
    def row_count(self) -> int | None:
        """How many rows were written, or found by a query; None where the service did not say."""
        return self.row_count_of(is_whole_table=None)

    def row_count_of(self, *, is_whole_table: bool | None) -> int | None:
        """The same; what was read tells it of a table that is exported as a whole, and no other.

        Args:
            is_whole_table: None where that is not known, so that the type of the job decides.
        """
        if self.result_count is not None:
            return self.result_count
        if is_whole_table is None:
            is_whole_table = (self.job_type or "EXPORT").upper() == "EXPORT"
        return self.input_row_count if is_whole_table else None

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


class JobDetail(AnswerModel):
    """What a job was asked to do (dli_02_0022). It has no status."""

    job_id: str
    owner: Text = None
    start_time: Moment = None
    duration: Span = None
    export_mode: Text = None
    data_path: Text = None
    data_type: Text = None
    database_name: Text = None
    table_name: Text = None
    with_column_header: Flag = None
    compress: Text = None
    message: Text = None
    tags: Tags = None

    @property
    def table(self) -> tuple[str, str] | None:
        """Database and table, where both are told."""
        names = self.database_name, self.table_name
        return (names[0], names[1]) if names[0] and names[1] else None


class SubJob(AnswerModel):
    """One sub-job of a job (dli_02_0296); times are text, as the service writes them."""

    id: Count = None
    name: Text = None
    description: Text = None
    submission_time: Text = None
    completion_time: Text = None
    status: Text = None
    num_tasks: Count = None
    num_active_tasks: Count = None
    num_completed_tasks: Count = None
    num_failed_tasks: Count = None


class JobProgress(AnswerModel):
    """How far a job is (dli_02_0296).

    `progress` runs from 0.0 to 1.0; between the ends it is the share of the *current* sub-job,
    so it may fall. The service gives it as a best effort.
    """

    job_id: str
    status: Annotated[JobStatus, BeforeValidator(JobStatus.read)] = JobStatus.UNKNOWN
    progress: Ratio = None
    sub_job_id: Count = None
    sub_jobs: Annotated[
        tuple[SubJob, ...] | None, Field(max_length=10_000), WrapValidator(or_none)
    ] = None
    message: Text = None

    @property
    def share_done(self) -> float:
        """How much of the job is done, from 0 to 1, in a way that never falls.

        The service tells the share of the current sub-job and its number, but not how many there
        will be; so each gets half of what is left.
        """
        if self.status is JobStatus.FINISHED:
            return 1.0
        left = 0.5 ** (self.sub_job_id or 0)
        return 1 - left * (1 - min(1.0, max(0.0, self.progress or 0.0)) / 2)
