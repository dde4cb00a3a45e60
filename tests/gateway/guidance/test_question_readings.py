"""A server's reading of a question, as its JSON says it."""

from __future__ import annotations

import json

import pytest

from portico_gateway.guidance.question_readings import FoundPlace, FoundPlaces, QuestionReading, question_reading

WHOLE = {"arguments": {"ask": 1}, "schema": {"type": "object"}, "used": ["open", "issues"], "unused": ["purple"]}


def test_a_whole_reading_is_taken() -> None:
    reading = question_reading(json.dumps(WHOLE))
    assert isinstance(reading, QuestionReading)
    assert reading.arguments == {"ask": 1}
    assert reading.share == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "nothing", json.dumps({**WHOLE, "schema": 3}), '{"arguments": []}'])
def test_anything_else_is_none(text: str) -> None:
    assert question_reading(text) is None


def test_places_are_taken_with_what_each_has() -> None:
    places = [{"name": "a.py", "text": "def a"}, 3, {"text": "b"}, *({"name": str(n)} for n in range(99))]
    found = question_reading(json.dumps({"places": places}))
    assert isinstance(found, FoundPlaces)
    assert found.places[:2] == (FoundPlace("a.py", "def a"), FoundPlace("", "b"))
    assert len(found.places) == 7


def test_no_place_is_a_reading_too() -> None:
    assert question_reading('{"places": []}') == FoundPlaces(())
