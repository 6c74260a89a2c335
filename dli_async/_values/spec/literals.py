"""How what a caller gives becomes part of a statement, and cannot leave its place in it.

Names stand in backticks, which are doubled inside; paths and options are literals. Spark looks for
`${...}` everywhere, literals included, and puts the value of a setting in its place, which could
end a literal: it is refused wherever it could stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import InvalidExport, Problem

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OPTION_KEY = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}", re.ASCII)
# What one character of an option is written as; the escape character of csv is documented so.
_ESCAPED = {"\\": r"\\", "\t": r"\t"}


def no_variable(text: str) -> str:
    """A text without a variable of Spark's in it.

    Raises:
        ValueError: the rule in words.
    """
    if "${" in text:
        raise ValueError("must not hold ${, which Spark replaces by the value of a setting")
    return text


def name(text: str) -> str:
    """A name as an identifier."""
    if _CONTROL.search(text):
        raise ValueError("must not hold control characters")
    return f"`{no_variable(text).replace('`', '``')}`"


def table(*names: str | None) -> str:
    """The full name of a table: catalog, where one is given, database and table."""
    return ".".join(name(part) for part in names if part is not None)


def folder(path: str) -> str:
    """A folder as a literal.

    Raises:
        ValueError: the rule in words.
    """
    if re.search(r"['\"\\]", path) or _CONTROL.search(path):
        raise ValueError("must not hold quotes or backslashes, since it stands in a statement")
    return f"'{no_variable(path)}'"


def option(key: str, value: str) -> str:
    """`'key'='value'`, as OPTIONS takes it.

    Raises:
        ValueError: the rule in words.
    """
    if not _OPTION_KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not the name of an option")
    return f"'{key}'={_option_value(value)}"


def _option_value(value: str) -> str:
    no_variable(value)
    if value == "'":
        return '"\'"'
    if len(value) == 1 and (value in _ESCAPED or "\x01" <= value < "\x20"):
        escaped = _ESCAPED.get(value) or f"\\u{ord(value):04x}"
        return f"'{escaped}'"
    if value != '"' and (re.search(r"['\"\\]", value) or _CONTROL.search(value)):
        raise ValueError(
            f"{value!r} holds a quote, a backslash or a control character, which only stand alone"
        )
    return f"'{value}'"


@contextmanager
def rules_of(spec: Any) -> Iterator[None]:
    """Turns a rule that a statement breaks into an error that names the spec."""
    try:
        yield
    except ValueError as error:
        raise InvalidExport([Problem("sql", str(spec), f"cannot go by SQL: {error}")]) from None
