"""The latest that is known of one job, whoever saw it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import anyio

from ..._values.reports import StatusReport

OnReport = Callable[[StatusReport], Any]
OnChange = Callable[[StatusReport, StatusReport | None], None]
"""Called with a report and the one before whenever the state changed."""


class LastSeen:
    """The latest report of a job.

    `seen_at` is when a look last showed the job, in seconds of the event loop's clock; None before
    the first one.

    `OnChange` is not kept: its owner holds the reports, and a circle would leave each job to the
    garbage collector.
    """

    __slots__ = ("latest", "seen_at")

    def __init__(self) -> None:
        self.latest: StatusReport | None = None
        self.seen_at: float | None = None

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

    def note_sight(self, moment: float) -> None:
        """Takes in that a look showed the job and had nothing new to tell."""
        self.seen_at = max(moment, self.seen_at or moment)


async def tell(on_report: OnReport | None, report: StatusReport) -> None:
    """Calls, or awaits, whoever wants to hear of reports."""
    if on_report is None:
        return
    said = on_report(report)
    if inspect.isawaitable(said):
        await said
