"""How many requests may be under way, and how many may start in a second."""

from __future__ import annotations

import math
from collections import deque

import anyio
import anyio.lowlevel

from .._values.errors import ConfigurationError
from .wakeup import make_wakeup

# After a refusal for too many requests: go on with this share of the rate, and win back this share
# of it each second, unless refusals go on.
_CUT = 0.7
_RECOVERY = 0.01
_STEADY = 60.0
_DOUBT = 0.9
_FLOOR = 0.05
# A rate that a refusal is not blamed on at once: somebody else may have used up the limit.
_MODEST = 10.0
# Limits count by the second at least, so that the next second is as full as this one was.
_BREATH = 1.0
# While submits queue, one start in so many is still a poll's.
_POLLS_SHARE = 4


class _Pace:
    """When the next request may start: evenly spaced, and slower after the service refused some.

    The times are spaced as in GCRA without a burst, so that any second holds no more than the rate.
    """

    def __init__(self, per_second: float | None) -> None:
        self._limit = per_second or math.inf
        self._learned = math.inf
        self._learned_at = -math.inf
        self._aim = 0.0
        self._last_start = -math.inf
        self._recent: deque[float] = deque()

    def rate(self, now: float) -> float:
        """Requests per second at this moment."""
        won_back = self._aim * _RECOVERY * max(0.0, now - self._learned_at) if self._aim else 0.0
        return min(self._limit, self._learned + won_back)

    def opens_at(self, now: float) -> float:
        """When the next request may start."""
        return self._last_start + 1 / self.rate(now)

    def note_start(self, now: float) -> None:
        # A timer that fires a little late must not slow the pace down.
        due = self.opens_at(now)
        self._last_start = due if now - due < 0.1 * (due - self._last_start) else now
        self._recent.append(now)
        while now - self._recent[0] >= 1.0:
            self._recent.popleft()

    def cut(self, now: float, started: float) -> bool:
        """Slows down, unless the refused request started before the last cut."""
        if started < self._learned_at:
            return False
        seen = sum(1 for start in self._recent if now - start < 1.0)
        rate = min(self.rate(now), max(float(seen), _MODEST))
        # Where refusals go on, what the service allows is less than it seemed.
        is_new = now - self._learned_at > _STEADY
        self._aim = rate if is_new else self._aim * _DOUBT
        self._learned = max(rate * _CUT, self._aim * _FLOOR)
        self._learned_at = now
        return True


class _Ticket:
    """Somebody who waits for a start."""

    __slots__ = ("granted", "woken")

    def __init__(self) -> None:
        self.granted = False
        self.woken = make_wakeup()


class Throttle:
    """The one budget of a client, shared by all its requests.

    First come, first served within two classes: urgent requests (submits and their looks) go
    before polls, but one start in four is a poll's if one waits.

    Args:
        slots: exchanges in flight at most.
        per_second: requests started in a second at most; None for no limit but the one that is
            learned when the service refuses requests.
    """

    def __init__(self, slots: int, per_second: float | None = None) -> None:
        if slots < 1:
            raise ConfigurationError(f"max_connections={slots!r}: must be at least 1")
        if per_second is not None and not per_second > 0:
            raise ConfigurationError(f"requests_per_second={per_second!r}: must be positive")
        self._free = slots
        self._pace = _Pace(per_second)
        self._closed_until = -math.inf
        self._urgent: deque[_Ticket] = deque()
        self._polls: deque[_Ticket] = deque()
        self._urgent_in_row = 0
        self._timer: _Ticket | None = None

    async def enter(self, *, urgent: bool = True) -> None:
        """Waits for a start in the budget and a slot, which `leave` gives back.

        Both are given at once, so that nobody holds a slot while waiting.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        now = anyio.current_time()
        if self._free and not self._is_waited_for() and self._opens_at(now) <= now:
            self._start(now)
            return
        ticket = _Ticket()
        queue = self._urgent if urgent else self._polls
        queue.append(ticket)
        try:
            self._serve()
            while not ticket.granted:
                await self._wait(ticket)
                self._serve()
        except BaseException:
            if ticket.granted:
                self._free += 1
            else:
                queue.remove(ticket)
            raise
        finally:
            if self._timer is ticket:
                self._timer = None
            self._serve()

    def leave(self) -> None:
        """Gives a slot back."""
        self._free += 1
        self._serve()

    def pause(self, seconds: float) -> None:
        """Lets no request start for this long: the service asked for it."""
        self._closed_until = max(self._closed_until, anyio.current_time() + seconds)

    def slow_down(self, started: float) -> None:
        """Cuts the rate, which then recovers slowly: the service refused a request (429).

        Args:
            started: when that request started; all that started before a cut count as one.
        """
        if self._pace.cut(anyio.current_time(), started):
            self.pause(_BREATH)

    def rate(self) -> float:
        """Requests per second at this moment; infinite without a limit."""
        return self._pace.rate(anyio.current_time())

    async def _wait(self, ticket: _Ticket) -> None:
        # One of those who wait watches the clock for all; no task of its own is needed.
        if self._timer is ticket:
            with anyio.CancelScope(deadline=self._opens_at(anyio.current_time())):
                await ticket.woken.wait()
        else:
            await ticket.woken.wait()
        if not ticket.granted:
            ticket.woken = make_wakeup()

    def _serve(self) -> None:
        """Grants what can be granted now, and sees to it that somebody waits for the rest."""
        while self._free and self._is_waited_for():
            now = anyio.current_time()
            if self._opens_at(now) > now:
                break
            self._grant(self._pick(), now)
        if not self._free:
            # `leave` will serve.
            self._timer = None
        elif self._timer is None and self._is_waited_for():
            self._timer = (self._urgent or self._polls)[0]
            self._timer.woken.set()

    def _grant(self, ticket: _Ticket, now: float) -> None:
        ticket.granted = True
        ticket.woken.set()
        self._start(now)
        if self._timer is ticket:
            self._timer = None

    def _start(self, now: float) -> None:
        self._free -= 1
        self._pace.note_start(now)

    def _is_waited_for(self) -> bool:
        return bool(self._urgent or self._polls)

    def _opens_at(self, now: float) -> float:
        return max(self._closed_until, self._pace.opens_at(now))

    def _pick(self) -> _Ticket:
        if self._polls and (not self._urgent or self._urgent_in_row >= _POLLS_SHARE - 1):
            self._urgent_in_row = 0
            return self._polls.popleft()
        self._urgent_in_row += 1
        return self._urgent.popleft()
