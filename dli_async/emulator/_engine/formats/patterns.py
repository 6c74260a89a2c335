"""`dateFormat` and `timestampFormat`: Java's patterns, for what DuckDB prints."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from ..sql.errors import semantics, unsupported

__all__ = ["formatter"]

_PIECE = re.compile(r"(?P<quoted>'(?:[^']|'')*')|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z'])")
_OPTIONAL = "[]"  # optional sections are for reading; whatever they hold can always be written
_RESERVED = "#{}"

Piece = Callable[[datetime], str]

_LETTERS: Mapping[str, Piece] = {
    "yyyy": lambda at: f"{at.year:04d}",
    "y": lambda at: str(at.year),
    "yy": lambda at: f"{at.year % 100:02d}",
    "M": lambda at: str(at.month),
    "MM": lambda at: f"{at.month:02d}",
    "MMM": lambda at: calendar.month_abbr[at.month],
    "MMMM": lambda at: calendar.month_name[at.month],
    "d": lambda at: str(at.day),
    "dd": lambda at: f"{at.day:02d}",
    "E": lambda at: calendar.day_abbr[at.weekday()],
    "EEEE": lambda at: calendar.day_name[at.weekday()],
    "a": lambda at: "AM" if at.hour < 12 else "PM",
    "H": lambda at: str(at.hour),
    "HH": lambda at: f"{at.hour:02d}",
    "h": lambda at: str(at.hour % 12 or 12),
    "hh": lambda at: f"{at.hour % 12 or 12:02d}",
    "m": lambda at: str(at.minute),
    "mm": lambda at: f"{at.minute:02d}",
    "s": lambda at: str(at.second),
    "ss": lambda at: f"{at.second:02d}",
    "X": lambda at: "Z" if _is_utc(at) else _hours(at),
    "XX": lambda at: "Z" if _is_utc(at) else _offset(at, ""),
    "XXX": lambda at: "Z" if _is_utc(at) else _offset(at, ":"),
    "x": lambda at: _hours(at),
    "xxx": lambda at: _offset(at, ":"),
    "Z": lambda at: _offset(at, ""),
    "z": lambda at: at.tzname() or "UTC",
    "VV": lambda at: str(at.tzinfo),
}


def _is_utc(at: datetime) -> bool:
    return not at.utcoffset()


def _offset(at: datetime, separator: str) -> str:
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{separator}{rest:02d}"


def _hours(at: datetime) -> str:
    """The offset without minutes, unless there are some."""
    return _offset(at, "").removesuffix("00")


def formatter(pattern: str, zone: tzinfo = UTC) -> Callable[[str], str]:
    """A function from DuckDB's text of a date or timestamp to text in a pattern of Java's.

    :param zone: in which a moment is told.
    :raises SqlError: DLI.0007 for letters that are not emulated, DLI.0005 for no pattern at all.
    """
    pieces = [piece for piece in _pieces(pattern) if piece is not None]

    def write(text: str) -> str:
        at = datetime.fromisoformat(text.removesuffix("+00")).replace(tzinfo=UTC).astimezone(zone)
        return "".join([piece(at) for piece in pieces])

    return write


def _pieces(pattern: str) -> list[Piece | None]:
    found: list[Piece | None] = []
    position = 0
    while position < len(pattern):
        match = _PIECE.match(pattern, position)
        if match is None:
            raise semantics(f"the pattern {pattern!r} has a quote without an end")
        found.append(_piece(match, pattern))
        position = match.end()
    return found


def _piece(match: re.Match[str], pattern: str) -> Piece | None:
    if quoted := match["quoted"]:
        text = quoted[1:-1].replace("''", "'") or "'"
        return lambda _: text
    if other := match["other"]:
        if other in _RESERVED:
            raise semantics(f"the pattern {pattern!r} has the reserved character {other!r}")
        return None if other in _OPTIONAL else lambda _: other
    letters = match["letters"]
    if set(letters) == {"S"} and len(letters) <= 9:
        return lambda at: f"{at.microsecond:06d}000"[: len(letters)]
    if letters not in _LETTERS:
        raise unsupported(f"{letters!r} in the pattern {pattern!r}", (*_LETTERS, "S to SSSSSSSSS"))
    return _LETTERS[letters]
