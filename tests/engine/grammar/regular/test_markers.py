"""Free text around a marker, held against what Python's own search says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portico_engine.grammar.regular.automata import extension, matches
from portico_engine.grammar.regular.markers import up_to, without

MARKER = "<ab>"
TEXTS = st.text("<ab>x", max_size=14)


@given(TEXTS)
@example("<<ab<ab>")
@example("<a<ab><ab>")
@example("<ab")
def test_text_without_the_marker_is_every_text_that_does_not_hold_it(text: str) -> None:
    assert matches(without(MARKER), text) == (MARKER not in text)


@given(TEXTS)
@example("<<ab<ab>")
@example("<ab><ab>")
def test_text_up_to_the_marker_ends_at_its_first_place(text: str) -> None:
    expected = text.endswith(MARKER) and text.index(MARKER) == len(text) - len(MARKER)
    assert matches(up_to(MARKER), text) == expected
    assert matches(up_to(MARKER, 20), text) == expected


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_budget_counts_characters_of_plain_text(most: int) -> None:
    for size in range(6):
        assert matches(up_to(MARKER, most), "x" * size + MARKER) == (size <= most)


def test_nothing_goes_on_after_the_marker() -> None:
    assert extension(up_to("</think>"), up_to("</think>")) == ()
