"""Doubles and floats as two Javas print them: what they printed, and what holds for all."""

import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async.emulator._engine import java_numbers as _numbers

VECTORS = Path(__file__).parent.parent / "vectors" / "java-numbers.txt"


def number(kind: str, bits: int) -> float:
    whole, floating = ("Q", "d") if kind == "d" else ("I", "f")
    return float(struct.unpack(floating, struct.pack(whole, bits))[0])


def single(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def printed() -> list[tuple[str, str, str]]:
    lines = VECTORS.read_text().splitlines()[1:]
    return [(bits, old, new) for bits, old, new in map(str.split, lines)]


@pytest.mark.parametrize(("bits", "old", "new"), printed())
def test_numbers_are_those_of_a_real_java(bits: str, old: str, new: str) -> None:
    """Up to JDK 18 not always the shortest digits, since 19 the shortest."""
    value = number(bits[0], int(bits[1:], 16))
    if bits[0] == "d":
        texts = _numbers.old_double_text(value), _numbers.double_text(value)
    else:
        texts = _numbers.old_float_text(value), _numbers.float_text(value)
    assert texts == (old, new)


doubles = st.floats(allow_nan=False, allow_infinity=False)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(doubles)
def test_a_double_reads_back_as_itself(value: float) -> None:
    """No digit is lost by either Java."""
    for text in (_numbers.double_text(value), _numbers.old_double_text(value)):
        assert struct.pack("d", float(text)) == struct.pack("d", value)


@given(floats)
def test_a_float_reads_back_as_itself(value: float) -> None:
    """No digit of a float32 is lost by either Java."""
    for text in (_numbers.float_text(value), _numbers.old_float_text(value)):
        assert struct.pack("f", float(text)) == struct.pack("f", value)


def digits(text: str) -> str:
    return text.lstrip("-").partition("E")[0].replace(".", "").strip("0")


@given(doubles)
def test_the_new_digits_of_a_double_are_as_few_as_can_be(value: float) -> None:
    """As many as Python's, which are the shortest, or two where one would do."""
    assert len(digits(_numbers.double_text(value))) <= max(2, len(digits(repr(value).upper())))


@given(floats.filter(bool))
def test_the_new_digits_of_a_float_are_as_few_as_can_be(value: float) -> None:
    """No text with fewer digits reads back as the same float32."""
    count = len(digits(_numbers.float_text(value)))
    if count > 2:
        assert single(float(f"{value:.{count - 2}e}")) != value


@given(doubles.filter(lambda value: math.frexp(value)[0] not in (0.0, 0.5, -0.5)))
def test_the_old_loop_stops_at_the_shortest_digits_below_2_to_53(value: float) -> None:
    """So there they need not be worked out one by one."""
    value = abs(value)
    if 2.0**-1022 <= value < 2.0**53:
        loop = _numbers._old(value, _numbers._DOUBLE)
        assert loop.digits.rstrip("0") == _numbers._shortest_double(value).digits
        assert loop.point == _numbers._shortest_double(value).point


@given(floats)
def test_the_old_loop_stops_at_the_shortest_digits_of_a_float_below_2_to_24(value: float) -> None:
    """The same for float32, from 0.001."""
    value = abs(value)
    if 1e-3 <= value < 2.0**24:
        loop = _numbers._old(value, _numbers._FLOAT)
        assert loop.digits.rstrip("0") == _numbers._shortest_float(value).digits
        assert loop.point == _numbers._shortest_float(value).point
