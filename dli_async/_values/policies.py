"""When to try again, and how long to wait: the only importer of tenacity.

All times are in seconds. Every call builds its own `AsyncRetrying`, because tenacity keeps the
state of a run on that object (jd/tenacity#93).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
from tenacity import AsyncRetrying as AsyncRetrying
from tenacity import RetryCallState as RetryCallState
from tenacity import (
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
    wait_random,
    wait_random_exponential,
)
from tenacity.wait import wait_base

from .errors import (
    ConfigurationError,
    DliError,
    RateLimited,
    RequestError,
    RequestNotSent,
    ServerError,
)

T = TypeVar("T")
Predicate = Callable[[BaseException], bool]
Before = Callable[[RetryCallState], Any]


def is_transient(error: BaseException) -> bool:
    """Whether asking the same question again may help: no answer, throttled, or server trouble."""
    return isinstance(error, (RequestError, RateLimited, ServerError))


def never_carried_out(error: BaseException) -> bool:
    """Whether a request provably left nothing behind: it never left, or was throttled before."""
    return isinstance(error, (RequestNotSent, RateLimited))


def check_positive(**values: float) -> None:
    """Refuses what is not above 0.

    Raises:
        ConfigurationError: naming it.
    """
    for name, value in values.items():
        if not value > 0:
            raise ConfigurationError(f"{name}={value!r}: must be positive")


def _check_attempts(attempts: object) -> None:
    if not isinstance(attempts, int) or attempts < 1:
        raise ConfigurationError(f"attempts={attempts!r}: must be a whole number, at least 1")


def _check_seconds(policy: object, *names: str, finite: bool = True) -> None:
    for name in names:
        value = getattr(policy, name)
        if not isinstance(value, (int, float)) or not value >= 0:
            raise ConfigurationError(f"{name}={value!r}: must be seconds, and not negative")
        if finite and math.isinf(value):
            raise ConfigurationError(f"{name}={value!r}: must not be for ever")


class _AtLeast(wait_base):
    """Another wait, raised to the `Retry-After` of the last answer, up to a limit."""

    def __init__(self, wait: Callable[[RetryCallState], float], limit: float) -> None:
        self._wait = wait
        self._limit = limit

    def __call__(self, retry_state: RetryCallState) -> float:
        return max(self._wait(retry_state), min(asked_delay(retry_state), self._limit))


def asked_delay(retry_state: RetryCallState) -> float:
    """Seconds that the last answer, be it an error or a report, asked to wait; 0 if none."""
    outcome = retry_state.outcome
    if outcome is None:
        return 0.0
    said: Any = outcome.exception() if outcome.failed else outcome.result()
    return getattr(said, "retry_after", None) or 0.0


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How single exchanges are repeated, with full jitter between the tries.

    Args:
        attempts: tries in all (default 5); 1 switches repeating off.
        wait_initial: upper bound of the first wait, in seconds (default 0.5); doubles each time.
        wait_max: upper bound of any wait, in seconds (default 20).
        retry_after_max: a `Retry-After` up to this many seconds is waited for (default 120);
            a longer one is raised as `RateLimited` or `ServerError`, and the caller decides.

    Raises:
        ConfigurationError: a value is negative or no number, or a wait is for ever.
    """

    attempts: int = 5
    wait_initial: float = 0.5
    wait_max: float = 20.0
    retry_after_max: float = 120.0

    def __post_init__(self) -> None:
        _check_attempts(self.attempts)
        _check_seconds(self, "wait_initial", "wait_max")
        _check_seconds(self, "retry_after_max", finite=False)

    async def run(
        self,
        func: Callable[[], Awaitable[T]],
        predicate: Predicate,
        before_sleep: Before | None = None,
    ) -> T:
        """Calls `func` until it succeeds, fails for good, or the attempts are used up.

        The loop begins with the first failure: setting it up costs as much as signing a request.
        """
        try:
            return await func()
        except DliError as error:
            failures = [error]

        async def attempt() -> T:
            if failures:
                raise failures.pop()
            return await func()

        return await self.retrying(predicate, before_sleep)(attempt)

    def retrying(self, predicate: Predicate, before_sleep: Before | None = None) -> AsyncRetrying:
        """A fresh tenacity loop over the errors that `predicate` names."""
        return AsyncRetrying(
            retry=retry_if_exception(lambda error: self._may_wait(error) and predicate(error)),
            wait=_AtLeast(
                wait_random_exponential(self.wait_initial, self.wait_max), self.retry_after_max
            ),
            stop=stop_after_attempt(self.attempts),
            before_sleep=before_sleep,
            sleep=anyio.sleep,
            reraise=True,
        )

    def _may_wait(self, error: BaseException) -> bool:
        if not isinstance(error, DliError):
            return False
        return (getattr(error, "retry_after", None) or 0.0) <= self.retry_after_max


