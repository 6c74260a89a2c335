"""A value that expires, renewed early and once for everybody who needs it."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from .._values.errors import AuthenticationError, ConfigurationError
from .steps import LoginAnswer, LoginCall, Step, Steps

__all__ = ["Fresh"]

T = TypeVar("T")

logger = logging.getLogger("dli_async.auth")

# IAM locks a user after a few wrong passwords: a refusal is remembered, not asked for again.
_REFUSAL_HOLDS = 5.0
_MIN_LIFE = 1.0
_MAX_PAUSE = 30.0


class Fresh(Generic[T]):
    """Holds a value with a life and renews it: one flight at a time, at a random early moment.

    Args:
        label: what the value is, for the log.
        now: the wall clock, epoch seconds.
        share: which part of a life may pass before it is renewed; by default a random one
            between 0.5 and 0.8, so that many processes do not come back together.
    """

    def __init__(
        self,
        label: str,
        now: Callable[[], float],
        share: Callable[[], float] | None = None,
    ) -> None:
        self.value: T | None = None
        self._label = label
        self._now = now
        self._share = share or (lambda: random.uniform(0.5, 0.8))
        self._lock = anyio.Lock()
        self._life = math.inf
        self._renew_at = self._expires_at = math.inf
        self._failure: Exception | None = None
        self._failed_until = -math.inf
        self._flights = 0

    def usable(self) -> bool:
        """Whether there is a value and its life has not passed."""
        return self.value is not None and self._now() < self._expires_at

    def due(self) -> bool:
        """Whether it is time to renew: no value, or its early moment has come."""
        return self.value is None or self._now() >= min(self._renew_at, self._expires_at)

    def discard(self, value: T | None) -> None:
        """Forget `value`, which was refused, unless it has been replaced meanwhile."""
        if self.value is value:
            self.value = None

    async def renew(
        self, steps: Callable[[], Steps[tuple[T, float | None]]]
    ) -> AsyncGenerator[LoginCall, LoginAnswer]:
        """Renew if due: yields the requests to send, and ends when `value` may be used.

        While one caller renews, others wait only if the old value has expired. A caller that
        goes away leaves the task to the next one; a failure is shared by those who waited
        for it, and is only logged while the old value is good.

        Args:
            steps: makes a new run that returns a value and its life in seconds (None: for ever).
        """
        seen = self._flights
        if not self.due() or (self.usable() and self._lock.locked()):
            return
        async with self._lock:
            if not self.due():
                return
            self._raise_known_failure(seen)
            run, started = steps(), self._now()
            try:
                call = await _next_call(run, None)
                while True:
                    try:
                        answer = yield call
                    except Exception as error:
                        call = await _next_call(run, error)
                    else:
                        call = await _next_call(run, answer)
            except _Done as done:
                self._store(*done.args, started=started)
            except GeneratorExit:
                self._postpone()
                raise
            except Exception as error:
                self._fail(error)
            finally:
                run.close()

    def _raise_known_failure(self, seen: int) -> None:
        if self._failure and (self._flights != seen or self._now() < self._failed_until):
            raise self._failure.with_traceback(None)

    def _store(self, value: T, life: float | None, *, started: float) -> None:
        self._flights += 1
        self._failure, self.value = None, value
        self._life = math.inf if life is None else max(life, _MIN_LIFE)
        # The life counts from before the request: never longer than the server sees it.
        self._expires_at = started + self._life
        self._renew_at = started + self._life * self._share()
        logger.debug("%s: good for %.0f s", self._label, self._life)

    def _fail(self, error: Exception) -> None:
        self._flights += 1
        if self.usable():
            self._postpone()
            logger.warning("%s: not renewed, the old one is still used: %s", self._label, error)
            return
        self._failure = error
        if isinstance(error, AuthenticationError | ConfigurationError):
            self._failed_until = self._now() + _REFUSAL_HOLDS
        raise error

    def _postpone(self) -> None:
        self._renew_at = self._now() + min(_MAX_PAUSE, self._life / 10)


class _Done(Exception):
    """The run ended; carries what it returned."""


async def _next_call(
    run: Steps[tuple[T, float | None]], outcome: LoginAnswer | Exception | None
) -> LoginCall:
    """Advance a run to its next request, reading files on the way in a worker thread."""
    result: object = outcome
    while True:
        step = _advance(run, result)
        if isinstance(step, LoginCall):
            return step
        try:
            result = await anyio.to_thread.run_sync(step.run)
        except (OSError, UnicodeDecodeError) as error:
            result = error


def _advance(run: Steps[tuple[T, float | None]], outcome: object) -> Step:
    try:
        return run.throw(outcome) if isinstance(outcome, Exception) else run.send(outcome)
    except StopIteration as end:
        raise _Done(*end.value) from None
