"""What is read as a lazy lexeme is known by its form."""

from __future__ import annotations

from portico_engine.grammar.llguidance.lazy_lexemes import as_up_to
from portico_engine.grammar.regular.markers import up_to, without

MARKER = "<ab>"


def test_text_up_to_a_marker_is_known_again() -> None:
    assert as_up_to(up_to(MARKER, 7)) == (7, MARKER)
    assert as_up_to(up_to(MARKER)) == (None, MARKER)
    assert as_up_to(without(MARKER)) is None
