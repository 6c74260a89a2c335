"""Reading a body whose `message` holds unescaped quotes, as the sample of dli_02_0021 does.

Where such a message ends is a guess. The first quote counts behind which the rest is well-formed:
members and a closing brace. Each member is read once, however many guesses lead to it, and what
is read in vain is paid from a budget, so that the work grows with the length alone.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from typing import Any

from pydantic_core import from_json, to_json

_OPENS = re.compile(r'"message"\s*:\s*(?=")')
_CLOSES = re.compile(r'"(?=\s*(?:,\s*"\w+"\s*:|\}\s*\Z))')
_KEY = re.compile(r'\s*,\s*"(?:[^"\\]|\\.)*+"\s*:\s*', re.DOTALL)
_END = re.compile(r"\s*\}\s*\Z")

# Longer ones are not broken in this way; and characters to read at most, as a multiple of all.
_LONGEST = 1024 * 1024
_BUDGET = 8


def mended(content: bytes) -> Any:
    """The reading of such a body; None if there is none."""
    if len(content) > _LONGEST:
        return None
    text = content.decode("utf-8", "replace")
    opening = _OPENS.search(text)
    if opening is None:
        return None
    start = opening.end()
    rest = _Rest(text)
    for closing in _CLOSES.finditer(text, start + 1):
        if rest.is_well_formed(closing.end()):
            message = to_json(text[start + 1 : closing.start()]).decode()
            return _read(text[:start] + message + text[closing.end() :])
        if rest.budget < 0:
            break
    return None


def _read(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None


class _Rest:
    """Tells from where on a text is members and a closing brace.

    Attributes:
        budget: characters that may still be read.
    """

    def __init__(self, text: str) -> None:
        self.budget = _BUDGET * len(text)
        self._text = text
        self._value = JSONDecoder().raw_decode
        self._broken: set[int] = set()

    def is_well_formed(self, at: int) -> bool:
        """Whether members and a closing brace follow."""
        path = []
        while at not in self._broken and self.budget >= 0:
            if _END.match(self._text, at):
                return True
            path.append(at)
            end = self._end_of_member(at)
            if end is None:
                break
            self.budget -= end - at
            at = end
        self._broken.update(path)
        return False

    def _end_of_member(self, at: int) -> int | None:
        key = _KEY.match(self._text, at)
        if key is None:
            return None
        try:
            return self._value(self._text, key.end())[1]
        except JSONDecodeError as error:
            # One that is not closed was read to the end of the text, and is told by its beginning.
            unclosed = error.msg.startswith("Unterminated")
            self.budget -= (len(self._text) if unclosed else error.pos) - at
        except (ValueError, RecursionError):
            self.budget -= len(self._text) - at
        return None
