"""Multiples and exclusions of numbers, as IR.

Where the last digits decide (2, 5, 10, 0.25), the language is one regular expression. Otherwise digits are counted modulo
the step by right-linear rules, a state for each residue.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

from portico_engine.grammar.ir import EMPTY, NEVER, And, Node, Not, Ref, alt, chars, optional, repeat, seq, text
from portico_engine.grammar.regular.numbers import DIGIT, NONZERO, Interval, decimal_range, integer_range, scaled_multiples

if TYPE_CHECKING:
    from portico_engine.grammar.schema.build import Builder

MAX_LISTED = 256  # numbers that are listed one by one rather than counted
MAX_ENDINGS = 1000


class _Step(NamedTuple):
    """Multiples of `units` in units of 10**-places."""

    units: int
    places: int

    @property
    def by_ending(self) -> int | None:
        """How many last digits decide, where they do."""
        for digits in range(self.places, self.places + 10):
            if 10**digits % self.units == 0:
                return digits if 10**digits // self.units <= MAX_ENDINGS or self.units == 1 else None
        return None


def _joined(steps: list[Decimal]) -> _Step:
    """One step that is a multiple of all."""
    scaled = [scaled_multiples(step) for step in steps]
    places = max(k for _, k in scaled)
    return _Step(lcm(*(p * 10 ** (places - k) for p, k in scaled)), places)


# --- integers -----------------------------------------------------------------------------------------------------------------


def integers(
    builder: Builder,
    low: int | None,
    high: int | None,
    digits: int | None,
    steps: list[Decimal],
    not_steps: list[Decimal],
    excluded: list[int],
    pointer: str,
) -> Node:
    """Integers from `low` to `high` that are multiples of `steps`, of none of `not_steps`, and not `excluded`."""
    step = _whole(_joined(steps)) if steps else 1
    avoid = [_whole(_joined([one])) for one in not_steps]
    if low is not None and high is not None:
        first, last = -(-low // step), high // step
        if last - first < MAX_LISTED:
            kept = [n * step for n in range(first, last + 1)]
            kept = [n for n in kept if n not in excluded and all(n % m for m in avoid)]
            return (
                alt(*(text(str(n)) for n in kept)) if kept else builder.never(pointer, "no integer in range is such a multiple")
            )
    plain = integer_range(low, high, digits)
    regular = [_ending_multiples(_Step(m, 0)) for m in (step, *avoid) if m > 1]
    if all(node is not None for node in regular):
        parts = [plain]
        if step > 1 and regular[0] is not None:
            parts.append(regular.pop(0))  # type: ignore[arg-type]
        parts += [Not(node) for node in regular if node is not None]
        parts += [Not(alt(*(text(str(n)) for n in excluded)))] if excluded else []
        return And(tuple(parts)) if len(parts) > 1 else plain
    modulus = lcm(step, *avoid)
    if modulus > builder.limits.residues:
        builder.loosen(f"{pointer}/multipleOf", "multipleOf", "integers that are no such multiple")
        return plain
    accepted = frozenset(r for r in range(0, modulus, step) if all(r % m for m in avoid))
    if excluded:
        builder.loosen(pointer, "not", "the excluded integers")
    return _counted(builder, low, high, modulus, accepted)


def _whole(step: _Step) -> int:
    """The step among integers: v is a multiple of units/10**places iff v is one of this."""
    scale = int(10**step.places)
    return lcm(step.units, scale) // scale


def _ending_multiples(step: _Step) -> Node | None:
    """Spellings of integers that are multiples, where the last digits decide it; None where they don't."""
    digits = step.by_ending
    if digits is None or step.places:
        return None
    if digits == 0:
        return seq(optional(text("-")), alt(text("0"), seq(NONZERO, repeat(DIGIT))))
    multiples = range(0, 10**digits, step.units)
    short = [text(str(n)) for n in multiples]
    long = [text(str(n).zfill(digits)) for n in multiples]
    return seq(optional(text("-")), alt(*short, seq(NONZERO, repeat(DIGIT), alt(*long))))


def _counted(builder: Builder, low: int | None, high: int | None, modulus: int, accepted: frozenset[int]) -> Node:
    parts: list[Node] = []
    if low is None or low < 0:
        mirrored = frozenset(-r % modulus for r in accepted)
        counter = _Residues(builder, modulus, mirrored)
        parts.append(seq(text("-"), counter.naturals(1 if high is None or high >= 0 else -high, None if low is None else -low)))
    if high is None or high >= 0:
        parts.append(_Residues(builder, modulus, accepted).naturals(max(low or 0, 0), high))
    return alt(*parts)


class _State(NamedTuple):
    """What matters of the digits read so far, of which there is at least one."""

    read: int  # how many: no more than the bounds have, and one
    residue: int
    low: int  # -1, 0, 1: the digits compared with as many of the lower bound's
    high: int


