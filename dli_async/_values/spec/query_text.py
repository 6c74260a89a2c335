"""Whether a text is one query, and stays one wherever it is put at the end of a statement.

The scanner takes the text apart as Spark's lexer does, and refuses what Spark's versions read in
different ways: comments in comments, raw literals, line comments that a backslash prolongs. It has
the last word; sqlglot, where it is installed, says no to more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import NamedTuple

from .literals import no_variable

MOST = 490_000  # characters; the service takes 500,000 with the rest of the statement
_MOST_PIECES = 50_000
_PARSED = 2_000  # characters that sqlglot reads at most, since that takes time

_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PIECE = re.compile(
    r"""
    (?P<plain>[\w \t\r\n,.:=<>!+%&|^~?@$\[\]{}]+)
  | (?P<line>--[^\r\n]*)
  | (?P<hint>/\*\+(?:[\w\s(),.]|`[^`*/]*`)*\*/)
  | (?P<comment>/\*(?!\+)(?:(?!/\*|\*/).)*\*/)
  | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<name>`(?:[^`]|``)+`)
  | (?P<mark>(?!/\*|\*/)[()*/-])
    """,
    re.VERBOSE | re.DOTALL,
)
_RAW = re.compile(r"(?<!\w)[rR]$")
_UNREAD = ("line", "comment", "hint")
_COMMENT = "a comment that is open, closed twice or in a comment, or a hint with odd characters"
_WRONG = {
    "'": "an open quote",
    '"': "an open quote",
    "`": "an open backtick",
    "/": _COMMENT,
    "*": _COMMENT,
}
_WITH = re.compile("r?ng?a?g(,ng?a?g)*")


class Piece(NamedTuple):
    """One piece of a text; `plain` is whatever needs no care."""

    kind: str
    text: str


def check_query(text: str) -> str:
    """A query, without blanks around it and without a semicolon at its end.

    Raises:
        ValueError: it is not one SELECT, or WITH and a SELECT; the rule in words.
    """
    query = text.strip(" \t\r\n")
    query = query[:-1].rstrip(" \t\r\n") if query.endswith(";") else query
    if len(query) > MOST:
        raise ValueError(f"must not be longer than {MOST:,} characters")
    if not _is_query(_checked(query)):
        raise ValueError("must be one SELECT, or WITH ... SELECT")
    _ask_sqlglot(query)
    return query


def check_condition(text: str) -> str:
    """A condition for WHERE, which stays inside the parentheses around it.

    Raises:
        ValueError: the rule in words.
    """
    condition = text.strip(" \t\r\n")
    pieces = _checked(condition)
    if not pieces:
        raise ValueError("must not be empty")
    if any(piece.kind in _UNREAD for piece in pieces):
        raise ValueError("must not hold comments")
    return condition


def _checked(text: str) -> list[Piece]:
    """The pieces of a text whose quotes, comments and parentheses are closed inside it."""
    if _UNSEEN.search(text):
        raise ValueError("must not hold control characters")
    pieces: list[Piece] = []
    depth = 0
    for piece in _pieces(no_variable(text)):
        pieces.append(piece)
        depth += _step(piece)
        if depth < 0:
            raise ValueError("closes a parenthesis that it did not open")
        if len(pieces) > _MOST_PIECES:
            raise ValueError(f"must not hold more than {_MOST_PIECES:,} quotes and parentheses")
    if depth:
        raise ValueError("leaves a parenthesis open")
    return pieces


def _step(piece: Piece) -> int:
    """How much deeper in parentheses the text is after a piece."""
    return (piece.text == "(") - (piece.text == ")") if piece.kind == "mark" else 0


def _pieces(text: str) -> Iterator[Piece]:
    position, before = 0, ""
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None:
            raise ValueError(_why_not(text, position))
        kind, found = str(match.lastgroup), match[0]
        if kind == "line" and "\\" in found:
            raise ValueError("must not hold a backslash in a line comment")
        if kind == "string" and _RAW.search(before):
            raise ValueError("must not hold raw literals (r'...')")
        before = found if kind == "plain" else ""
        yield Piece(kind, found)
        position = match.end()


def _why_not(text: str, position: int) -> str:
    char = text[position]
    if char == ";":
        return "must be one statement, without a semicolon"
    what = _WRONG.get(char, f"{char!r} outside of quotes")
    return f"must not hold {what} (at character {position + 1})"


def _is_query(pieces: list[Piece]) -> bool:
    """Whether it begins with SELECT, or with `WITH name [(columns)] [AS] (query), ...` and it."""
    words = _outside_groups(pieces)
    first = next(words, "")
    if first != "WITH":
        return first == "SELECT"
    names = ""
    for word in words:
        if word == "SELECT":
            return _WITH.fullmatch(names) is not None
        names += _letter(word, is_first=not names)
    return False


def _letter(word: str, *, is_first: bool) -> str:
    if word == "RECURSIVE" and is_first:
        return "r"
    if word in ("AS", ",", _GROUP):
        return {"AS": "a", ",": ",", _GROUP: "g"}[word]
    return "n" if re.match(r"\w|`", word) else "x"


_GROUP = "()"
_WORD = re.compile(r"\w+|[^\w\s]")


def _outside_groups(pieces: list[Piece]) -> Iterator[str]:
    """What is outside of parentheses, words in upper case; `()` for each pair of them."""
    depth = 0
    for piece in pieces:
        depth += _step(piece)
        if depth or piece.kind in _UNREAD:
            continue
        if piece.kind == "plain":
            yield from (match[0].upper() for match in _WORD.finditer(piece.text))
        else:
            yield _GROUP if piece.text == ")" else piece.text


def _ask_sqlglot(query: str) -> None:
    if len(query) > _PARSED or find_spec("sqlglot") is None:
        return
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse(query, read="spark")
    except (SqlglotError, RecursionError):
        return  # it does not know all of Spark's SQL, and the service will say
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise ValueError("must be one SELECT, or WITH ... SELECT")
