"""A server's reading of a question, as its JSON says it."""

from __future__ import annotations

import json

import pytest

from portico_gateway.guidance.question_readings import question_reading

WHOLE = {"arguments": {"ask": 1}, "schema": {"type": "object"}, "used": ["open", "issues"], "unused": ["purple"]}


def test_a_whole_reading_is_taken() -> None:
    reading = question_reading(json.dumps(WHOLE))
    assert reading is not None
    assert reading.arguments == {"ask": 1}
    assert reading.share == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "nothing", json.dumps({**WHOLE, "schema": 3}), '{"arguments": []}'])
def test_anything_else_is_none(text: str) -> None:
    assert question_reading(text) is None
