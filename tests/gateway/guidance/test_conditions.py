from __future__ import annotations

import pytest
from tests.gateway.guidance.boats import best, conditions


@pytest.mark.parametrize(
    ("question", "choice", "expected"),
    [
        ("How many boats are red?", ("boats", "count"), [("colour", "=", "red")]),
        ("Show the boats that are not sea green", ("boats", "list"), [("colour", "!=", "sea green")]),
        ("How many boats are over 12?", ("boats", "count"), [("length", ">", "12")]),
        ("How many boats lie in Oslo?", ("boats", "count"), [("harbour", "=", "Oslo")]),
        ("How many boats have an owner from Oslo town?", ("boats", "count"), [("Owner.town", "=", "Oslo")]),
        ("How many boats were built in 1999?", ("boats", "count"), [("built", "=", "1999")]),
        ("How many boats are insured?", ("boats", "count"), [("insured", "=", "true")]),
        ("How many boats are not insured?", ("boats", "count"), [("insured", "=", "false")]),
        ("How many boats have no harbour?", ("boats", "count"), [("harbour", "=", "null")]),
        ("How many boats have a harbour?", ("boats", "count"), [("harbour", "!=", "null")]),
        ("How many owners are there?", ("Owner", "count"), []),
        ("How many boats have a length between 5 and 9?", ("boats", "count"), [("length", ">", "5"), ("length", "<", "9")]),
        ("How many red boats are under 7?", ("boats", "count"), [("colour", "=", "red"), ("length", "<", "7")]),
        ("Show boats with harbour north", ("boats", "list"), [("harbour", "=", "north")]),
        ("How many boats of an owner were sold by pim?", ("boats", "count"), [("Owner.name", "=", "pim")]),
        ("How many wooden boats are there?", ("boats", "count"), [("harbour", "=", "wooden")]),
        ("How many boats have no owner?", ("boats", "count"), [("Owner_id", "=", "null")]),
    ],
)
def test_values_find_their_names(question: str, choice: tuple[str, str], expected: list[tuple[str, str, str]]) -> None:
    score = best(question)
    assert tuple(score.choice.values()) == choice
    assert conditions(score) == expected
    assert (score.keys["where"] > 0) == bool(expected), "nothing is left to compare: no conditions"
