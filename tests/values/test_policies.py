"""When to try again, and how long to wait."""

from __future__ import annotations

import itertools
import math
from typing import Any

import anyio
import pytest
from tenacity import wait_fixed

from dli_async import (
    ApiError,
    ConfigurationError,
    InvalidResponse,
    NotFound,
    PollPolicy,
    RateLimited,
    RequestNotSent,
    ResponseLost,
    RetryPolicy,
    ServerError,
    SubmitPolicy,
)
from dli_async._values.policies import (
    AsyncRetrying,
    RetryCallState,
    asked_delay,
    is_transient,
    never_carried_out,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("error", "transient", "undone"),
    [
        (RequestNotSent("refused"), True, True),
        (ResponseLost("reset"), True, False),
        (InvalidResponse("odd", status_code=200), True, False),
        (RateLimited("slow", status_code=429), True, True),
        (ServerError("oops", status_code=500), True, False),
        (NotFound("gone", status_code=404), False, False),
        (ApiError("bad", status_code=400), False, False),
        (ConfigurationError("bad"), False, False),
        (ValueError("bad"), False, False),
    ],
)
def test_errors_are_transient_or_facts(error: Exception, transient: bool, undone: bool) -> None:
    """A question is asked again unless the answer was definite; a POST only if nothing was done."""
    assert is_transient(error) is transient
    assert never_carried_out(error) is undone


class Tries:
    """Fails with the given errors, one by one, and notes when."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(anyio.current_time())
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    @property
    def waits(self) -> list[float]:
        return [late - early for early, late in zip(self.times, self.times[1:], strict=False)]


async def test_waits_are_jittered_below_a_growing_bound() -> None:
    """Each wait is between nothing and a bound that doubles up to the maximum."""
    policy = RetryPolicy(attempts=8, wait_initial=1, wait_max=5)
    tries = Tries(*[ServerError("oops", status_code=500)] * 7)
    assert await policy.retrying(is_transient)(tries) == "done"
    for wait, bound in zip(tries.waits, [1, 2, 4, 5, 5, 5, 5], strict=True):
        assert 0 <= wait <= bound + 0.01


async def test_the_last_error_is_raised_as_it_is() -> None:
    """After all attempts the caller sees the error itself."""
    tries = Tries(*[ServerError(str(n), status_code=500) for n in range(9)])
    with pytest.raises(ServerError) as caught:
        await RetryPolicy(attempts=3).retrying(is_transient)(tries)
    assert caught.value.error_msg == "2"
    assert len(tries.times) == 3


async def test_one_attempt_means_no_repeats() -> None:
    """`attempts=1` switches repeating off."""
    tries = Tries(ServerError("oops", status_code=500))
    with pytest.raises(ServerError):
        await RetryPolicy(attempts=1).retrying(is_transient)(tries)
    assert len(tries.times) == 1


async def test_a_retry_after_raises_the_wait() -> None:
    """The service's wish is a lower bound."""
    tries = Tries(RateLimited("slow", status_code=429, retry_after=60))
    await RetryPolicy().retrying(is_transient)(tries)
    assert 60 <= tries.waits[0] <= 61


async def test_a_retry_after_beyond_the_limit_is_the_callers_to_decide() -> None:
    """Nobody waits for an hour without having asked for it."""
    tries = Tries(RateLimited("slow", status_code=429, retry_after=3600))
    with pytest.raises(RateLimited) as caught:
        await RetryPolicy().retrying(is_transient)(tries)
    assert caught.value.retry_after == 3600
    assert len(tries.times) == 1


async def test_only_errors_of_the_library_are_repeated() -> None:
    """A bug in a callback is not noise, whatever a predicate says."""
    tries = Tries(ValueError("bug"))
    with pytest.raises(ValueError):
        await RetryPolicy().retrying(lambda _: True)(tries)
    assert len(tries.times) == 1


class Report:
    """Something with a wish to be looked at later."""

    retry_after: float | None = None

    def __init__(self, ended: bool, retry_after: float | None = None) -> None:
        self.ended = ended
        self.retry_after = retry_after


