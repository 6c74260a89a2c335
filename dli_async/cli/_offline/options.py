"""The options of `dli-async demo` and `dli-async emulator`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .._shell.option_groups import OptionGroup

Slots = Annotated[int, typer.Option(min=1, help="How many jobs each queue runs at a time.")]
Launch = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long a job is LAUNCHING, in seconds.")
]
RunTime = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Median of how long a job is RUNNING, in seconds."),
]


@dataclass(frozen=True, kw_only=True)
class DemoOptions(OptionGroup):
    """How the demo runs."""

    obs_dir: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Folder that stands for OBS. Each run makes a new folder below DIR/demo.",
        ),
    ] = Path("obs")
    slots: Slots = 8
    max_running: Annotated[
        int, typer.Option(min=1, help="How many exports to await at the same time.")
    ] = 32
    launch: Launch = 0.5
    run: RunTime = 1.5


class ExistsCheck(StrEnum):
    """When the emulator looks whether the folder of an ErrorIfExists export is there."""

    JOB = "job"
    SUBMIT = "submit"


class Spark(StrEnum):
    """The versions of Spark whose files the emulator writes."""

    V3_3 = "3.3"
    V3_5 = "3.5"


class SqlCheck(StrEnum):
    """When the emulator says that a statement is wrong."""

    SUBMIT = "submit"
    JOB = "job"


@dataclass(frozen=True, kw_only=True)
class EmulatorOptions(OptionGroup):
    """Arguments of an `Emulator`, under their names."""

    obs_dir: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Folder that stands for OBS.")
    ] = Path("obs")
    database: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            exists=True,
            help="Tables to serve: a DuckDB file, or a folder of CSV and Parquet files. "
            "Default: sample tables.",
        ),
    ] = None
    slots: Slots = 8
    launch: Launch = 0.2
    run: RunTime = 1.0
    exists_check: Annotated[
        ExistsCheck,
        typer.Option(
            help="What happens to an ErrorIfExists export when the folder is there: the job "
            "fails (job), or the request is refused (submit)."
        ),
    ] = ExistsCheck.JOB
    sql_check: Annotated[
        SqlCheck,
        typer.Option(
            help="What happens to SQL that is wrong: the request is refused (submit), or the job "
            "fails (job)."
        ),
    ] = SqlCheck.SUBMIT
    job_bucket: Annotated[
        str | None,
        typer.Option(
            metavar="BUCKET", help="Keep the full result of each query there, as csv. Default: no."
        ),
    ] = None
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CALL",
            help="A call that is gone: export-table answers 404 APIGW.0101, "
            "export-table:DLI.0007 answers 400 with that code. May be repeated.",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            help="Makes ids, times and sample tables the same in every run. Default: job ids that "
            "no other run has."
        ),
    ] = None
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host",
            metavar="NAME",
            help="A further name that clients call it by, such as that of a container; may be "
            "repeated. Calls under other names than loopback and --host are refused.",
        ),
    ] = None
    spark: Annotated[
        Spark, typer.Option(help="The Spark whose files the exports are; DLI's is 3.3.")
    ] = Spark.V3_3
    jdk: Annotated[
        int,
        typer.Option(
            min=8,
            metavar="VERSION",
            help="The Java that Spark runs on. Up to 18 some doubles have a digit too many "
            "(9.999999999999999E22), since 19 none has (1.0E23). DLI's is 8.",
        ),
    ] = 8
    time_zone: Annotated[
        str,
        typer.Option(
            metavar="ZONE",
            help="Time zone of the timestamps in the files: UTC, Asia/Shanghai, +08:00, ...",
        ),
    ] = "UTC"
