"""The options and arguments of commands about single jobs, and how their values are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from ..._values.enums import JobStatus
from .._shell.option_groups import OptionGroup

JobId = Annotated[
    str,
    typer.Argument(metavar="JOB_ID", help="Id of the job, as `export` or `jobs` prints it."),
]
DataPath = Annotated[
    str,
    typer.Argument(
        metavar="obs://BUCKET/FOLDER",
        help="Folder to write to, at least one level below the bucket.",
    ),
]
WaitTimeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="How long to wait in all, submit included, in seconds; the job runs on after it. A "
        "submit under way is heard out, which may take 30 s more. Default: no limit.",
    ),
]


class OnTimeout(StrEnum):
    """What becomes of the job when the wait is over."""

    DETACH = "detach"
    CANCEL = "cancel"


class Order(StrEnum):
    """How the service sorts jobs."""

    START_TIME_DESC = "start_time_desc"
    START_TIME_ASC = "start_time_asc"
    DURATION_DESC = "duration_desc"
    DURATION_ASC = "duration_asc"


def read_table(text: str) -> tuple[str, str]:
    """Database and table of `DB.TABLE`."""
    database, _, table = text.partition(".")
    if not database or not table:
        raise typer.BadParameter(
            f"DB.TABLE={text!r} must be a database, a dot and a table, such as sales.orders"
        )
    return database, table


def _read_moment(text: str) -> datetime:
    """A moment in ISO 8601; without a zone it is in local time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a moment such as 2026-01-31 or 2026-01-31T08:00:00+08:00"
        ) from None
    return moment if moment.tzinfo else moment.astimezone()


def _read_status(text: str) -> JobStatus:
    """A state of a job, in any case."""
    status = JobStatus.read(text)
    if status is JobStatus.UNKNOWN:
        words = ", ".join(word for word in JobStatus if word is not JobStatus.UNKNOWN)
        raise typer.BadParameter(f"{text!r} is none of {words}")
    return status


@dataclass(frozen=True, kw_only=True)
class WaitOptions(OptionGroup):
    """How `export` waits for its job."""

    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the job id as soon as the job is accepted.")
    ] = False
    timeout: WaitTimeout = None
    on_timeout: Annotated[
        OnTimeout,
        typer.Option(
            help="What becomes of the job when --timeout is over: it runs on, or it is cancelled, "
            "which is waited for up to 60 s. The exit code is 3 either way."
        ),
    ] = OnTimeout.DETACH


def _read_pair(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} must be a name, = and a value")
    return name, value


def _pairs(option: str, what: str) -> Any:
    text = f"{what}; may be repeated."
    return typer.Option(option, metavar="NAME=VALUE", parser=_read_pair, help=text)


@dataclass(frozen=True, kw_only=True)
class PartOfTable(OptionGroup):
    """Which part of a table is exported; any of it takes SQL."""

    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Only these columns, in this order, by SQL."),
    ] = None
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Only rows for which this SQL is true, by SQL."),
    ] = None

    def fields(self) -> dict[str, Any]:
        """Arguments of `QueryExport.of_table`."""
        names = None if self.columns is None else [name.strip() for name in self.columns.split(",")]
        given = {"columns": names, "where": self.where}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class QueryOptions(OptionGroup):
    """Fields of a `QueryExport` that an export of a table does not have."""

    database_name: Annotated[
        str | None,
        typer.Option("--database", metavar="NAME", help="Database of tables named without one."),
    ] = None
    current_catalog: Annotated[
        str | None,
        typer.Option("--catalog", metavar="NAME", help="Catalog of databases named without one."),
    ] = None
    options: Annotated[
        list[Any] | None, _pairs("--option", "An option of the format, such as delimiter='|'")
    ] = None
    conf: Annotated[list[Any] | None, _pairs("--conf", "A setting of the job")] = None
    tags: Annotated[list[Any] | None, _pairs("--tag", "A tag of the job")] = None

    def fields(self) -> dict[str, Any]:
        """The fields that were given."""
        names = {"database_name": self.database_name, "current_catalog": self.current_catalog}
        pairs = {"options": self.options, "conf": self.conf, "tags": self.tags}
        return {name: value for name, value in names.items() if value is not None} | {
            name: dict(given) for name, given in pairs.items() if given
        }


@dataclass(frozen=True, kw_only=True)
class JobFilters(OptionGroup):
    """Which jobs to list: the filters of `DliClient.jobs`, under their names."""

    status: Annotated[
        Any,
        typer.Option(
            metavar="STATUS",
            parser=_read_status,
            help="Only jobs that are LAUNCHING, RUNNING, SCALING, FINISHED, FAILED or CANCELLED.",
        ),
    ] = None
    job_type: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Kind of jobs: EXPORT, QUERY, ALL, ...")
    ] = "EXPORT"
    queue_name: Annotated[
        str | None, typer.Option("--queue", metavar="NAME", help="Only jobs of this queue.")
    ] = None
    since: Annotated[
        Any,
        typer.Option(
            metavar="MOMENT",
            parser=_read_moment,
            help="Only jobs that started then or later, such as 2026-01-31T08:00:00+08:00; "
            "without a zone it is local time.",
        ),
    ] = None
    until: Annotated[
        Any,
        typer.Option(
            metavar="MOMENT", parser=_read_moment, help="Only jobs that started before then."
        ),
    ] = None
    owner: Annotated[
        str | None, typer.Option(metavar="USER", help="Only jobs that this user submitted.")
    ] = None
    order: Annotated[Order, typer.Option(help="What comes first.")] = Order.START_TIME_DESC


@dataclass(frozen=True, kw_only=True)
class TableFilters(OptionGroup):
    """Which tables to list, and how: the options of `DliClient.tables`, under their names."""

    keyword: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only tables with this in their name.")
    ] = None
    with_detail: Annotated[
        bool, typer.Option("--detail", help="Tell sizes in bytes, times and owners too.")
    ] = False
