"""The command line explains itself."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from dli_async.cli import main
from dli_async.cli._shell.connection import Connection
from dli_async.cli._shell.export_options import ExportOptions
from dli_async.cli._shell.output import Output, cell, fields_text
from dli_async.cli.app import app

from .conftest import Cli, Server, error_line

COMMANDS = {
    *("demo", "emulator", "export", "status", "wait", "cancel", "jobs", "tables", "whoami"),
    *("query", "bulk", "runs", "ls", "verify", "fetch"),
}
OF_THE_SERVICE = COMMANDS - {"demo", "emulator", "runs"}


def _commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def _parameters() -> Iterator[Any]:
    for name, command in _commands().items():
        for parameter in command.params:
            yield pytest.param(parameter, id=f"{name}-{parameter.name}")


def test_all_commands_are_there() -> None:
    """The command line has the commands that the README promises."""
    assert set(_commands()) == COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_with_an_example_or_exit_code(name: str) -> None:
    """`--help` of each command says what it does and shows how to call it."""
    result = Cli()(name, "--help")
    assert result.exit_code == 0
    assert f"dli-async {name}" in result.stdout
    assert "Example" in result.stdout


@pytest.mark.parametrize("parameter", list(_parameters()))
def test_every_option_and_argument_explains_itself(parameter: Any) -> None:
    """No parameter of any command is without help."""
    assert (parameter.help or "").strip().endswith((".", "...")), parameter.name


@pytest.mark.parametrize("name", sorted(OF_THE_SERVICE))
def test_commands_of_the_service_share_their_options(name: str) -> None:
    """Each command that talks to the service can be told where, as whom, and how to answer."""
    options = {option for parameter in _commands()[name].params for option in parameter.opts}
    assert options >= {"--endpoint", "--region", "--project-id", "--token", "--json"}


@pytest.mark.parametrize(
    ("group", "commands"),
    [
        (Connection, OF_THE_SERVICE),
        (Output, COMMANDS),
        (ExportOptions, {"export", "query", "bulk"}),
    ],
)
def test_an_option_of_a_group_is_there_in_all_commands_of_the_group(
    group: type, commands: set[str]
) -> None:
    """What is added to a group is an option of each command that asks for it, and of no other."""
    names = set(inspect.signature(group).parameters)
    have = {
        name: {parameter.name for parameter in command.params} >= names
        for name, command in _commands().items()
    }
    assert have == {name: name in commands for name in COMMANDS}


def test_times_are_given_with_their_unit() -> None:
    """Every option that takes seconds says so."""
    named = ("timeout", "launch", "run")
    timed = [p for c in _commands().values() for p in c.params if p.name in named]
    assert len(timed) == 9
    assert all(parameter.metavar == "SECONDS" for parameter in timed)


def test_version_is_that_of_the_package() -> None:
    """`--version` prints the version of the package."""
    result = Cli()("--version")
    assert result.stdout == f"dli-async {importlib.metadata.version('dli-async')}\n"
    assert result.exit_code == 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_verbose_may_stand_anywhere(place: int, quick: Server) -> None:
    """Before the command, after it and at the end it means the same; after `--` it is a word."""
    args = ["tables", "db1"]
    args[place:place] = ["-vv"]
    result = Cli(quick)(*args)
    assert result.exit_code == 0
    assert "debug: GET /v1.0/" in result.stderr
    assert "debug: " not in Cli(quick)("tables", "--", "-v").stderr


def test_without_a_command_it_shows_its_help() -> None:
    """Without a command the help is on stderr, with the exit codes, and the exit code is 2."""
    result = Cli()()
    assert result.exit_code == 2
    assert "130  interrupted" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nonsense"], "nonsense"),
        (["export"], "DB.TABLE"),
        (["export", "orders", "obs://b/c"], "a database, a dot and a table"),
        (["export", "a.b", "obs://b/c", "--data-type", "xml"], "xml"),
        (["export", "a.b", "obs://b/c", "--timeout", "-1"], "--timeout"),
        (["export", "a.b", "obs://b/c", "--frobnicate"], "--frobnicate"),
        (["jobs", "--since", "yesterday"], "'yesterday' is not a moment"),
        (["jobs", "--status", "DONE"], "'DONE' is none of LAUNCHING"),
        (["emulator", "--database", "/does/not/exist"], "/does/not/exist"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_with_2(args: list[str], words: str) -> None:
    """A usage error names what is wrong and where to look, in one line."""
    result = Cli()(*args)
    assert result.exit_code == 2
    assert words in error_line(result)
    assert "--help" in result.stderr


@pytest.mark.parametrize("command", ["export", "bulk", "runs"])
def test_wrong_usage_is_a_document_too(command: str) -> None:
    """With `--json` a usage error is told on stdout as every other failure is."""
    document = Cli().json(command, code=2)
    assert document["error"]["type"] == "UsageError"
    assert document["error"]["exit_code"] == 2
    assert f"(see dli-async {command} --help)" in document["error"]["message"]
    assert document["job_id"] is document["status"] is document["token"] is None


def test_the_entry_point_runs_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`main` takes the arguments of the process and exits."""
    monkeypatch.setattr(sys, "argv", ["dli-async", "--version"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 0
    assert capsys.readouterr().out.startswith("dli-async ")


@pytest.mark.parametrize("package", ["typer", "rich", "yaml"])
def test_without_the_cli_extra_one_line_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing package of the extra is named, with the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == (
        f"dli-async: error: the command line needs {package}, which the extra [cli] brings: "
        "pip install 'dli-async[cli]'\n"
    )


@pytest.mark.parametrize("command", ["demo", "emulator"])
def test_without_the_emulator_extra_one_line_says_what_to_install(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`demo` and `emulator` name the extra that they need."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = Cli()(command)
    assert result.exit_code == 2
    assert "pip install 'dli-async[emulator]'" in error_line(result)


def test_ctrl_c_while_loading_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt before there is anything to do exits with 130 and says nothing."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dli_async.cli.app.app", interrupt)
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 130


def test_an_aborted_command_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """An abort inside the argument parser counts as an interrupt."""

    def abort(*_: object, **__: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(TyperGroup, "main", abort)
    assert Cli()("tables").exit_code == 130


def test_a_reader_that_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe ends the output and nothing else."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output = Output(as_json=True)
        output.result({"rows": 1}, "")
        output.result({"rows": 2}, "")


def test_values_for_people_have_their_units() -> None:
    """Unknown is a dash or left out, truth is yes or no, spans have seconds."""
    shown = fields_text({"a": None, "flag": False, "span": timedelta(seconds=1.25)})
    assert shown.split() == ["flag:", "no", "span:", "1.2", "s"]
    assert cell(None) == "-"
