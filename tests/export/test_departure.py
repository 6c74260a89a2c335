"""Departures: bounds never too late and times never too long, whichever clock lies."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async import ConfigurationError
from dli_async._export.departure import WRONG_AT_MOST, Departure, Moment
from dli_async._export.token import SavedJob

from ..support import spec

TRUTH = 1_767_225_600.0
ages = st.floats(0, 7_200)
errors = st.floats(-WRONG_AT_MOST, WRONG_AT_MOST)
lies = st.sampled_from([-86_000.0, -3_600.0, 3_600.0, 86_000.0])


def moments(left: float, now: float, by_server: bool, age: float) -> tuple[Moment, Moment]:
    """A departure and the present, by clocks that are wrong by `left` and by `now`."""
    departed = Moment(TRUTH + left, TRUTH if by_server else None)
    return departed, Moment(TRUTH + age + now, TRUTH + age)


@given(age=ages, left=errors, now=errors, by_server=st.booleans())
def test_a_bound_is_never_later_than_the_departure_while_the_service_is_right(
    age: float, left: float, now: float, by_server: bool
) -> None:
    """Whether this machine's clock jumped, and whether the service's was known: 60 s at most,
    which is the margin of a look."""
    departed, present = moments(left, now, by_server, age)
    assert Departure.at(departed).started_since(present) <= TRUTH + 60.0


@given(age=ages, left=errors, now=errors, by_server=st.booleans())
def test_more_time_is_never_said_to_have_gone_by_than_has(
    age: float, left: float, now: float, by_server: bool
) -> None:
    """A clock that was set forward does not shorten the grace."""
    departed, present = moments(left, now, by_server, age)
    if by_server:
        assert Departure.at(departed).elapsed(present) <= age + 1e-6
    else:
        assert Departure.at(departed).elapsed(present) == 0.0


@given(age=ages, lie=lies)
def test_a_service_that_lies_about_the_date_neither_hides_a_job_nor_ends_the_grace(
    age: float, lie: float
) -> None:
    """The clock of this machine is heeded too: by the lie of the look alone, or of both."""
    for told in (None, TRUTH, TRUTH + lie):
        departure = Departure.at(Moment(TRUTH, told))
        present = Moment(TRUTH + age, TRUTH + age + lie)
        assert departure.started_since(present) <= TRUTH + 60.0
        assert departure.elapsed(present) <= age + 1e-6


@given(age=ages, slept=st.floats(0, 7_200))
def test_a_loop_that_stood_still_does_not_move_the_bound(age: float, slept: float) -> None:
    """While a machine is suspended its loop's clock may stop."""
    departed = Moment(TRUTH, TRUTH, 100.0)
    present = Moment(TRUTH + age + slept, TRUTH + age + slept, 100.0 + age)
    departure = Departure.at(departed)
    assert departure.started_since(present) <= TRUTH + 60.0
    assert departure.elapsed(present) <= age + slept + 1e-6


def test_clocks_that_agree_give_a_narrow_bound_and_the_whole_time() -> None:
    """Nothing is widened without need."""
    departure = Departure.at(Moment(TRUTH, TRUTH))
    present = Moment(TRUTH + 100, TRUTH + 101)
    assert departure.started_since(present) == TRUTH
    assert departure.elapsed(present) == 100


def test_another_post_keeps_the_earliest_departure_and_moves_the_latest() -> None:
    """The first bounds the look, the last starts the grace."""
    departure = Departure.at(Moment(TRUTH, TRUTH)).again(Moment(TRUTH + 65, TRUTH + 65))
    present = Moment(TRUTH + 75, TRUTH + 75)
    assert departure.started_since(present) == TRUTH
    assert departure.elapsed(present) == 10


seconds = st.floats(0, 4e9)
told = st.builds(Moment, seconds, st.none() | seconds)


@given(departure=st.builds(Departure, told, told))
def test_a_token_keeps_a_departure(departure: Departure) -> None:
    """By both clocks that mean something to another process."""
    saved = SavedJob(export_id="one", spec=spec(), departure=departure)
    assert SavedJob.from_text(saved.to_text()) == saved


def test_a_token_of_the_first_version_tells_one_time() -> None:
    """It stands for both, by the clock of the machine."""
    token = json.dumps({"v": 1, "spec": spec().body(), "doubted_at": TRUTH})
    assert SavedJob.from_text(token).departure == Departure.at(Moment(TRUTH))
    assert SavedJob.from_text(json.dumps({"v": 1, "spec": spec().body()})).departure is None


@pytest.mark.parametrize(
    "departure",
    [
        1.0,
        {},
        {"earliest": {"wall": 1.0}},
        {"earliest": {"wall": 1.0}, "latest": 2.0},
        {"earliest": {"wall": 1.0}, "latest": {"wall": True}},
        {"earliest": {"wall": 1.0}, "latest": {"wall": float("inf")}},
        {"earliest": {"wall": 1.0}, "latest": {"wall": 1.0, "server": "noon"}},
    ],
)
def test_a_departure_that_is_none_is_refused(departure: object) -> None:
    """A token that was tampered with does not pass for one without a doubt."""
    token = json.dumps({"v": 2, "spec": spec().body(), "departure": departure})
    with pytest.raises(ConfigurationError, match="token"):
        SavedJob.from_text(token)


def test_a_clock_that_jumps_by_days_does_not_shorten_the_grace() -> None:
    """Where the note told the time by one clock, the service tells that this one has jumped."""
    left = Departure.at(Moment(1e9))
    now = Moment(1e9 + 10 + 3 * 86_400, server=1e9 + 10)
    assert left.elapsed(now) == 0
    assert left.elapsed(Moment(now.wall)) == 0
    assert left.elapsed(Moment(2e9, server=2e9)) > 86_400
