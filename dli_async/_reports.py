"""The reports of one job, for however many tasks wait for its end.

One of those who wait looks, and all hear of what it sees. When it leaves, whatever the reason,
another one takes over, so that no task outlives those who wait.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakMethod

import anyio

from ._models import StatusReport

OnReport = Callable[[StatusReport], Any]
Look = Callable[[Callable[[StatusReport], Awaitable[None]]], Awaitable[object]]


class Reports:
    """The latest report of a job, and who waits for the next.

    Args:
        on_change: a method, called with a report and the one before whenever the state changed.
    """

    __slots__ = ("_led", "_news", "_on_change", "latest")

    def __init__(self, on_change: Callable[[StatusReport, StatusReport | None], None]) -> None:
        self.latest: StatusReport | None = None
        # Its owner holds the reports: a circle would leave each job to the garbage collector.
        self._on_change = WeakMethod(on_change)
        self._news: anyio.Event | None = None
        self._led = False

    @property
    def ended(self) -> bool:
        """Whether the job is known to have ended."""
        return self.latest is not None and self.latest.is_terminal

    def note(self, report: StatusReport) -> None:
        """Takes in a report; what comes after a terminal one is ignored."""
        if self.ended:
            return
        before, self.latest = self.latest, report
        on_change = self._on_change()
        if on_change and (before is None or report.raw_status != before.raw_status):
            on_change(report, before)
        self._spread()

    async def wait_for_end(self, look: Look, on_report: OnReport | None) -> None:
        """Waits for a terminal report.

        Args:
            look: looks until the job has ended and hands each report to its argument; run by one
                of those who wait.
            on_report: called, or awaited, with reports in the caller's task.
        """
        heard: StatusReport | None = None
        while not self.ended:
            if not self._led:
                await self._lead(look, on_report)
                return
            self._news = self._news or anyio.Event()
            await self._news.wait()
            if self.latest is not heard:
                heard = self.latest
                await tell(on_report, heard)

    async def _lead(self, look: Look, on_report: OnReport | None) -> None:
        async def seen(report: StatusReport) -> None:
            self.note(report)
            await tell(on_report, report)

        self._led = True
        try:
            await look(seen)
        finally:
            self._led = False
            self._spread()

    def _spread(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None


async def tell(on_report: OnReport | None, report: StatusReport | None) -> None:
    """Calls, or awaits, whoever wants to hear of reports."""
    if on_report is None or report is None:
        return
    said = on_report(report)
    if inspect.isawaitable(said):
        await said
