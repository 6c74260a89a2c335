"""Answers about jobs, databases, tables and queues beside the status: details and list rows."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, WrapValidator

from ._lenient import AnswerModel, Count, Flag, Moment, Ratio, Span, Text, or_none
from ._models import JobStatus, Tags


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
    sub_jobs: Annotated[tuple[SubJob, ...] | None, WrapValidator(or_none)] = None
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


class DatabaseRow(AnswerModel):
    """One database (dli_02_0029)."""

    database_name: str
    owner: Text = None
    table_number: Count = None
    description: Text = None
    enterprise_project_id: Text = None
    resource_id: Text = None


class TableRow(AnswerModel):
    """One table of a list (dli_02_0105).

    `database_name` is the database that was asked; `table_type` is MANAGED, EXTERNAL or VIEW;
    `table_size` is in bytes and 0 for tables that are not stored in DLI. Without details only
    the first four fields are filled.
    """

    database_name: str
    table_name: str
    table_type: Text = None
    data_location: Text = None
    create_time: Moment = None
    last_access_time: Moment = None
    data_type: Text = None
    location: Text = None
    owner: Text = None
    table_size: Count = None


class Column(AnswerModel):
    """One column of a table (dli_02_0033); `type` is Spark's name of it."""

    column_name: str
    type: Text = None
    description: Text = None
    is_partition_column: Flag = None


class TableDescription(AnswerModel):
    """A table and its columns (dli_02_0033)."""

    database_name: str
    table_name: str
    table_type: Text = None
    data_type: Text = None
    data_location: Text = None
    table_comment: Text = None
    create_table_sql: Text = None
    columns: tuple[Column, ...] = ()


class QueueRow(AnswerModel):
    """One queue (dli_02_0196); `queue_name` is in lower case at the service."""

    queue_name: str = Field(validation_alias=AliasChoices("queue_name", "queueName"))
    queue_type: Text = Field(None, validation_alias=AliasChoices("queue_type", "queueType"))
    cu_count: Count = Field(None, validation_alias=AliasChoices("cu_count", "cuCount"))
    charging_mode: Count = Field(
        None, validation_alias=AliasChoices("charging_mode", "chargingMode")
    )
    queue_id: Count = None
    owner: Text = None
    description: Text = None
    create_time: Moment = None
    engine: Text = None
    resource_mode: Count = None
