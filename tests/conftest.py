"""Event loops for the tests: asyncio and trio, in real time and in virtual time.

In virtual time nobody sleeps: when nothing is ready, the clock jumps to the next timer. It works
only where all waiting is on the loop's clock, so tests with threads or sockets use real time.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import pytest
import trio.testing
from hypothesis import settings

# The same examples in every run, and no verdict about the speed of a shared machine.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")


class AutojumpSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Jumps to the next timer when no socket is ready."""

    offset = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events:
            return events
        if timeout is None:
            return super().select(None)
        if timeout > 0:
            self.offset += timeout
        return events


class AutojumpLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time."""

    def __init__(self) -> None:
        self._jump = AutojumpSelector()
        super().__init__(self._jump)

    def time(self) -> float:
        return super().time() + self._jump.offset


REAL = [
    pytest.param(("asyncio", {}), id="asyncio"),
    pytest.param(("trio", {}), id="trio"),
]
VIRTUAL = [
    pytest.param(("asyncio", {"loop_factory": AutojumpLoop}), id="asyncio-virtual"),
    # A new clock for each test, since a clock belongs to one run.
    pytest.param("trio-virtual", id="trio-virtual"),
]


@pytest.fixture(params=VIRTUAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """The event loop of a test marked `anyio`; virtual time unless a module says otherwise."""
    if request.param == "trio-virtual":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
    return request.param
