"""An option is declared once, and every command that asks for its group has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from dli_async.cli._shell.option_groups import OptionGroup, with_groups


@dataclass(frozen=True)
class Place(OptionGroup):
    city: Annotated[str, typer.Option(help="A city.")] = "Guiyang"
    zone: Annotated[int | None, typer.Option("--zone-number", min=1, help="A zone.")] = None


@dataclass(frozen=True)
class Journey(OptionGroup):
    by: Annotated[str, typer.Option(help="A vehicle.")]
    to: Place


def _app(command: Any) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(with_groups(command))
    return app


def _run(command: Any, *args: str) -> Any:
    return CliRunner().invoke(_app(command), list(args))


def travel(*, name: str = "Li", journey: Journey, fast: bool = False) -> int:
    """Travel far."""
    typer.echo(f"{name}, {journey}, {fast}")
    return 0


def test_the_options_of_a_group_stand_where_the_group_does() -> None:
    """`--help` lists them, those of a group within a group too, in the order of the signature."""
    command: Any = typer.main.get_command(_app(travel))
    options = [parameter.opts[0] for parameter in command.params]
    assert options[:5] == ["--name", "--by", "--city", "--zone-number", "--fast"]
    assert command.help == "Travel far."


def test_a_command_gets_one_object_of_what_was_given() -> None:
    """Groups are made of the values given, and of their own defaults."""
    result = _run(travel, "--zone-number", "3", "--by", "train", "--fast")
    place = Place("Guiyang", 3)
    assert result.stdout == f"Li, {Journey('train', place)}, True\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [([], "--by"), (["--by", "car", "--zone-number", "0"], "--zone-number")],
)
def test_values_of_a_group_are_checked_like_all_others(args: list[str], words: str) -> None:
    """What is missing or out of range is a usage error that names the option."""
    result = _run(travel, *args)
    assert result.exit_code == 2
    assert words in result.stderr


def test_an_option_cannot_be_there_twice() -> None:
    """Two groups with an option of one name are refused when the command is made."""

    def confused(*, here: Place, there: Place) -> int:
        raise AssertionError((here, there))

    with pytest.raises(ValueError, match="city"):
        with_groups(confused)