@dataclass(frozen=True, kw_only=True)
class SubmitPolicy:
    """How a submit whose answer was lost is settled.

    Args:
        attempts: POSTs that may have reached the service, at most (default 3).
        grace: how long to keep looking for the job of a lost answer before posting again, in
            seconds (default 30); job lists lag behind.

    Raises:
        ConfigurationError: a value is negative or no number, or `grace` is for ever.
    """

    attempts: int = 3
    grace: float = 30.0

    def __post_init__(self) -> None:
        _check_attempts(self.attempts)
        _check_seconds(self, "grace")

    def looks(self, grace: float | None = None) -> list[float]:
        """Waits between looks, in seconds: growing steps that fill `grace`, its own by default."""
        window = self.grace if grace is None else grace
        steps, total, step = [], 0.0, 1.0
        while total < window:
            step = min(step, window - total)
            steps.append(step)
            total += step
            step *= 2
        return steps


@dataclass(frozen=True, kw_only=True)
class PollPolicy:
    """How a job is asked for its status until it ends.

    Args:
        initial_delay: between the submit and the first look, in seconds (default 1).
        wait_initial: between the first and the second look, in seconds (default 1); grows by
            half each time.
        wait_max: upper bound of the growing wait, in seconds (default 15).
        wait_jitter: up to this many seconds are added at random (default 1).
        give_up_after: how long looks may keep failing before the wait ends with `JobTimeout`, in
            seconds (default 300).
        missing_grace: how long "no such job" is not believed, in seconds (default 30), counted
            from when the job was last seen, or else from the begin of the wait.
        wait: any tenacity wait in place of the growing one, such as `wait_fixed(5)`.

    A `Retry-After` raises any wait, by no more than to `give_up_after`.

    Raises:
        ConfigurationError: a value is negative or no number, or a wait is for ever.
    """

    initial_delay: float = 1.0
    wait_initial: float = 1.0
    wait_max: float = 15.0
    wait_jitter: float = 1.0
    give_up_after: float = 300.0
    missing_grace: float = 30.0
    wait: Callable[[RetryCallState], float] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_seconds(self, "initial_delay", "wait_initial", "wait_max", "wait_jitter")
        _check_seconds(self, "give_up_after", "missing_grace", finite=False)

    def polling(self, unfinished: Callable[[Any], bool], noise: Predicate) -> AsyncRetrying:
        """A fresh tenacity loop over unfinished results and the errors that are `noise`."""
        return AsyncRetrying(
            retry=retry_if_result(unfinished) | retry_if_exception(noise),
            wait=self._waiting(),
            sleep=anyio.sleep,
            reraise=True,
        )

    def delay(self, looks: int, report: Any) -> float:
        """The wait after so many looks, the last of which gave `report`, for another loop."""
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = looks
        state.set_result(report)
        return self._waiting()(state)

    def _waiting(self) -> _AtLeast:
        growing = wait_exponential(self.wait_initial, self.wait_max, exp_base=1.5)
        # The jitter comes on top, so that waits at their upper bound do not fall into step.
        wait = self.wait or growing + wait_random(0, self.wait_jitter)
        return _AtLeast(wait, self.give_up_after)
