"""Times in a question, as conditions on a date."""

from __future__ import annotations

import datetime

import pytest

from portico_servers.db.questions.language.times import find_times
from portico_servers.db.questions.language.words import read_words


def conditions(text: str) -> list[tuple[str, str]]:
    found = find_times(read_words(text), lambda: datetime.date(2025, 3, 15))
    return [condition for time in found for condition in time.conditions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders in 2023", [("=", "2023")]),
        ("loans in January 2025", [("=", "2025-01")]),
        ("loans on 5 May 2024", [("=", "2024-05-05")]),
        ("loans on May 5, 2024", [("=", "2024-05-05")]),
        ("the 3rd of June 2024", [("=", "2024-06-03")]),
        ("before 2000", [("<", "2000")]),
        ("after 2024-09-01", [(">", "2024-09-01")]),
        ("since March 2023", [(">=", "2023-03")]),
        ("until 2020", [("<=", "2020")]),
        ("between 2010 and 2012", [(">=", "2010"), ("<=", "2012")]),
        ("from May 2024 to July 2024", [(">=", "2024-05"), ("<=", "2024-07")]),
        ("in the second quarter of 2024", [(">=", "2024-04"), ("<=", "2024-06")]),
        ("in Q4 2023", [(">=", "2023-10"), ("<=", "2023-12")]),
        ("after Q1 2024", [(">", "2024-03")]),
        ("this year", [("=", "2025")]),
        ("last month", [("=", "2025-02")]),
        ("yesterday", [("=", "2025-03-14")]),
        ("2.1.2024 of firmware", []),
        ("model X-2024", []),
        ("how may I help", []),
        ("2024-13-01", []),
    ],
)
def test_a_time_is_read_with_what_stands_before_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert conditions(text) == expected
