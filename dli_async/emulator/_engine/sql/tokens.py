"""Takes a statement apart as Spark's lexer does: literals, names, comments and single marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import syntax

__all__ = ["Token", "quoted", "tokenize"]


class Token(NamedTuple):
    """One piece of a statement.

    `kind` is `word`, `name` (in backticks), `string`, `number` or `mark`; `value` is what it means:
    a word in upper case, a name or string without quotes and escapes, else the text itself.
    """

    kind: str
    text: str
    value: str
    start: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords, which are in upper case."""
        return self.kind == "word" and self.value in words

    def is_mark(self, mark: str) -> bool:
        """Whether it is this mark."""
        return self.kind == "mark" and self.value == mark

    @property
    def end(self) -> int:
        """Where it ends in the statement."""
        return self.start + len(self.text)


_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--(?:\\\n|[^\n\r])*)
  | (?P<comment>/\*)
  | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<raw>r(?:'[^']*'|"[^"]*"))
  | (?P<name>`(?:[^`]|``)*`)
  | (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?:BD|[LSYDF])?(?![A-Za-z0-9_]))
  | (?P<word>[A-Za-z0-9_]+)
  | (?P<mark>[()\[\]{},.;:=<>!+\-*/%&|^~?@$])
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_OPENERS = {"'": "string", '"': "string", "`": "name in backticks"}
_ESCAPE = re.compile(
    r"\\(?:([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([%_])|(.))", re.DOTALL
)
_CONTROLS = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def tokenize(sql: str) -> list[Token]:
    """The tokens of a statement, comments (and with them Spark's hints) left out.

    Hints may be left out since they never change a result, only how it is come by.

    :raises SqlError: DLI.0004 for a literal or comment without an end, or a character that means
        nothing outside of them.
    """
    return list(_tokens(sql))


def _tokens(sql: str) -> Iterator[Token]:
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise _stray(sql, position)
        kind, text = str(match.lastgroup), match[0]
        if kind == "comment":
            position = _after_comment(sql, position)
            continue
        if kind != "blank":
            value = _value(kind, text)
            yield Token("string" if kind == "raw" else kind, text, value, position)
        position = match.end()


def _stray(sql: str, position: int) -> ValueError:
    char = sql[position]
    if char in _OPENERS:
        return syntax(f"the {_OPENERS[char]} that begins at position {position} has no end")
    return syntax(f"extraneous input {char!r} at position {position}")


def _after_comment(sql: str, begin: int) -> int:
    # Comments nest in Spark 3.
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, begin):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise syntax(f"the comment that begins at position {begin} has no end")


def _value(kind: str, text: str) -> str:
    if kind == "string":
        return _ESCAPE.sub(_unescaped, text[1:-1])
    if kind == "raw":
        return text[2:-1]
    if kind == "name":
        return text[1:-1].replace("``", "`")
    return text.upper() if kind == "word" else text


def _unescaped(match: re.Match[str]) -> str:
    octal, short, long, pattern, char = match.groups()
    if octal:
        return chr(int(octal, 8))
    if short or long:
        return _character(int(short or long, 16))
    # These two keep their backslash, for LIKE.
    return f"\\{pattern}" if pattern else _CONTROLS.get(char, char)


def _character(code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise syntax(f"U+{code:X} is no character")
    return chr(code)


def quoted(value: str) -> str:
    """A literal that means `value`, in its plainest form."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
