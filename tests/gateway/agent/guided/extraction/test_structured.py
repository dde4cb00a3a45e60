"""Candidates of structured results: records, fields, lists whole."""

from __future__ import annotations

from typing import Any

import pytest

from portico_gateway.agent.guided.extraction.structured import MAX_COLUMN, structured, structured_value


def texts(value: Any) -> list[str]:
    return [candidate.text for candidate in structured(value)]


def test_a_record_is_one_line_and_a_list_of_values_stays_whole() -> None:
    assert "beds: name: south; plants: tomato, basil" in texts({"beds": [{"name": "south", "plants": ["tomato", "basil"]}]})


def test_a_field_is_told_with_what_its_record_is_called_by() -> None:
    found = texts({"people": [{"name": "Ada", "notes": ["Likes tea", "Has 3 cats"], "age": 36}]})
    assert {"Ada: Likes tea", "Ada: Has 3 cats", "Ada: age: 36"} <= set(found)


def test_what_records_have_in_common_is_a_list_where_it_is_short() -> None:
    assert "name: bikes, parts" in texts([{"name": "bikes"}, {"name": "parts"}])
    long = [{"name": "x" * MAX_COLUMN}, {"name": "y"}]
    assert not any("x" in text and "y" in text for text in texts(long))


def test_zero_one_and_nothing_are_told_apart() -> None:
    assert texts({"count": 0, "ok": True, "error": None})[0] == "count: 0; ok: true; error: none"


@pytest.mark.parametrize(
    ("text", "data", "value"),
    [
        ("", {"a": 1}, {"a": 1}),
        ('{"a": 1}', None, {"a": 1}),
        ('{"a": 1}', {"content": '{"a": 1}'}, {"a": 1}),
        ("[{'COUNT(*)': 24}]", None, [{"COUNT(*)": 24}]),
        ("[FILE] a.txt", {"content": "[FILE] a.txt"}, None),
        ("[x] done", None, None),
        ("3", None, None),
    ],
)
def test_a_value_is_the_structured_content_or_the_text_read(text: str, data: dict[str, Any] | None, value: Any) -> None:
    assert structured_value(text, data) == value


def test_a_value_that_nests_without_end_has_an_end() -> None:
    value: Any = "deep"
    for _ in range(500):
        value = {"inner": [value]}
    assert texts(value) == []


def test_a_small_object_of_objects_is_told_whole() -> None:
    value = {
        "source": {"zone": "Asia/Tokyo", "time": "12:00"},
        "target": {"zone": "Asia/Dubai", "time": "07:00"},
        "difference": "-5h",
    }
    whole = "source: zone Asia/Tokyo, time 12:00; target: zone Asia/Dubai, time 07:00; difference: -5h"
    assert next(iter(structured(value))).text == whole