class _Residues:
    """Natural numbers by their value modulo `modulus`, between bounds: a deterministic automaton, a rule for each state."""

    def __init__(self, builder: Builder, modulus: int, accepted: frozenset[int]) -> None:
        self.builder, self.modulus, self.accepted = builder, modulus, accepted
        self.made: dict[_State, Node] = {}
        self.todo: list[tuple[str, _State]] = []

    def naturals(self, low: int, high: int | None) -> Node:
        self.low, self.high = str(low), None if high is None else str(high)
        start = _State(0, 0, 0, 0)
        node = alt(text("0") if low == 0 and 0 in self.accepted else NEVER, self._digits(start, range(1, 10)))
        for number in count():
            if not self.todo:
                break
            if number & 1023 == 1023:
                self.builder.meter.check_time()
            name, state = self.todo.pop()
            more = self._digits(state, range(10))
            self.builder.rules[name] = alt(EMPTY, more) if self._may_end(state) else more
            self.builder.early.add(name)
            self.builder.meter.count(24)
        return node

    def _digits(self, state: _State, digits: range) -> Node:
        """One more digit, and what may follow it."""
        if self.high is not None and state.read >= len(self.high):
            return NEVER
        following: dict[Node, list[int]] = {}
        for digit in digits:
            after = self._after(state, digit)
            if self.high is None or after.read < len(self.high) or after.high <= 0:
                following.setdefault(self._state(after), []).append(digit)
        return alt(*(seq(chars("".join(map(str, same))), node) for node, same in following.items()))

    def _after(self, state: _State, digit: int) -> _State:
        residue = (state.residue * 10 + digit) % self.modulus
        low = state.low or _compared(digit, self.low, state.read)
        high = state.high if self.high is None else state.high or _compared(digit, self.high, state.read)
        most = max(len(self.low), len(self.high or "")) + 1
        counted = min(state.read + 1, most)
        return _State(counted, residue, 1 if counted > len(self.low) else low, high)

    def _may_end(self, state: _State) -> bool:
        enough = state.read > len(self.low) or (state.read == len(self.low) and state.low >= 0)
        few = self.high is None or state.read < len(self.high) or (state.read == len(self.high) and state.high <= 0)
        return enough and few and state.residue in self.accepted

    def _state(self, state: _State) -> Node:
        if state not in self.made:
            name = self.builder.new_name(f"multiple/{state.residue}")
            self.made[state] = Ref(name)
            self.todo.append((name, state))
        return self.made[state]


def _compared(digit: int, bound: str, at: int) -> int:
    if at >= len(bound):
        return 0
    return (digit > int(bound[at])) - (digit < int(bound[at]))


# --- decimals -----------------------------------------------------------------------------------------------------------------


def decimals(
    builder: Builder,
    interval: Interval,
    digits: int | None,
    fraction: int | None,
    steps: list[Decimal],
    not_steps: list[Decimal],
    excluded: list[Decimal],
    whole: bool,
    pointer: str,
) -> Node:
    """Decimals of an interval that are multiples of `steps`, of none of `not_steps`, not `excluded`; `whole` False: no
    integers."""
    parts: list[Node] = []
    if steps:
        step = _joined(steps)
        listed = _listed(interval, step)
        if listed is not None:
            parts.append(listed)
        elif step.places == 0 and interval.low is None and interval.high is None and not (excluded or not_steps) and whole:
            return integers(builder, None, None, digits, steps, [], [], pointer)
        else:
            language = _multiples(step)
            if language is None:
                builder.loosen(f"{pointer}/multipleOf", "multipleOf", "numbers that are no such multiple")
            else:
                parts.append(language)
    if not whole:
        parts.append(seq(optional(text("-")), repeat(DIGIT, 1), text("."), repeat(DIGIT), NONZERO, repeat(DIGIT)))
    for one in not_steps:
        language = _multiples(_joined([one]))
        if language is None:
            builder.loosen(f"{pointer}/not", "not", "such multiples, too")
        else:
            parts.append(Not(language))
    if excluded:
        parts.append(Not(alt(*map(_spellings, excluded))))
    return And((decimal_range(interval, digits, fraction), *parts)) if parts else decimal_range(interval, digits, fraction)


def _spellings(value: Decimal) -> Node:
    """Every spelling of a decimal without exponent: zeros may follow its fraction."""
    plain, _, fraction = f"{value:f}".partition(".")
    fraction = fraction.rstrip("0")
    if not fraction:
        return seq(text(plain), optional(seq(text("."), repeat(text("0"), 1))))
    return seq(text(f"{plain}.{fraction}"), repeat(text("0")))


def _listed(interval: Interval, step: _Step) -> Node | None:
    """Few multiples in a closed interval, one by one."""
    if interval.low is None or interval.high is None:
        return None
    unit = Decimal(step.units).scaleb(-step.places)
    first, last = int(interval.low / unit) - 1, int(interval.high / unit) + 1
    if last - first > MAX_LISTED:
        return None
    kept = [n * unit for n in range(first, last + 1) if interval.contains(n * unit)]
    return alt(*map(_spellings, kept))


def _multiples(step: _Step) -> Node | None:
    """Spellings of all multiples, where the whole part is free: the fraction alone decides."""
    sign, whole = optional(text("-")), alt(text("0"), seq(NONZERO, repeat(DIGIT)))
    size = 10**step.places
    if step.places == 0 or size % step.units:
        ending = _ending_multiples(step) if step.places == 0 else None
        return None if ending is None else seq(ending, optional(seq(text("."), repeat(text("0"), 1))))
    if step.units == 1:
        return seq(sign, whole, optional(seq(text("."), repeat(DIGIT, 1, step.places), repeat(text("0")))))
    if size // step.units > MAX_ENDINGS:
        return None
    endings = {str(n).zfill(step.places).rstrip("0") for n in range(0, size, step.units)}
    fractions = alt(*(seq(text(e), repeat(text("0"), 0 if e else 1)) for e in sorted(endings)))
    return seq(sign, whole, optional(seq(text("."), fractions)))
