"""Event loops for the tests: asyncio and trio, in real time and in virtual time.

In virtual time nobody sleeps: when nothing is ready, the clock jumps to the next timer. It works
only where all waiting is on the loop's clock, so tests with threads or sockets use real time.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing
from hypothesis import settings

from benchmarks._clock import VirtualLoop

# The same examples in every run, and no verdict about the speed of a shared machine.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")


REAL = [
    pytest.param(("asyncio", {}), id="asyncio"),
    pytest.param(("trio", {}), id="trio"),
]
VIRTUAL = [
    pytest.param(("asyncio", {"loop_factory": VirtualLoop}), id="asyncio-virtual"),
    # A new clock for each test, since a clock belongs to one run.
    pytest.param("trio-virtual", id="trio-virtual"),
]


@pytest.fixture(params=VIRTUAL)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """The event loop of a test marked `anyio`; virtual time unless a module says otherwise."""
    if request.param == "trio-virtual":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
    return request.param
