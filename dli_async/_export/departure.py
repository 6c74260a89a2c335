"""When the POSTs of an export may have left, by clocks that need not agree.

A clock may be set, stand still while its machine is suspended, or be wrong at the gateway. Each
tells how long ago a POST left; the longest of these times bounds the look for its job, and the
shortest one counts towards the grace before another POST. Where clocks contradict each other, or
only one is left, the look is widened and the grace begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import time as wall_clock

import anyio

# Seconds by which clocks that agree may differ: `Date` is in whole seconds, and travels.
_AGREE = 60.0
_BACKWARDS = 5.0
# The gateway refuses signatures from clocks that are wrong by more than this.
WRONG_AT_MOST = 900.0
# Whichever clocks contradict each other: what is older than this by all of them is old.
_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by three clocks, in seconds.

    Attributes:
        wall: this machine's clock, since 1970.
        server: the service's clock, since 1970; None while no answer has told it.
        at: the event loop's clock; None in another process.
    """

    wall: float
    server: float | None = None
    at: float | None = None

    @classmethod
    def now(cls, server: float | None) -> Moment:
        """This moment; `server` is what the service's clock shows, as far as it is known."""
        return cls(wall_clock(), server, anyio.current_time())

    def ages(self, now: Moment) -> list[float]:
        """How long ago it was by each clock that shows both moments."""
        ages = [now.wall - self.wall]
        if self.server is not None and now.server is not None:
            ages.append(now.server - self.server)
        if self.at is not None and now.at is not None:
            ages.append(now.at - self.at)
        return ages


def _agree(ages: list[float]) -> bool:
    return len(ages) > 1 and min(ages) > -_BACKWARDS and max(ages) - min(ages) <= _AGREE


@dataclass(frozen=True, slots=True)
class Departure:
    """When the POSTs of one export may have left: the earliest, and the latest."""

    earliest: Moment
    latest: Moment

    @classmethod
    def at(cls, moment: Moment) -> Departure:
        """A single POST."""
        return cls(moment, moment)

    def again(self, moment: Moment) -> Departure:
        """One more POST, which leaves at `moment`."""
        return replace(self, latest=moment)

    def started_since(self, now: Moment) -> float:
        """When the job of the first POST started at the earliest, by the service's clock."""
        ages = self.earliest.ages(now)
        server_now = now.wall if now.server is None else now.server
        bound = server_now - max(0.0, *ages)
        if not _agree(ages):
            bound -= WRONG_AT_MOST
        elif now.server is not None and abs(now.server - now.wall) <= WRONG_AT_MOST:
            return bound
        return min(bound, self.earliest.wall - WRONG_AT_MOST)

    def elapsed(self, now: Moment) -> float:
        """Seconds since the last POST that are sure to have gone by; 0 within a day of doubt."""
        ages = self.latest.ages(now)
        if _agree(ages):
            return max(0.0, min(ages))
        if now.server is None:
            return 0.0
        return max(0.0, min(*ages, now.server - self.latest.wall) - _A_DAY)
