"""Ranges, multiples and exclusions of numbers against arithmetic."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.grammar.schemas import takes

from portico_engine.grammar.regular.automata import matches
from portico_engine.grammar.regular.numbers import Interval, decimal_range, integer_range

SMALL = st.integers(-1200, 1200)
ENDS = st.one_of(st.none(), SMALL)
DECIMALS = st.decimals(min_value=-30, max_value=30, places=2)


@settings(max_examples=150, deadline=None)
@given(low=ENDS, high=ENDS, values=st.lists(SMALL, min_size=1, max_size=20))
def test_an_integer_range_holds_its_integers_and_no_others(low: int | None, high: int | None, values: list[int]) -> None:
    node = integer_range(low, high)
    near = [end + step for end in (low, high) if end is not None for step in (-1, 0, 1)]
    for value in (*values, *near):
        inside = (low is None or value >= low) and (high is None or value <= high)
        assert matches(node, str(value)) == inside
    assert not any(matches(node, text) for text in ("", "-", "-0", "007", "+1", "1.0"))


@settings(max_examples=150, deadline=None)
@given(
    low=st.one_of(st.none(), DECIMALS),
    high=st.one_of(st.none(), DECIMALS),
    out=st.tuples(st.booleans(), st.booleans()),
    values=st.lists(DECIMALS, max_size=20),
)
def test_a_decimal_range_holds_its_decimals_and_no_others(
    low: Decimal | None, high: Decimal | None, out: tuple[bool, bool], values: list[Decimal]
) -> None:
    interval = Interval()
    if low is not None:
        interval = interval.above(low, out[0])
    if high is not None:
        interval = interval.below(high, out[1])
    node = decimal_range(interval)
    near = [end + step for end in (low, high) if end is not None for step in (Decimal("-0.001"), Decimal(0), Decimal("0.001"))]
    for value in (*values, *near):
        for text in {f"{value:f}", f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"}:
            if text not in ("-0", "-0.00", "-0.000", "-0.0"):
                assert matches(node, text) == interval.contains(value), (interval, text)


@settings(max_examples=8, deadline=None)
@given(step=st.integers(2, 60), low=ENDS, high=ENDS, values=st.lists(SMALL, min_size=8, max_size=8))
def test_multiples_of_an_integer_are_exact(step: int, low: int | None, high: int | None, values: list[int]) -> None:
    bounds = ({} if low is None else {"minimum": low}) | ({} if high is None else {"maximum": high})
    members = [
        n * step
        for n in range(-1300 // step, 1300 // step)
        if (low is None or n * step >= low) and (high is None or n * step <= high)
    ]
    if not members:
        return
    wanted = [v % step == 0 and (low is None or v >= low) and (high is None or v <= high) for v in (*values, *members[:5])]
    assert takes({"type": "integer", "multipleOf": step, **bounds}, *map(str, (*values, *members[:5]))) == wanted


def test_an_integer_can_be_excluded_and_a_multiple_too() -> None:
    schema = {"type": "integer", "not": {"enum": [3, 5]}, "allOf": [{"not": {"multipleOf": 2}}]}
    assert takes(schema, "1", "2", "3", "4", "5", "7", "-3") == [True, False, False, False, False, True, True]


def test_numbers_that_are_no_integers_can_be_asked_for() -> None:
    assert takes({"type": "number", "not": {"type": "integer"}}, "1.5", "1", "1.0", "0.10", "-3.25") == [
        True,
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("step", [1, 1.0, 2, 5, 10])
@pytest.mark.parametrize("ends", [{}, {"minimum": 0.0}, {"maximum": 900}, {"minimum": -3, "maximum": 10**6}])
@pytest.mark.parametrize("kind", ["number", "integer"])
def test_a_whole_step_within_ends_takes_every_multiple(step: float, ends: dict[str, float], kind: str) -> None:
    low, high = ends.get("minimum", -100), ends.get("maximum", 100)
    values = [-10, -2, -1, 0, 1, 2, 5, 8, 10, 15, 60, 100]
    wanted = [value % step == 0 and low <= value <= high for value in values]
    assert takes({"type": kind, "multipleOf": step, **ends}, *map(str, values)) == wanted
