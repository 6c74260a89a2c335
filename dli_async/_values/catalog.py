"""What there is to export, and where it would run: databases, tables and queues."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from .parsing import AnswerModel, Count, Flag, Moment, Text


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
