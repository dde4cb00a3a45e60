"""JSON numbers as regular languages: ranges of integers and decimals, multiples, exclusions.

Canonical spelling: no leading zeros, no `+`, no `-0` among integers. Bounds may be exact decimals of any size. It knows no
schema.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from portico_engine.grammar.ir import EMPTY, NEVER, And, Node, alt, chars, optional, repeat, seq, text

DIGIT = chars("0123456789")
NONZERO = chars("123456789")


class Interval(NamedTuple):
    """low..high; None is open. An exclusive end is not part of it."""

    low: Decimal | None = None
    high: Decimal | None = None
    low_exclusive: bool = False
    high_exclusive: bool = False

    def above(self, low: Decimal, exclusive: bool) -> Interval:
        """Also at least (or more than) `low`."""
        if self.low is None or (low, exclusive) > (self.low, self.low_exclusive):
            return self._replace(low=low, low_exclusive=exclusive)
        return self

    def below(self, high: Decimal, exclusive: bool) -> Interval:
        """Also at most (or less than) `high`."""
        if self.high is None or (high, not exclusive) < (self.high, not self.high_exclusive):
            return self._replace(high=high, high_exclusive=exclusive)
        return self

    @property
    def empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_exclusive or self.high_exclusive))

    def contains(self, value: Decimal) -> bool:
        low = self.low is None or value > self.low or (value == self.low and not self.low_exclusive)
        high = self.high is None or value < self.high or (value == self.high and not self.high_exclusive)
        return low and high

    def integers(self) -> tuple[int | None, int | None]:
        """The least and greatest integer inside."""
        low = high = None
        if self.low is not None:
            floor = _floor(self.low)
            low = floor if self.low == floor and not self.low_exclusive else floor + 1
        if self.high is not None:
            floor = _floor(self.high)
            high = floor - 1 if self.high == floor and self.high_exclusive else floor
        return low, high


def _floor(value: Decimal) -> int:
    whole = int(value)
    return whole - 1 if value < whole else whole


# --- integers -----------------------------------------------------------------------------------------------------------------


def integer_range(low: int | None, high: int | None, digits: int | None = None) -> Node:
    """Integers from `low` to `high`; an open end reaches to `digits` digits, or without bound."""
    parts: list[Node] = []
    if low is None or low < 0:
        top = None if low is None else -low
        bottom = 1 if high is None or high >= 0 else -high
        if top is None or bottom <= top:
            parts.append(seq(text("-"), natural_range(bottom, top, digits)))
    if high is None or high >= 0:
        parts.append(natural_range(max(low or 0, 0), high, digits))
    return alt(*parts)


def natural_range(low: int, high: int | None, digits: int | None = None) -> Node:
    """Natural numbers from `low` to `high`; an open end reaches to `digits` digits (at least to those of `low`), or on
    without bound."""
    if high is None:
        if digits is not None:
            return natural_range(low, max(10**digits - 1, 10 ** len(str(low)) - 1))
        if low <= 1:
            tail = seq(NONZERO, repeat(DIGIT))
            return tail if low == 1 else alt(text("0"), tail)
        width = len(str(low))
        return alt(natural_range(low, 10**width - 1), seq(NONZERO, repeat(DIGIT, width)))
    if low > high:
        return NEVER
    parts = []
    for size in _widths(len(str(low)), len(str(high))):
        if isinstance(size, tuple):
            parts.append(seq(NONZERO, repeat(DIGIT, size[0] - 1, size[1] - 1)))
            continue
        width = size
        bottom = max(low, 10 ** (width - 1) if width > 1 else 0)
        top = min(high, 10**width - 1)
        parts.append(_same_width(str(bottom), str(top)))
    return _merge_full(low, high) or alt(*parts)


def _widths(low: int, high: int) -> list[int | tuple[int, int]]:
    """Widths between the first and the last, which are whole, joined in one."""
    if high - low < 2:
        return list(range(low, high + 1))
    return [low, (low + 1, high - 1), high]


def _merge_full(low: int, high: int) -> Node | None:
    """0 or 1 to 99..9: the common case in its shortest form."""
    width = len(str(high))
    if high != 10**width - 1 or low > 1:
        return None
    tail = seq(NONZERO, repeat(DIGIT, 0, width - 1))
    return tail if low == 1 else alt(text("0"), tail)


def _same_width(low: str, high: str) -> Node:
    """Digit strings of one width from `low` to `high`."""
    if not low:
        return EMPTY
    if low == high:
        return text(low)
    rest = len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return seq(chars((ord(low[0]), ord(high[0]))), repeat(DIGIT, rest, rest))
    if low[0] == high[0]:
        return seq(text(low[0]), _same_width(low[1:], high[1:]))
    parts = [seq(text(low[0]), _same_width(low[1:], "9" * rest))]
    if ord(high[0]) - ord(low[0]) > 1:
        parts.append(seq(chars((ord(low[0]) + 1, ord(high[0]) - 1)), repeat(DIGIT, rest, rest)))
    parts.append(seq(text(high[0]), _same_width("0" * rest, high[1:])))
    return alt(*parts)


# --- decimals -----------------------------------------------------------------------------------------------------------------


def decimal_range(interval: Interval, digits: int | None = None, fraction: int | None = None, exponent: bool = False) -> Node:
    """Decimals in the interval, without exponents unless it is open on both sides and `exponent` is set."""
    if interval.empty:
        return NEVER
    if interval.low is None and interval.high is None:
        whole = alt(text("0"), seq(NONZERO, repeat(DIGIT, 0, None if digits is None else digits - 1)))
        power = seq(chars("eE"), optional(chars("+-")), repeat(DIGIT, 1, None if digits is None else 2))
        return seq(optional(text("-")), whole, _any_fraction(fraction), optional(power) if exponent else EMPTY)
    parts = []
    low, high = interval.low, interval.high
    if low is None or low < 0:
        mirrored = Interval(
            Decimal(0) if high is None or high > 0 else -high,
            None if low is None else -low,
            high is not None and high <= 0 and interval.high_exclusive,
            interval.low_exclusive,
        )
        if mirrored.low == 0 and not mirrored.low_exclusive:
            mirrored = mirrored._replace(low_exclusive=True)  # zero is spelled without a sign
        parts.append(seq(text("-"), _positive_range(mirrored, digits, fraction)))
    if high is None or high >= 0:
        positive = interval if low is not None and low >= 0 else interval._replace(low=Decimal(0), low_exclusive=False)
        parts.append(_positive_range(positive, digits, fraction))
    return alt(*parts)


def _any_fraction(digits: int | None) -> Node:
    return optional(seq(text("."), repeat(DIGIT, 1, digits)))


def _split(value: Decimal) -> tuple[int, str]:
    """Whole part and fraction digits without trailing zeros."""
    plain = f"{value:f}"
    whole, _, fraction = plain.partition(".")
    return int(whole), fraction.rstrip("0")


def _positive_range(interval: Interval, digits: int | None, fraction: int | None) -> Node:
    if interval.empty:
        return NEVER
    assert interval.low is not None
    low_whole, low_fraction = _split(interval.low)
    above = _fraction_from(low_fraction, interval.low_exclusive, fraction)
    if interval.high is None:
        return alt(
            seq(text(str(low_whole)), above),
            seq(natural_range(low_whole + 1, None, digits), _any_fraction(fraction)),
        )
    high_whole, high_fraction = _split(interval.high)
    below = _fraction_to(high_fraction, interval.high_exclusive, fraction)
    if low_whole == high_whole:
        return seq(text(str(low_whole)), _both(above, below))
    return alt(
        seq(text(str(low_whole)), above),
        seq(natural_range(low_whole + 1, high_whole - 1), _any_fraction(fraction)),
        seq(text(str(high_whole)), below),
    )


def _both(first: Node, second: Node) -> Node:
    if first == NEVER or second == NEVER:
        return NEVER
    return first if first == second else And((first, second))


def _fraction_from(least: str, exclusive: bool, digits: int | None) -> Node:
    """Fractions (with their point, or nothing for zero) of at least, or more than, 0.`least`."""
    more = None if digits is None else max(digits - len(least), 1)
    if not least:
        if not exclusive:
            return _any_fraction(digits)
        return seq(text("."), repeat(text("0"), 0, more), NONZERO, repeat(DIGIT, 0, more))
    parts: list[Node] = []
    for index, digit in enumerate(least):
        if digit < "9":
            parts.append(seq(text(least[:index]), chars((ord(digit) + 1, ord("9"))), repeat(DIGIT, 0, digits)))
    rest = seq(repeat(text("0"), 0, more), NONZERO, repeat(DIGIT, 0, more)) if exclusive else repeat(DIGIT, 0, more)
    parts.append(seq(text(least), rest))
    return seq(text("."), alt(*parts))


def _fraction_to(most: str, exclusive: bool, digits: int | None) -> Node:
    """Fractions (with their point, or nothing for zero) of at most, or less than, 0.`most`."""
    more = None if digits is None else max(digits - len(most), 1)
    zeros = seq(text("."), repeat(text("0"), 1, more))
    if not most:
        return NEVER if exclusive else optional(zeros)
    parts: list[Node] = []
    for index, digit in enumerate(most):
        if digit > "0":
            parts.append(seq(text(most[:index]), chars((ord("0"), ord(digit) - 1)), repeat(DIGIT, 0, digits)))
        if index:
            parts.append(text(most[:index]))
    if not exclusive:
        parts.append(seq(text(most), repeat(text("0"), 0, more)))
    return optional(seq(text("."), alt(*parts)))


def scaled_multiples(step: Decimal) -> tuple[int, int]:
    """`step` as (p, k): p / 10**k with k >= 0 as small as can be."""
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    places = max(-exponent, 0)
    return int(step.scaleb(places)), places
