"""Dates and timestamps as Spark writes them, from the text that DuckDB prints in UTC.

What Spark has not, such as `infinity`, is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import partial

__all__ = ["date_text", "days", "micros", "timestamp_text", "timestamp_writer"]

_WIDE = re.compile(r"(\d+)-(\d\d)-(\d\d)( \(BC\))?(?: (\d.*))?")
_EPOCH = date(1970, 1, 1).toordinal()
# The calendar repeats after 400 years, and so do the rules of time zones.
_CYCLE = 400
_CYCLE_DAYS = 146_097
_NO_OFFSETS = ("+00:00", "-00:00")


def date_text(text: str) -> str:
    """`2020-02-29`, `+10000-01-01`, `-0043-03-15`."""
    if len(text) == 10:
        return text
    match = _WIDE.fullmatch(text)
    return f"{_year_text(_year(match))}-{match[2]}-{match[3]}" if match else text


def timestamp_writer(zone: tzinfo) -> Callable[[str], str]:
    """A function from a time in UTC to `2020-01-01T12:30:00.123+08:00`, or `Z` without an offset.

    What is below a millisecond is cut off, and so are the seconds of an offset before 1901.
    """
    return timestamp_text if zone is UTC else partial(_zoned_text, zone)


def timestamp_text(text: str) -> str:
    """`2020-01-01T12:30:00.123Z` from a time in UTC."""
    text = text.removesuffix("+00")
    if text[13:14] == ":":
        return f"{text[:10]}T{_clock_text(text[11:])}Z"
    match = _WIDE.fullmatch(text)
    if not match:
        return text
    return f"{_year_text(_year(match))}-{match[2]}-{match[3]}T{_clock_text(match[5])}Z"


def _zoned_text(zone: tzinfo, text: str) -> str:
    text = text.removesuffix("+00")
    if text[13:14] == ":" and "0002" < text[:4] < "9999":
        return _local_text(datetime.fromisoformat(text[:23]), zone)
    match = _WIDE.fullmatch(text)
    if not match:
        return text
    year = _year(match)
    # A year before any zone changed its clocks, or one of the future.
    known = year % _CYCLE + (400 if year < 2_000 else 2_400)
    moment = datetime.fromisoformat(f"{known:04d}-{match[2]}-{match[3]} {_clock_text(match[5])}")
    local = _local_text(moment, zone)
    return _year_text(year + int(local[:4]) - known) + local[4:]


def _local_text(moment: datetime, zone: tzinfo) -> str:
    text = moment.replace(tzinfo=UTC).astimezone(zone).isoformat(timespec="milliseconds")
    offset = text[23:29]
    return text[:23] + ("Z" if offset in _NO_OFFSETS else offset)


def _clock_text(text: str) -> str:
    return f"{text[:8]}.{(text[9:12] + '000')[:3]}"


def _year(match: re.Match[str]) -> int:
    return 1 - int(match[1]) if match[4] else int(match[1])


def _year_text(year: int) -> str:
    if year < 0:
        return f"-{-year:04d}"
    return f"{year:04d}" if year < 10_000 else f"+{year}"


def days(text: str) -> int:
    """A date as Spark keeps it: days since 1970.

    :raises ValueError: Spark has no such date.
    """
    if not (match := _WIDE.fullmatch(text)):
        raise ValueError(f"{text!r} is no date of Spark's")
    return _days(match)


def micros(text: str) -> int:
    """A timestamp as Spark keeps it: microseconds since 1970.

    :raises ValueError: Spark has no such timestamp.
    """
    match = _WIDE.fullmatch(text.removesuffix("+00"))
    if not match or not match[5]:
        raise ValueError(f"{text!r} is no timestamp of Spark's")
    hours, minutes, seconds = match[5].split(":")
    minute = (_days(match) * 24 + int(hours)) * 60 + int(minutes)
    return minute * 60_000_000 + int(Decimal(seconds) * 1_000_000)


def _days(match: re.Match[str]) -> int:
    cycles, year = divmod(_year(match) - 1, _CYCLE)
    day = date(year + 1, int(match[2]), int(match[3]))
    return day.toordinal() - _EPOCH + cycles * _CYCLE_DAYS
