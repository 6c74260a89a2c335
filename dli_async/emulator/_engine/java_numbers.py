"""Java's text of doubles and floats: `Double.toString` and `Float.toString`, old and new.

Since JDK 19 the digits are the shortest that read back as the number. Before, they came from a loop
that stops once they are safely within half a unit in the last place: mostly the shortest, now and
then one digit more. The loop runs in 32 or 64 bits when the numbers look small enough, and what
overflows there shows in the text, so it is followed here to the bit.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context
from typing import NamedTuple

__all__ = ["double_text", "float_text", "old_double_text", "old_float_text"]


class _Format(NamedTuple):
    """What sets a binary format of IEEE 754 apart."""

    precision: int
    """Bits of a normal number, the hidden one included."""
    least: int
    """The exponent of the smallest number."""


_DOUBLE = _Format(53, -1074)
_FLOAT = _Format(24, -149)
_LEAST_DOUBLE, _LEAST_FLOAT = 2.0**-1022, 2.0**-126  # that are normal
_SINGLE = struct.Struct("f")
_FIVES = [5**power for power in range(330)]
_EXACT = 27  # powers of five whose bits Java knows; it takes 3 bits each for greater ones


def double_text(value: float) -> str:
    """`Double.toString` of JDK 19 and later."""
    if _is_plain(value):
        return repr(value)
    return _text(value, _shortest_double)


def float_text(value: float) -> str:
    """`Float.toString` of JDK 19 and later; `value` is a float32."""
    if _is_plain(value):
        return repr(float(_shortest_single(value)))
    return _text(value, _shortest_float)


def old_double_text(value: float) -> str:
    """`Double.toString` up to JDK 18."""
    if _is_plain(value):
        return repr(value)
    return _text(value, _old_double)


def old_float_text(value: float) -> str:
    """`Float.toString` up to JDK 18; `value` is a float32."""
    if _is_plain(value):
        return repr(float(_shortest_single(value)))
    return _text(value, _old_float)


def _is_plain(value: float) -> bool:
    """Whether Java has no exponent; Python has none there either."""
    return 1e-3 <= value < 1e7 or -1e7 < value <= -1e-3


# --- digits and a point -------------------------------------------------------------------------


class _Digits(NamedTuple):
    """`0.ddd * 10 ** point`."""

    digits: str
    point: int


def _text(value: float, digits_of: Callable[[float], _Digits]) -> str:
    if value != value:
        return "NaN"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if math.isinf(value):
        return f"{sign}Infinity"
    return sign + (_notation(*digits_of(abs(value))) if value else "0.0")


def _notation(digits: str, point: int) -> str:
    """Plain from 0.001 to below 10,000,000, else with an exponent."""
    if 0 < point <= 7:
        return f"{digits[:point]:0<{point}}.{digits[point:] or '0'}"
    if -3 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    return f"{digits[0]}.{digits[1:] or '0'}E{point - 1}"


def _split(text: str) -> _Digits:
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + (len(whole) if whole != "0" else len(digits) - len(fraction))
    return _Digits(digits.rstrip("0"), point)


# --- the shortest -------------------------------------------------------------------------------


def _shortest_double(value: float) -> _Digits:
    return _at_least_two(value, _split(repr(value)))


def _shortest_float(value: float) -> _Digits:
    return _at_least_two(value, _split(_shortest_single(value)))


def _shortest_single(value: float) -> str:
    """The shortest text that reads back as this float32; the nearest of several."""
    # Six digits are told apart by any normal float32, so that none of them is too many.
    first = 6 if abs(value) >= _LEAST_FLOAT else 1
    texts = (_nearest(value, digits) for digits in range(first, 9))
    return next((text for text in texts if _single(float(text)) == value), f"{value:.8e}")


def _nearest(value: float, digits: int) -> str:
    if math.frexp(value)[0] != 0.5:
        return f"{value:.{digits - 1}e}"
    # Below a power of two its neighbours are nearer, so there the one above may do where the
    # nearest does not.
    below, above = (
        str(Context(digits, rounding).create_decimal(value))
        for rounding in (ROUND_HALF_EVEN, ROUND_CEILING)
    )
    return below if _single(float(below)) == value else above


def _single(value: float) -> float:
    """The nearest float32; infinity beyond them."""
    try:
        return float(_SINGLE.unpack(_SINGLE.pack(value))[0])
    except OverflowError:
        return math.inf


def _at_least_two(value: float, shortest: _Digits) -> _Digits:
    """Java prints two digits at least, and where one would do the second is the true one."""
    return _split(f"{value:.1e}") if len(shortest.digits) == 1 else shortest


# --- up to JDK 18 -------------------------------------------------------------------------------


def _old_double(value: float) -> _Digits:
    # The loop stops at the shortest digits there too, and takes ten times as long to find them.
    if _LEAST_DOUBLE <= value < 2.0**53 and math.frexp(value)[0] != 0.5:
        return _shortest_double(value)
    return _old(value, _DOUBLE)


def _old_float(value: float) -> _Digits:
    return _shortest_float(value) if 1e-3 <= value < 2.0**24 else _old(value, _FLOAT)


def _old(value: float, form: _Format) -> _Digits:
    exponent = math.frexp(value)[1] - 1
    precision = min(form.precision, exponent - form.least + 1)
    if exponent < 63 and value.is_integer():
        return _whole(int(value), exponent - precision)
    return _Loop(value, exponent, precision).run()


def _whole(value: int, spare: int) -> _Digits:
    """All digits of a whole number but those that its `spare` low bits cannot tell."""
    unknown = len(str(1 << spare - 1)) - 1 if spare > 2 else 0
    known, rest = divmod(value, 10**unknown)
    digits = str(known + (unknown > 0 and rest >= 10**unknown // 2))
    return _Digits(digits.rstrip("0"), len(digits) + unknown)


class _Loop:
    """Digit by digit: `rest / unit` is what is left, `margin / unit` half a unit in the last place.

    :param exponent: of two, of the number's first bit.
    :param precision: bits that the format has for this number.
    """

    def __init__(self, value: float, exponent: int, precision: int) -> None:
        numerator, denominator = value.as_integer_ratio()
        odd = numerator // (numerator & -numerator)
        bits, below = odd.bit_length(), denominator.bit_length() - 1
        self.point = _estimate(value, exponent)
        up, down = max(0, -self.point), max(0, self.point)
        rest_twos, unit_twos = up + below + exponent - bits + 1, down + below
        margin_twos = up + below + exponent - precision - (bits == 1)
        common = min(rest_twos, unit_twos, margin_twos)
        self.rest = odd * _FIVES[up] << rest_twos - common
        self.unit = _FIVES[down] << unit_twos - common
        self.margin = _FIVES[up] << margin_twos - common
        self.width = _width(
            bits + rest_twos - common + _bits_of_five(up),
            unit_twos - common + 1 + _bits_of_five(down + 1),
        )

    def run(self) -> _Digits:
        digits = []
        digit, low, high = self._next()
        if digit or high:
            digits.append(digit)
        else:
            self.point -= 1
        if not -3 <= self.point < 8:
            # Two digits at least when there is an exponent.
            low = high = False
        while not low and not high:
            digit, low, high = self._next()
            digits.append(digit)
        return self._rounded("".join(map(str, digits)), low, high)

    def _next(self) -> tuple[int, bool, bool]:
        """A digit, and whether it or the one above it is near enough."""
        digit, rest = divmod(self.rest, self.unit)
        self.rest = 10 * rest
        self.margin = self._kept(10 * self.margin)
        if self.margin <= 0:
            return digit, True, True
        above = self._kept(self.rest + self.margin)
        end = 10 * self.unit
        return digit, self.rest < self.margin, above > end or (not self.width and above == end)

    def _kept(self, value: int) -> int:
        """What a register of this width keeps of a number; without a width all of it."""
        if not self.width:
            return value
        half = 1 << self.width - 1
        return (value + half) % (2 * half) - half

    def _rounded(self, digits: str, low: bool, high: bool) -> _Digits:
        over = 2 * self.rest - 10 * self.unit
        odd = int(digits[-1]) % 2
        if high and (not low or over > 0 or (over == 0 and odd)):
            rounded = str(int(digits) + 1)
            carried = len(rounded) > len(digits)
            return _Digits(rounded[: len(digits)], self.point + 1 + carried)
        return _Digits(digits, self.point + 1)


def _estimate(value: float, exponent: int) -> int:
    """The exponent of ten by a tangent of the logarithm; it may be one too great."""
    fraction = 2 * math.frexp(value)[0]
    tangent = (fraction - 1.5) * 0.289529654 + 0.176091259
    return math.floor(tangent + exponent * 0.301029995663981)


def _bits_of_five(power: int) -> int:
    return _FIVES[power].bit_length() if power < _EXACT else 3 * power


def _width(rest: int, end: int) -> int:
    """The register that Java takes for numbers of so many bits; 0 is as long as needed."""
    largest = max(rest, end)
    return 32 if largest < 32 else 64 if largest < 64 else 0
