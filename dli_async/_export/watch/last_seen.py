"""The reports of one job, for however many tasks wait for its end.

One of those who wait looks, and all hear of what it sees. When it leaves, or tells its own
listener, another one takes over, so that no task outlives those who wait and none waits for
another one's listener.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ..._values.errors import DliError, twin_of
from ..._values.reports import StatusReport

OnReport = Callable[[StatusReport], Any]
OnChange = Callable[[StatusReport, StatusReport | None], None]
"""Called with a report and the one before whenever the state changed."""
Look = Callable[[], Awaitable[StatusReport]]
"""Looks when it is time to, and returns what it saw."""


class _News:
    """What those who wait are woken for: another report, a free lead, or the end of looking."""

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.error: DliError | None = None


class LastSeen:
    """The latest report of a job, and who waits for the next.

    `seen_at` is when a look last showed the job, in seconds of the event loop's clock; None before
    the first one.

    `OnChange` is not kept: its owner holds the reports, and a circle would leave each job to the
    garbage collector.
    """

    __slots__ = ("_led", "_look", "_looking", "_news", "latest", "seen_at")

    def __init__(self) -> None:
        self.latest: StatusReport | None = None
        self.seen_at: float | None = None
        self._news: _News | None = None
        self._led = False
        self._look: Look | None = None
        self._looking: anyio.CancelScope | None = None

    @property
    def ended(self) -> bool:
        """Whether the job is known to have ended."""
        return self.latest is not None and self.latest.is_terminal

    def note(self, report: StatusReport, on_change: OnChange) -> None:
        """Takes in a report; what comes after a terminal one is ignored."""
        if self.ended:
            return
        before, self.latest = self.latest, report
        self.seen_at = anyio.current_time()
        if before is None or report.raw_status != before.raw_status:
            on_change(report, before)
        self._spread()
        if self.ended and self._looking is not None:
            self._looking.cancel()

    def note_sight(self, moment: float) -> None:
        """Takes in that a look showed the job and had nothing new to tell."""
        self.seen_at = max(moment, self.seen_at or moment)

    async def wait_for_end(
        self, begin: Callable[[], Look], on_report: OnReport | None, on_change: OnChange
    ) -> None:
        """Waits for a terminal report.

        Args:
            begin: makes a `Look`, which is then called by whoever is free to.
            on_report: called, or awaited, with reports in the caller's task; if several came
                meanwhile, with the latest. The last one always comes.
        """
        heard = self.latest
        try:
            while not self.ended or self.latest is not heard:
                if self.latest is not heard:
                    heard = self.latest
                    await tell(on_report, heard)
                elif self._led:
                    await self._hear()
                else:
                    await self._lead(begin, on_change)
        finally:
            if not self._led:
                # Left by one who told a report, or at the end: the next wait begins anew.
                self._look = None

    async def _hear(self) -> None:
        news = self._news = self._news or _News()
        await news.event.wait()
        if news.error is not None:
            raise twin_of(news.error) from news.error

    async def _lead(self, begin: Callable[[], Look], on_change: OnChange) -> None:
        failure: DliError | None = None
        self._led = True
        try:
            self._look = self._look or begin()
            # An end that was seen by other means needs no more looks.
            with anyio.CancelScope() as self._looking:
                report = await self._look()
            if not self._looking.cancelled_caught:
                self.note(report, on_change)
        except DliError as error:
            failure = error
            raise
        finally:
            self._led = False
            self._looking = None
            self._spread(failure)

    def _spread(self, error: DliError | None = None) -> None:
        if self._news is not None:
            self._news.error = error
            self._news.event.set()
            self._news = None


async def tell(on_report: OnReport | None, report: StatusReport | None) -> None:
    """Calls, or awaits, whoever wants to hear of reports."""
    if on_report is None or report is None:
        return
    said = on_report(report)
    if inspect.isawaitable(said):
        await said
