"""Event loops for measuring: one in virtual time, and one that notes how long it is held."""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock to the next timer when nothing is ready."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events:
            return events
        if timeout is None:
            return super().select(None)
        self.now += max(0.0, timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in which hours of waiting take as long as the work in them.

    Its clock starts at 0 and moves only by waiting, however slow the machine is.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class _TimingSelector(selectors.DefaultSelector):
    """Notes the time between two polls of the sockets: nobody else can be served meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: list[tuple[float, float]] = []
        self._left: tuple[float, float] | None = None

    def select(self, timeout: float | None = None) -> Any:
        if self._left is not None:
            wall, cpu = self._left
            self.holds.append((time.perf_counter() - wall, time.thread_time() - cpu))
        try:
            return super().select(timeout)
        finally:
            self._left = time.perf_counter(), time.thread_time()


class TimedLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in real time; `holds` are the wall and CPU seconds of its rounds."""

    def __init__(self) -> None:
        self._timing = _TimingSelector()
        super().__init__(self._timing)

    @property
    def holds(self) -> list[tuple[float, float]]:
        return self._timing.holds