async def polled(policy: PollPolicy, reports: list[Report]) -> list[float]:
    times: list[float] = []

    async def look() -> Report:
        times.append(anyio.current_time())
        return reports.pop(0)

    await policy.polling(lambda report: not report.ended, lambda _: False)(look)
    return [late - early for early, late in itertools.pairwise(times)]


async def test_looks_become_rarer_up_to_a_bound_with_jitter_on_top() -> None:
    """Polls grow by half each time, and do not fall into step once they stop growing."""
    waits = await polled(PollPolicy(), [*(Report(False) for _ in range(12)), Report(True)])
    for number, wait in enumerate(waits):
        bound = min(1.5**number, 15)
        assert bound - 0.01 <= wait <= bound + 1.01
    assert len({round(wait, 6) for wait in waits[-4:]}) > 1


async def test_a_wait_of_the_users_own_replaces_the_growing_one() -> None:
    """Any tenacity wait will do, and a `Retry-After` of a report raises it."""
    reports = [Report(False), Report(False, retry_after=40), Report(True)]
    waits = await polled(PollPolicy(wait=wait_fixed(5)), reports)
    assert [round(wait) for wait in waits] == [5, 40]


async def test_an_absurd_retry_after_does_not_outlast_the_patience() -> None:
    """A poll is never put off for longer than looks may keep failing."""
    waits = await polled(PollPolicy(give_up_after=60), [Report(False, 1e9), Report(True)])
    assert round(waits[0]) == 60


def test_another_loop_gets_the_same_waits() -> None:
    """The wait after a look can be asked for by whoever looks for many jobs at once."""
    policy = PollPolicy(wait_jitter=0)
    assert [policy.delay(looks, Report(False)) for looks in (1, 2, 3, 50)] == [1, 1.5, 2.25, 15]
    assert policy.delay(1, Report(False, retry_after=40)) == 40


def test_before_the_first_answer_nothing_was_asked_for() -> None:
    """A loop that has seen nothing knows of no `Retry-After`."""
    assert asked_delay(RetryCallState(AsyncRetrying(), None, (), {})) == 0.0


@pytest.mark.parametrize(
    ("policy", "field", "value"),
    [
        (RetryPolicy, "attempts", 0),
        (RetryPolicy, "attempts", 1.5),
        (RetryPolicy, "attempts", None),
        (RetryPolicy, "wait_initial", -1),
        (RetryPolicy, "wait_max", math.nan),
        (RetryPolicy, "wait_max", math.inf),
        (RetryPolicy, "retry_after_max", "5"),
        (SubmitPolicy, "attempts", 0),
        (SubmitPolicy, "grace", -1),
        (SubmitPolicy, "grace", math.inf),
        (PollPolicy, "initial_delay", -1),
        (PollPolicy, "wait_initial", None),
        (PollPolicy, "wait_max", -0.1),
        (PollPolicy, "wait_jitter", -1),
        (PollPolicy, "give_up_after", -1),
        (PollPolicy, "missing_grace", "x"),
    ],
)
def test_a_bad_policy_names_field_and_value(policy: Any, field: str, value: Any) -> None:
    """A policy that cannot work is refused when it is made."""
    with pytest.raises(ConfigurationError) as caught:
        policy(**{field: value})
    assert f"{field}={value!r}" in str(caught.value)


def test_for_ever_must_be_said() -> None:
    """Patience and the longest `Retry-After` may be infinite, if the user says so."""
    assert PollPolicy(give_up_after=math.inf, missing_grace=math.inf).give_up_after == math.inf
    assert RetryPolicy(retry_after_max=math.inf).retry_after_max == math.inf
    assert PollPolicy().give_up_after == 300


@pytest.mark.parametrize("grace", [0.0, 0.5, 1.0, 30.0, 100.0])
def test_looks_fill_the_grace_window(grace: float) -> None:
    """The waits between looks grow and add up to the grace."""
    steps = SubmitPolicy(grace=grace).looks()
    assert sum(steps) == grace
    assert steps[:-1] == sorted(steps[:-1])
