"""The reports of one job, for however many tasks wait for its end.

One of those who wait looks, and all hear of what it sees. When it leaves, whatever the reason,
another one takes over, so that no task outlives those who wait.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ._errors import DliError, twin_of
from ._models import StatusReport

OnReport = Callable[[StatusReport], Any]
OnChange = Callable[[StatusReport, StatusReport | None], None]
"""Called with a report and the one before whenever the state changed."""
Look = Callable[[Callable[[StatusReport], Awaitable[None]]], Awaitable[object]]


class _News:
    """What those who wait are woken for: another report, a free lead, or the end of looking."""

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.error: DliError | None = None


class Reports:
    """The latest report of a job, and who waits for the next.

    `seen_at` is when a look last showed the job, in seconds of the event loop's clock; None before
    the first one.

    `OnChange` is not kept: its owner holds the reports, and a circle would leave each job to the
    garbage collector.
    """

    __slots__ = ("_led", "_news", "latest", "seen_at")

    def __init__(self) -> None:
        self.latest: StatusReport | None = None
        self.seen_at: float | None = None
        self._news: _News | None = None
        self._led = False

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

    def note_sight(self, moment: float) -> None:
        """Takes in that a look showed the job and had nothing new to tell."""
        self.seen_at = max(moment, self.seen_at or moment)

    async def wait_for_end(
        self, look: Look, on_report: OnReport | None, on_change: OnChange
    ) -> None:
        """Waits for a terminal report.

        Args:
            look: looks until the job has ended and hands each report to its argument; run by one
                of those who wait.
            on_report: called, or awaited, with reports in the caller's task.
        """
        heard: StatusReport | None = None
        while not self.ended:
            if not self._led:
                await self._lead(look, on_report, on_change)
                return
            news = self._news = self._news or _News()
            await news.event.wait()
            if news.error is not None:
                raise twin_of(news.error) from news.error
            if self.latest is not heard:
                heard = self.latest
                await tell(on_report, heard)

    async def _lead(self, look: Look, on_report: OnReport | None, on_change: OnChange) -> None:
        told = True

        async def seen(report: StatusReport) -> None:
            nonlocal told
            self.note(report, on_change)
            told = False
            await tell(on_report, report)
            told = True

        failure: DliError | None = None
        self._led = True
        try:
            await look(seen)
        except DliError as error:
            # What the leader's own `on_report` raises is nobody else's business.
            failure = error if told else None
            raise
        finally:
            self._led = False
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
