"""Text and decimals as Spark writes them: by the rules of Java, Jackson and univocity."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = [
    "csv_text",
    "decimal_text",
    "first_csv_text",
    "json_text",
]

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


def decimal_text(text: str) -> str:
    """Java's `BigDecimal.toString`, which Python's agrees with: `1E-8`, and `0.50` for `.50`."""
    return str(Decimal(text))


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
