"""What time it is at the service."""

from __future__ import annotations

import anyio

from .answers import http_date

# Years that a service may be in; others would not even fit a journal.
_FIRST, _LAST = 2000, 2200


class ServerClock:
    """The service's clock, as the `Date` of its answers tells it."""

    def __init__(self) -> None:
        self._date: str | None = None
        self._at = 0.0

    def note(self, date: str | None) -> None:
        """Takes in the header of an answer that has just come."""
        if date is not None:
            self._date, self._at = date, anyio.current_time()

    def now(self) -> float | None:
        """What it shows, in seconds since 1970; None while no answer has told it."""
        date = http_date(self._date)
        if date is None or not _FIRST <= date.year <= _LAST:
            return None
        return date.timestamp() + anyio.current_time() - self._at
