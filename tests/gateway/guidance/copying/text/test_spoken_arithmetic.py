"""Arithmetic in words."""

from __future__ import annotations

import pytest

from portico_gateway.guidance.copying.text.spoken_arithmetic import expressions


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ("What's (12 + 4) / 8?", "(12 + 4) / 8"),
        ("what is 12 times 4?", "12 * 4"),
        ("3 to the power of 5", "3 ** 5"),
        ("the square root of 81", "sqrt(81)"),
        ("How much is 15% of 1,200?", "15 / 100 * 1200"),
        ("7 squared", "7 ** 2"),
        ("two to the power of ten, less one", "2 ** 10 - 1"),
        ("How many hours are there in 2.5 days?", "2.5 * 24"),
        ("It ends after three weeks. How many seconds is that?", "3 * 604800"),
        ("how many minutes are in an hour", "1 * 60"),
        ("500 cards go to 7 players, how many are left over?", "500 % 7"),
    ],
)
def test_what_is_said_becomes_an_expression(said: str, expression: str) -> None:
    assert expression in [found.text for found in expressions(said)]


@pytest.mark.parametrize("text", ["call 555-0142", "2019-2020", "from 3 to 5", "version 1.2.3", "24/7 help for 1/2"])
def test_numbers_that_are_no_sum_make_no_expression(text: str) -> None:
    assert all("/" in found.text for found in expressions(text))
