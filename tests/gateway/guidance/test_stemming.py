from __future__ import annotations

from portico_gateway.guidance.stemming import content_words, stems_of


def test_singular_and_plural_noun_and_verb_have_one_stem() -> None:
    assert stems_of("fines") == stems_of("fine")
    assert stems_of("prices") == stems_of("price") == stems_of("priced")
    assert stems_of("BirthDate") == stems_of("birth dates")


def test_identifiers_and_prose_share_their_words() -> None:
    assert content_words("fill_bitmask") == content_words("fillBitmask")
    assert set(content_words("Which appointments were cancelled?")) == set(content_words("cancelled appointment"))
