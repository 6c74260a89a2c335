"""Options that are declared once and serve every command that asks for them.

A class of the room is a group: its constructor takes options, and nothing else, as annotations of
typer's. A command, or another group, that has a parameter of such a class gets the options of the
group where the parameter stands, and one object made of their values. So an option that is added
to `Connection` is there in each command that talks to the service.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from typing import Any


class OptionGroup:
    """Base of the classes whose constructors take options."""


def with_groups(command: Callable[..., int]) -> Callable[..., int]:
    """A command as typer is to see it: with the options of its groups, in place of the groups.

    Raises:
        ValueError: two of its options have one name.
    """

    @functools.wraps(command)
    def run(**values: Any) -> int:
        code: int = _call(command, values)
        return code

    # All by keyword, as typer calls it: what has a default may then stand before what has none.
    options = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in _options(command)]
    run.__annotations__ = {option.name: option.annotation for option in options}
    vars(run)["__signature__"] = Signature(options)
    return run


def _options(target: Callable[..., Any]) -> Iterator[Parameter]:
    for parameter in _parameters(target).values():
        if _is_group(parameter):
            yield from _options(parameter.annotation)
        else:
            yield parameter


def _call(target: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Calls `target`; its groups are made of their part of the values."""
    return target(
        **{
            name: _call(parameter.annotation, values) if _is_group(parameter) else values[name]
            for name, parameter in _parameters(target).items()
        }
    )


def _parameters(target: Callable[..., Any]) -> Mapping[str, Parameter]:
    return inspect.signature(target, eval_str=True).parameters


def _is_group(parameter: Parameter) -> bool:
    annotation = parameter.annotation
    return isinstance(annotation, type) and issubclass(annotation, OptionGroup)
