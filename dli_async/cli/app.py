"""The command line as a whole: its options, its commands, its usage errors.

The commands themselves are in `_offline` (demo, emulator), `_exports` (one export, and what there
is) and `_bulk` (many exports), each in the `commands.py` there.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ._bulk import commands as _bulk
from ._exports import commands as _exports
from ._exports import file_commands as _files
from ._offline import commands as _offline
from ._shell.failures import Exit, Failure, one_line
from ._shell.option_groups import with_groups
from ._shell.output import Output

# typer brings its own click since 0.2x, so the base of usage errors is found through one of them.
_UsageError: Any = typer.BadParameter.__base__
_VERBOSE = re.compile("-v+|--verbose")


class _CommandGroup(TyperGroup):
    """Tells usage errors in one line, and exits with what a command returns."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        words = _verbose_first(sys.argv[1:] if args is None else args)
        try:
            code = super().main(words, *more, **(extra | {"standalone_mode": False}))
        except _UsageError as error:
            code = _tell_usage(error, as_json="--json" in words)
        except typer.Abort:
            code = Output("--json" in words).fail(Failure.interrupted())
        sys.exit(int(code or 0))


def _verbose_first(words: Sequence[str]) -> list[str]:
    """The words with each `-v` before the command, wherever it was given."""
    end = words.index("--") if "--" in words else len(words)
    flags = [word for word in words[:end] if _VERBOSE.fullmatch(word)]
    return [*flags, *(word for word in words[:end] if word not in flags), *words[end:]]


def _tell_usage(error: Any, *, as_json: bool) -> Exit:
    command = error.ctx.command_path if error.ctx else "dli-async"
    message = f"{one_line(error.format_message())} (see {command} --help)"
    return Output(as_json).fail(Failure(code=Exit.USAGE, kind="UsageError", message=message))


app = typer.Typer(
    cls=_CommandGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dli-async {version('dli-async')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def dli_async(
    context: typer.Context,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Log on stderr, also after the command: -v for one line a job, -vv for one line "
            "a request.",
        ),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Export tables of Huawei Cloud DLI to OBS, watch the jobs, or try all of it offline.

    \b
    dli-async demo                                      try it: no account needed
    dli-async export sales.orders obs://bucket/orders   one table to one folder
    dli-async wait JOB_ID                               go on waiting
    dli-async bulk --database sales --to 'obs://bucket/{date}/{database}/{table}'

    Settings, first found wins: the option; DLI_ENDPOINT, DLI_REGION, DLI_PROJECT_ID, DLI_TOKEN,
    OBS_ENDPOINT;
    the variables and files of the vendor's SDK, such as HUAWEICLOUD_SDK_AK and _SK.
    `dli-async whoami` shows what was found.

    \b
    Exit codes:
      0    finished
      1    the job failed or was cancelled, or its files are not complete
      2    wrong usage, an export that breaks a rule, or a wrong setting
      3    timed out: `dli-async wait JOB_ID` resumes, unless --on-timeout cancel ended the job
      4    the service, the network, the login or the journal said no
      5    in doubt whether the export was accepted: `dli-async wait TOKEN` looks again
      130  interrupted: the job runs on, `dli-async wait` resumes
    """
    logging.getLogger("dli_async").setLevel(
        {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    )
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(Exit.USAGE)


for _command in (
    _offline.demo,
    _offline.emulator,
    _exports.export,
    _exports.query,
    _exports.status,
    _exports.wait,
    _exports.cancel,
    _exports.jobs,
    _files.ls,
    _files.verify,
    _files.fetch,
    _exports.tables,
    _exports.whoami,
    _bulk.bulk,
    _bulk.runs,
):
    app.command()(with_groups(_command))
