from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico_gateway.http.bodies.measure import JsonMeasure

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\{}[],:\n'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('k"\\[{', max_size=3), inner, max_size=4),
    max_leaves=30,
)


def in_pieces(text: bytes, size: int) -> tuple[int, int]:
    measure = JsonMeasure()
    for at in range(0, len(text), size):
        measure.feed(text[at : at + size])
    return measure.values, measure.deepest


def whole(text: bytes) -> tuple[int, int]:
    measure = JsonMeasure.of(text)
    return measure.values, measure.deepest


@given(VALUES, st.integers(1, 9))
def test_a_text_is_measured_alike_at_once_and_in_pieces(value: object, size: int) -> None:
    text = json.dumps(value).encode()
    assert whole(text) == in_pieces(text, size)


@given(st.text('a"{}[],', max_size=40))
def test_what_is_no_json_is_measured_alike(text: str) -> None:
    assert whole(text.encode()) == in_pieces(text.encode(), 1000)


@pytest.mark.parametrize(
    ("text", "values", "deepest"),
    [("1", 1, 0), ('{"a":[1,{"b":"[[["}]}', 5, 3), ('["\\"[", [[]]]', 5, 3), ('{"a": "', 2, 1), ("[" * 500, 501, 500)],
)
def test_values_and_depth(text: str, values: int, deepest: int) -> None:
    assert whole(text.encode()) == (values, deepest)
