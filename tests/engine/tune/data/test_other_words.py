"""Other words for what a description says: whole words alone, plurals kept, the same for a seed."""

from __future__ import annotations

import random

import pytest

from portico_engine import Tool
from portico_engine.tune.data.other_words import in_other_words
from portico_engine.tune.data.spoken_questions import say_tool
from portico_engine.tune.data.tool_questions import Origin, questions_over

BOOKS = Tool("book_delete", "Deletes a picture of a member", {"type": "object", "properties": {}})


def said(text: str, share: float = 1.0) -> set[str]:
    return {in_other_words(text, random.Random(seed), share) for seed in range(60)}


def test_words_are_exchanged_for_each_that_people_have() -> None:
    assert said("picture") == {"photo", "image"}
    assert {"search for it", "hunt for it", "look for it"} & said("find it")


@pytest.mark.parametrize(("plural", "others"), [("pictures", {"photos", "images"}), ("queries", {"queries"})])
def test_a_plural_stays_one(plural: str, others: set[str]) -> None:
    assert said(plural) == others


@pytest.mark.parametrize("text", ["", "zebra crossing", "PICTURE", "mispictured", "a of the"])
def test_what_nobody_calls_otherwise_stays(text: str) -> None:
    assert said(text) == {text}


def test_a_share_of_the_words_is_exchanged() -> None:
    assert said("picture " * 9, 0.0) == {"picture " * 9}
    counts = [text.count("picture") for text in said("picture " * 100, 0.5)]
    assert all(30 < count < 70 for count in counts)


def test_no_value_is_put_otherwise() -> None:
    note = Tool("note", "Adds a note about a member", {
        "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"],
    })  # fmt: skip
    for seed in range(80):
        made = say_tool(note, random.Random(seed), 1.0)
        assert made is not None
        assert made[1]["text"] in made[0]


def test_questions_say_other_words_only_where_that_is_asked_for() -> None:
    def asked(other_words: float) -> str:
        rows = questions_over(
            [BOOKS], str, 40, seed=1, origin=Origin("here", "MIT"), spoken=1.0, listed=1.0, other_words=other_words
        )
        return " ".join(row.question.lower() for row in rows if row.completion.startswith("{"))

    assert "photo" not in asked(0.0)
    assert "photo" in asked(1.0)
    assert "picture" in asked(1.0)
