"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from ..._auth import StaticToken
from ..._client import DliClient
from ..._values.enums import Compress, DataType, ExportMode, JobStatus
from ..._values.errors import ConfigurationError

Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Base URL of DLI, such as https://dli.cn-north-4.myhuaweicloud.com. "
        "Default: DLI_ENDPOINT, or the endpoint of the region.",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Region, such as cn-north-4; it names the endpoint. Default: DLI_REGION.",
    ),
]
ProjectId = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Project, 32 hexadecimal digits. Default: DLI_PROJECT_ID, "
        "HUAWEICLOUD_SDK_PROJECT_ID, or looked up at IAM by region.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        help="IAM token to log in with. Other users of the machine can see it in the list of "
        "processes, so better set DLI_TOKEN. Default: DLI_TOKEN, or access keys found where "
        "the vendor's SDK looks (HUAWEICLOUD_SDK_AK and _SK, profile file, ECS, CCE).",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document on stdout (an array for lists), also for errors, and "
        "everything else on stderr. Moments are in ISO 8601, durations in seconds, sizes in bytes.",
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
FilesAs = Annotated[DataType, typer.Option(case_sensitive=False, help="Format of the files.")]
CompressedBy = Annotated[
    Compress, typer.Option(case_sensitive=False, help="Compression of the files.")
]
Mode = Annotated[
    ExportMode,
    typer.Option(
        case_sensitive=False,
        help="When the folder exists: fail, or delete what it holds and write anew.",
    ),
]
Header = Annotated[
    bool, typer.Option("--header/--no-header", help="Write the names of the columns (csv).")
]
Queue = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Queue that runs the job. Default: the shared queue `default`."
    ),
]
JobId = Annotated[
    str,
    typer.Argument(metavar="JOB_ID", help="Id of the job, as `export` or `jobs` prints it."),
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


@dataclass(frozen=True)
class Connection:
    """Which service to talk to and as whom; None leaves it to the environment."""

    endpoint: str | None
    region: str | None
    project_id: str | None
    token: str | None

    def client(self, **options: Any) -> DliClient:
        """A client, not yet open; `options` are those of `DliClient`.

        Raises:
            ConfigurationError: a value breaks a rule, or no endpoint is known.
        """
        variables = ("DLI_ENDPOINT", "DLI_REGION")
        if not (self.endpoint or self.region or any(map(os.environ.get, variables))):
            raise ConfigurationError(
                "no endpoint: give --endpoint or --region, or set DLI_ENDPOINT or DLI_REGION"
            )
        return DliClient.from_env(
            endpoint=self.endpoint,
            region=self.region,
            project_id=self.project_id,
            auth=None if self.token is None else StaticToken(self.token),
            **options,
        )

    def token_source(self) -> str | None:
        """Where a given token comes from; None if there is none."""
        if self.token is not None:
            return "--token"
        return "DLI_TOKEN" if os.environ.get("DLI_TOKEN") else None


def read_moment(text: str) -> datetime:
    """A moment in ISO 8601; without a zone it is in local time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a moment such as 2026-01-31 or 2026-01-31T08:00:00+08:00"
        ) from None
    return moment if moment.tzinfo else moment.astimezone()


def read_table(text: str) -> tuple[str, str]:
    """Database and table of `DB.TABLE`."""
    database, _, table = text.partition(".")
    if not database or not table:
        raise typer.BadParameter(
            f"DB.TABLE={text!r} must be a database, a dot and a table, such as sales.orders"
        )
    return database, table


def read_status(text: str) -> JobStatus:
    """A state of a job, in any case."""
    status = JobStatus.read(text)
    if status is JobStatus.UNKNOWN:
        words = ", ".join(word for word in JobStatus if word is not JobStatus.UNKNOWN)
        raise typer.BadParameter(f"{text!r} is none of {words}")
    return status
