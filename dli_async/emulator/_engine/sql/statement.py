"""Reads a statement down to its SELECT (dli_08_0205):

INSERT OVERWRITE DIRECTORY 'path' USING format [OPTIONS (key [=] value, ...)] [AS] SELECT ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import SqlError, syntax, unsupported
from .tokens import Token, quoted, tokenize

__all__ = ["Insert", "Select", "kind_of", "parse", "path_of", "tables_of"]

KNOWN = ("SELECT ...", "WITH ... SELECT ...", "INSERT OVERWRITE DIRECTORY ... USING ...")
# First words of statements that Spark knows and the emulator does not.
_OTHERS = frozenset(
    {
        *("ADD", "ALTER", "ANALYZE", "CACHE", "CALL", "CLEAR", "COMMENT", "CREATE", "DELETE"),
        *("DESC", "DESCRIBE", "DFS", "DROP", "EXPLAIN", "EXPORT", "FROM", "GRANT", "IMPORT"),
        *("LIST", "LOAD", "LOCK", "MAP", "MERGE", "MSCK", "REDUCE", "REFRESH", "REPAIR"),
        *("REPLACE", "RESET", "REVOKE", "ROLLBACK", "SET", "SHOW", "START", "TABLE", "TRUNCATE"),
        *("UNCACHE", "UNLOCK", "UPDATE", "USE", "VALUES"),
    }
)


@dataclass(frozen=True)
class Select:
    """A query; its text has no comments, and literals in their plainest form."""

    query: str


@dataclass(frozen=True)
class Insert(Select):
    """A query whose rows go to a folder. Options are by lower-case key, which Spark ignores."""

    path: str
    format: str
    options: Mapping[str, str] = field(default_factory=dict)


def kind_of(sql: str) -> str:
    """The type of job that a statement makes, be it right or wrong."""
    try:
        first = tokenize(sql)[:1]
    except SqlError:
        return "INSERT" if sql.lstrip()[:6].upper() == "INSERT" else "QUERY"
    return "INSERT" if first and first[0].is_word("INSERT") else "QUERY"


def parse(sql: str) -> Select | Insert:
    """What a statement asks for; its query is not looked at.

    :raises SqlError: DLI.0004 where Spark's parser would refuse it too, DLI.0007 for other
        statements, and for several at once.
    """
    tokens = tokenize(sql)
    while tokens and tokens[-1].is_mark(";"):
        tokens.pop()
    if not tokens:
        raise syntax("the statement is empty")
    if any(token.is_mark(";") for token in tokens):
        raise unsupported("several statements in one request", ("a single statement",))
    _check_commas(tokens)
    if _is_query(tokens):
        return Select(_text(sql, tokens))
    if tokens[0].is_word("INSERT"):
        return _Head(sql, tokens).read()
    if tokens[0].kind == "word" and tokens[0].value in _OTHERS:
        raise unsupported(f"the statement {tokens[0].value}", KNOWN)
    raise syntax(f"mismatched input {tokens[0].text!r}, expecting a statement")


def _check_commas(tokens: Sequence[Token]) -> None:
    # sqlglot lets a comma too many pass, Spark does not.
    for token, after in zip(tokens, [*tokens[1:], _END], strict=True):
        ends = after is _END or after.is_mark(")") or after.is_word(*_AFTER_LISTS)
        if token.is_mark(",") and ends:
            raise syntax(f"extraneous input ',' at position {token.start}")


_AFTER_LISTS = ("FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION")


def _is_query(tokens: Sequence[Token]) -> bool:
    first = next((token for token in tokens if not token.is_mark("(")), None)
    return first is not None and first.is_word("SELECT", "WITH")


class _Head:
    """Reads an INSERT token by token."""

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self._sql = sql
        self._tokens = tokens
        self._position = 0

    def read(self) -> Insert:
        self._words("INSERT")
        if self._next().is_word("INTO"):
            raise unsupported("INSERT INTO", KNOWN)
        self._words("OVERWRITE")
        if self._next().is_word("LOCAL"):
            raise unsupported("INSERT OVERWRITE LOCAL DIRECTORY", KNOWN)
        if self._next().kind == "name" or self._next().is_word("TABLE"):
            raise unsupported("INSERT OVERWRITE of a table", KNOWN)
        self._words("DIRECTORY")
        path = self._take().value if self._next().kind == "string" else None
        if self._next().is_word("ROW", "STORED"):
            raise unsupported("Hive's form of the statement", KNOWN)
        self._words("USING")
        name = self._take_kind("the name of a format", "word", "name").value.lower()
        options = self._options() if self._accept("OPTIONS") else {}
        return Insert(self._query(), _one_path(path, options.pop("path", None)), name, options)

    def _options(self) -> dict[str, str]:
        self._mark("(")
        options: dict[str, str] = {}
        while True:
            key = self._key()
            if key in options:
                raise syntax(f"found duplicate keys {key!r} in OPTIONS")
            if self._next().is_mark("="):
                self._take()
            options[key] = self._value()
            if not self._next().is_mark(","):
                break
            self._take()
        self._mark(")")
        return options

    def _key(self) -> str:
        if self._next().kind == "string":
            return self._take().value.lower()
        parts = [self._take_kind("a key", "word", "name").value.lower()]
        while self._next().is_mark("."):
            self._take()
            parts.append(self._take_kind("a key", "word", "name").value.lower())
        return ".".join(parts)

    def _value(self) -> str:
        token = self._take()
        if token.kind in ("string", "number"):
            return token.value
        if token.is_word("TRUE", "FALSE"):
            return token.value.lower()
        raise self._unexpected(token, "a value: text in quotes, a number, true or false")

    def _query(self) -> str:
        self._accept("AS")
        rest = self._tokens[self._position :]
        if not rest or not _is_query(rest):
            found = rest[0] if rest else _END
            if found.is_word("VALUES", "FROM", "TABLE", "MAP", "REDUCE"):
                raise unsupported(f"a query that begins with {found.value}", KNOWN[:2])
            raise self._unexpected(found, "SELECT or WITH")
        return _text(self._sql, rest)

    def _next(self) -> Token:
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    def _take(self) -> Token:
        token = self._next()
        self._position += 1
        return token

    def _take_kind(self, what: str, *kinds: str) -> Token:
        token = self._take()
        if token.kind not in kinds:
            raise self._unexpected(token, what)
        return token

    def _words(self, word: str) -> None:
        token = self._take()
        if not token.is_word(word):
            raise self._unexpected(token, word)

    def _accept(self, word: str) -> bool:
        found = self._next().is_word(word)
        self._position += found
        return found

    def _mark(self, mark: str) -> None:
        token = self._take()
        if not token.is_mark(mark):
            raise self._unexpected(token, repr(mark))

    def _unexpected(self, token: Token, expected: str) -> SqlError:
        found = repr(token.text) if token is not _END else "the end"
        return syntax(f"mismatched input {found} at position {token.start}, expecting {expected}")


_END = Token("end", "", "", -1)


def _one_path(literal: str | None, option: str | None) -> str:
    if literal is not None and option is not None:
        raise syntax("Directory path and 'path' in OPTIONS should be specified one, but not both")
    path = option if literal is None else literal
    if path is None:
        raise syntax("there is neither a directory path nor 'path' in OPTIONS")
    return path


def _text(sql: str, tokens: Sequence[Token]) -> str:
    """The tokens as text again, without comments; neighbouring literals are one, as in Spark."""
    pieces: list[str] = []
    before: Token | None = None
    for token in tokens:
        if before is not None and before.kind == token.kind == "string":
            pieces[-1] = quoted(before.value + token.value)
            before = token._replace(value=before.value + token.value)
            continue
        if before is not None and before.end < token.start:
            pieces.append(" ")
        pieces.append(quoted(token.value) if token.kind == "string" else token.text)
        before = token
    return "".join(pieces)


# --- what can be told of any statement, also of a wrong one ---------------------------------------


def path_of(sql: str) -> str | None:
    """The folder that a statement writes to, if it can be read."""
    try:
        statement = parse(sql)
    except SqlError:
        return None
    return statement.path if isinstance(statement, Insert) else None


def tables_of(sql: str) -> list[str]:
    """Names that follow FROM and JOIN, as far as they can be read: `db.t` and `t`."""
    try:
        tokens = tokenize(sql)
    except SqlError:
        return []
    found: list[str] = []
    for position, token in enumerate(tokens):
        if token.is_word("FROM", "JOIN"):
            found += _name_at(tokens, position + 1)
    return found


def _name_at(tokens: Sequence[Token], position: int) -> list[str]:
    parts: list[str] = []
    while position < len(tokens) and tokens[position].kind in ("word", "name"):
        token = tokens[position]
        parts.append(token.value if token.kind == "name" else token.text)
        if position + 1 >= len(tokens) or not tokens[position + 1].is_mark("."):
            break
        position += 2
    return [".".join(parts[-2:]), parts[-1]] if parts else []
