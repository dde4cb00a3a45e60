"""Numbers as people write them."""

from __future__ import annotations

import pytest

from portico_gateway.guidance.copying.text.number_words import read_number


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("7", (7,)),
        ("-3.5", (-3.5,)),
        ("$1,000.50", (1000.5,)),
        ("5k", (5000, 5)),
        ("$2M", (2_000_000, 2)),
        ("half a million", (500_000,)),
        ("two hundred and fifty thousand", (250_000,)),
        ("twenty-five", (25,)),
        ("a dozen", (12,)),
        ("1.5 billion", (1_500_000_000,)),
    ],
)
def test_a_number_is_read_however_it_is_written(said: str, values: tuple[float, ...]) -> None:
    number = read_number(said)
    assert number is not None
    assert number.values == values


def test_twenty_percent_may_be_twenty_or_a_fifth() -> None:
    number = read_number("20%")
    assert number is not None
    assert (number.values, number.percent) == ((20, 0.2), True)


def test_a_unit_that_looks_like_a_suffix_is_a_unit_first() -> None:
    number = read_number("1.75m")
    assert number is not None
    assert number.values[0] == 1.75


@pytest.mark.parametrize("text", ["", "tally", "one tally", "9" * 400])
def test_what_is_no_number_is_none(text: str) -> None:
    assert read_number(text) is None
