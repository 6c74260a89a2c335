"""Fields of csv in any dialect, as univocity's writer makes them for Spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import spark as _spark

__all__ = ["PLAIN", "Dialect"]

_BLANKS = "".join(map(chr, range(33)))


@dataclass(frozen=True)
class Dialect:
    """How fields are told apart; the defaults are Spark's."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = "\\"
    null: str = ""
    empty: str = '""'
    comment: str = "#"
    quote_all: bool = False
    cut_left: bool = True
    cut_right: bool = True
    null_is_empty: bool = False
    """Nulls are written as the text of `null`, and so as `empty` if it has none (Spark 2.4)."""

    def lines(
        self, cells: Sequence[_spark.Cell], patterns: Sequence[Callable[[Any], str] | None]
    ) -> _spark.Lines:
        """A function from rows to csv; `patterns` write dates and timestamps their own way."""
        texts = [_plain(*pair) for pair in zip(cells, patterns, strict=True)]

        def write(rows: Sequence[Sequence[Any]]) -> str:
            return "".join([self.line(_texts(texts, row)) for row in rows])

        return write

    def line(self, values: Sequence[str | None]) -> str:
        """One line with its end; a line without any character is not written."""
        fields = [self._field(index, value) for index, value in enumerate(values)]
        line = self.delimiter.join(fields)
        return f"{line}\n" if line else ""

    def _field(self, index: int, value: str | None) -> str:
        if value is None:
            if self.null_is_empty:
                return self._field(index, self.null)
            return self._special(index, self.null)
        if not value:
            return self._special(index, self.empty)
        return self._written(index, value) or self._special(index, self.empty)

    def _special(self, index: int, text: str) -> str:
        """A null or an empty string, which may bring its own quotes."""
        own_quotes = len(text) >= 2 and text[0] == text[-1] == self.quote
        return text if own_quotes else self._written(index, text)

    def _written(self, index: int, value: str) -> str:
        body = value.lstrip(_BLANKS) if self.cut_left else value
        ended = body.rstrip(_BLANKS) if self.cut_right else body
        looks_like_comment = index == 0 and value[:1] == self.comment
        if self.quote_all or looks_like_comment or self._needs_quotes(body):
            return self._quoted(ended)
        return ended

    def _needs_quotes(self, body: str) -> bool:
        return any(mark in body for mark in (self.delimiter, self.quote, "\r", "\n"))

    def _quoted(self, body: str) -> str:
        if self.escape != self.quote:
            body = body.replace(self.escape, self.escape * 2)
        return f"{self.quote}{body.replace(self.quote, self.escape + self.quote)}{self.quote}"


PLAIN = Dialect()
"""Spark's own dialect."""


def _plain(cell: _spark.Cell, pattern: Callable[[Any], str] | None) -> Callable[[Any], str]:
    """A function from a value to its text, before anything is quoted."""
    if pattern is not None:
        return pattern
    if cell.type == "string":
        return str
    assert cell.csv is not None
    return cell.csv


def _texts(texts: Sequence[Callable[[Any], str]], row: Sequence[Any]) -> list[str | None]:
    return [None if value is None else text(value) for text, value in zip(texts, row, strict=True)]
