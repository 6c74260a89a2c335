"""Single values as Spark 3.5 writes them: Java's numbers and times, Jackson's and univocity's text.

Numbers and times arrive as DuckDB prints them (doubles as Python floats), never null.
"""

from __future__ import annotations

import re
import struct
from datetime import date
from decimal import Decimal

__all__ = [
    "csv_text",
    "date_text",
    "days_text",
    "decimal_text",
    "double_text",
    "first_csv_text",
    "float_text",
    "json_text",
    "micros_text",
    "timestamp_text",
]

_WIDE = re.compile(r"(\d+)(-\d\d-\d\d)( \(BC\))?(?: (\d.*))?")
_ESCAPED = re.compile(r'["\\\x00-\x1f]').search
_ESCAPES = {code: f"\\u{code:04X}" for code in range(32)} | {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    ord("\b"): "\\b",
    ord("\f"): "\\f",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
_BLANKS = "".join(map(chr, range(33)))
_QUOTED = re.compile(r'[",\r\n]').search
_EPOCH = date(1970, 1, 1).toordinal()


def double_text(value: float) -> str:
    """Java's `Double.toString`: the shortest digits (as JDK 19 and later), in Java's notation."""
    if 1e-3 <= value < 1e7 or -1e7 < value <= -1e-3:
        return repr(value)
    return _java_text(value, value)


def float_text(text: str) -> str:
    """Java's `Float.toString`, from the shortest digits as DuckDB prints them."""
    value = float(text)
    if 1e-3 <= value < 1e7 or -1e7 < value <= -1e-3:
        return repr(value)
    return _java_text(value, struct.unpack("f", struct.pack("f", value))[0])


def _java_text(value: float, exact: float) -> str:
    """`exact` is the number itself; of a float32 `value` has only its shortest digits."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return repr(value)
    text = f"{Decimal(repr(value)).normalize():E}"
    if "." not in text:
        # Java prints at least two digits, and here the second is the true one: 4.9E-324.
        text = f"{exact:.1e}"
    mantissa, _, exponent = text.upper().partition("E")
    return f"{mantissa}E{int(exponent)}"


def decimal_text(text: str) -> str:
    """Java's `BigDecimal.toString`, which Python's agrees with: `1E-8`, and `0.50` for `.50`."""
    return str(Decimal(text))


def date_text(text: str) -> str:
    """`2020-02-29`, `+10000-01-01`, `-0043-03-15`; `infinity`, which Spark has not, as it is."""
    if len(text) == 10:
        return text
    match = _WIDE.fullmatch(text)
    return _year_text(match) + match[2] if match else text


def timestamp_text(text: str) -> str:
    """`2020-01-01T12:30:00.123Z` from a time in UTC; what is below a millisecond is cut off."""
    text = text.removesuffix("+00")
    if text[13:14] == ":":
        return f"{text[:10]}T{_time_text(text[11:])}"
    match = _WIDE.fullmatch(text)
    return f"{_year_text(match)}{match[2]}T{_time_text(match[4])}" if match else text


def _time_text(text: str) -> str:
    return f"{text[:8]}.{(text[9:12] + '000')[:3]}Z"


def _year_text(match: re.Match[str]) -> str:
    year = 1 - int(match[1]) if match[3] else int(match[1])
    if year < 0:
        return f"-{-year:04d}"
    return f"{year:04d}" if year < 10_000 else f"+{year}"


def days_text(text: str) -> str:
    """A date as the key of a json map: Spark writes its inner number, the days since 1970."""
    try:
        return str(date.fromisoformat(text).toordinal() - _EPOCH)
    except ValueError:
        return text


def micros_text(text: str) -> str:
    """A timestamp as the key of a json map: the microseconds since 1970."""
    day, _, time = text.removesuffix("+00").partition(" ")
    try:
        hours, minutes, seconds = time.split(":")
        minute = (int(days_text(day)) * 24 + int(hours)) * 60 + int(minutes)
        return str(minute * 60_000_000 + int(Decimal(seconds) * 1_000_000))
    except ValueError:
        return text


def json_text(text: str) -> str:
    """A json string: control characters in upper-case hex, `/` and all beyond ASCII untouched."""
    return f'"{text.translate(_ESCAPES)}"' if _ESCAPED(text) else f'"{text}"'


def csv_text(text: str) -> str:
    """A csv field: blanks (all characters up to the space) are cut off at both ends.

    Whether to quote is decided before the end is cut, so `a` and a line feed become `"a"`.
    """
    body = text.lstrip(_BLANKS)
    if not body:
        return '""'
    return _quote(body) if _QUOTED(body) else body.rstrip(_BLANKS)


def first_csv_text(text: str) -> str:
    """The first field of a line: quoted also if the line would read as a comment."""
    return _quote(text) if text[:1] == "#" else csv_text(text)


def _quote(body: str) -> str:
    escaped = body.rstrip(_BLANKS).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
