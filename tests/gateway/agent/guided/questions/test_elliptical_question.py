"""Follow-ups: what they mean after the last question, as a table; and which questions are none."""

from __future__ import annotations

import pytest

from portico_gateway.agent.conversation import Exchange, KeptCall
from portico_gateway.agent.guided.questions.elliptical_question import completed_question

CANCELLED = "How many orders were cancelled?"
FRANCE = "How many customers are from France?"


def understood(last: str, asked: str) -> str | None:
    completed = completed_question(asked, [Exchange("What was first?", ""), Exchange(last, "")])
    return None if completed is None else completed.question


@pytest.mark.parametrize(
    ("last", "asked", "meant"),
    [
        # a value of the same kind
        ("What changed in 8.1.7?", "And in 8.1.8?", "What changed in 8.1.8?"),
        ("What changed in version 8.1.7 of click?", "and version 8.1.8?", "What changed in version 8.1.8 of click?"),
        (FRANCE, "And Germany?", "How many customers are from Germany?"),
        (FRANCE, "What about Germany?", "How many customers are from Germany?"),
        (FRANCE, "and from germany", "How many customers are from Germany?"),
        (FRANCE, "Germany?", "How many customers are from Germany?"),
        ("Orders placed in 2023?", "And 2024?", "Orders placed in 2024?"),
        ("How many were placed in 2023?", "And since 2024?", "How many were placed since 2024?"),
        ("How many were placed in March 2024?", "And in April?", "How many were placed in April 2024?"),
        ("How many cost more than 100?", "And more than 200?", "How many cost more than 200?"),
        ("How many cost more than 100?", "And less than 50?", "How many cost less than 50?"),
        ("Where is BlockPool defined?", "And PrefixIndex?", "Where is PrefixIndex defined?"),
        ("How many did Ann Lee place in France?", "And Bob?", "How many did Ann Lee place in Bob?"),
        ("How many were placed in France in 2023?", "And in Germany in 2024?", "How many were placed in Germany in 2024?"),
        # a word of the same form
        (CANCELLED, "And shipped?", "How many orders were shipped?"),
        (CANCELLED, "And how many were shipped?", "How many orders were shipped?"),
        ("Who is the newest customer?", "And the oldest?", "Who is the oldest customer?"),
        ("Which product is the most expensive?", "And the cheapest?", "Which product is the cheapest?"),
        ("Which product is the cheapest?", "And the most expensive?", "Which product is the most expensive?"),
        ("What is the price of Widget?", "And the weight?", "What is the weight of Widget?"),
        ("How many orders are in paris?", "And in berlin?", "How many orders are in berlin?"),
        # another question about the same
        ("When was click 8.1 released?", "And who released it?", "Who released click 8.1?"),
        ("Where is BlockPool defined?", "And what does it return?", "What does BlockPool return?"),
        # nothing that it could replace: appended
        (CANCELLED, "And in Germany?", "How many orders were cancelled in Germany?"),
        (CANCELLED, "And per country?", "How many orders were cancelled per country?"),
        # other languages
        ("Wie viele Kunden kommen aus Frankreich?", "Und aus Deutschland?", "Wie viele Kunden kommen aus Deutschland?"),
        ("Combien de clients viennent de France ?", "Et de Belgique ?", "Combien de clients viennent de Belgique?"),
    ],
)
def test_a_completed_is_completed_by_the_last_question(last: str, asked: str, meant: str) -> None:
    assert understood(last, asked) == meant


@pytest.mark.parametrize(
    "asked",
    [
        "Under which licence is the handbook?",
        "And how do I connect Portico to Claude Desktop?",
        "List all tables",
        "Show customers",
        "and",
        "?",
        "",
        "how does eviction work",
        "pump installation",
    ],
)
def test_a_question_that_stands_by_itself_is_left_alone(asked: str) -> None:
    assert understood(CANCELLED, asked) is None


def test_without_a_last_question_nothing_is_completed() -> None:
    assert completed_question("And in Germany?", []) is None


def test_the_last_call_that_found_something_goes_along_with_what_changed() -> None:
    found, empty = KeptCall("db__rows", {"country": "France"}), KeptCall("db__tables", {}, found=False)
    completed = completed_question("And Germany?", [Exchange(FRANCE, "4", (found, empty))])
    assert completed is not None
    assert completed.call == found
    assert completed.changes == (("France", "Germany"),)


def test_what_was_appended_is_no_change() -> None:
    completed = completed_question("And per country?", [Exchange(CANCELLED, "4")])
    assert completed is not None
    assert (completed.call, completed.changes) == (None, None)


@pytest.mark.parametrize("asked", ["And " * 2000, "and " + "x" * 50_000 + "?", "And " + "A b " * 3000, "et" * 10_000])
def test_long_texts_take_no_long_time_and_raise_nothing(asked: str) -> None:
    understood(CANCELLED, asked)
    understood(asked, "And in Germany?")
