"""Lexemes written in the forms that masks are quick for: the same texts, whatever the form."""

from __future__ import annotations

import random

import pytest

from portico_engine.grammar import ir
from portico_engine.grammar.llguidance.lexeme_forms import forms, opened
from portico_engine.grammar.regular.automata import matches
from portico_engine.grammar.regular.strings import ANY_SPELLED

QUOTE = ir.text('"')
ANY = ir.repeat(ANY_SPELLED)
SOME = ir.repeat(ANY_SPELLED, 0, 300)
AB = ir.alt(ir.text("a"), ir.seq(ir.text("b"), ir.repeat(ir.chars("c"), 1, None)))

DIFFERENCE = ir.seq(QUOTE, ir.And((SOME, ir.Not(ir.alt(ir.text("a"), ir.text("abc"))))), QUOTE)
UNANCHORED = ir.seq(QUOTE, ANY, AB, ANY, QUOTE)
ALTERNATIVES = ir.seq(QUOTE, ir.alt(ir.seq(ir.text("a"), ANY), ir.seq(ANY, ir.text("b"))), QUOTE)
NODES = {
    "a difference": DIFFERENCE,
    "an unanchored pattern": UNANCHORED,
    "one with a fixed beginning": ir.seq(ir.text('"b'), ANY, ir.text("a"), ir.repeat(ir.chars("abc"), 2, 3), QUOTE),
    "alternatives": ALTERNATIVES,
    "a plain word": ir.seq(QUOTE, ir.repeat(ir.chars("abc"), 1, 5), QUOTE),
    "an intersection": ir.seq(QUOTE, ir.And((ir.repeat(ANY_SPELLED, 0, 40), ir.seq(ANY, AB, ANY))), QUOTE),
}


def texts() -> list[str]:
    rng = random.Random(11)
    return ["", '"', "a", *(f'"{"".join(rng.choices("abcx", k=rng.randrange(7)))}"' for _ in range(400))]


@pytest.mark.parametrize("name", NODES)
def test_the_forms_of_a_lexeme_are_the_lexeme(name: str) -> None:
    node = NODES[name]
    made = forms(node)
    verdicts = {text: matches(node, text) for text in texts()}
    assert len(set(verdicts.values())) == 2, "texts of both kinds"
    for text, verdict in verdicts.items():
        assert any(matches(form, text) for form in made) is verdict, text


def test_a_difference_stands_on_top_with_its_quotes_inside() -> None:
    (form,) = forms(DIFFERENCE)
    assert isinstance(form, ir.And)
    assert form.parts[1] == ir.Not(ir.seq(QUOTE, ir.alt(ir.text("a"), ir.text("abc")), QUOTE))


def test_an_unanchored_pattern_gets_a_form_with_one_end() -> None:
    assert forms(UNANCHORED) == [UNANCHORED, ir.seq(QUOTE, ANY, ir.text('a"'))]


def test_alternatives_of_open_length_become_lexemes_of_their_own() -> None:
    assert forms(ALTERNATIVES) == [ir.seq(ir.text('"a'), ANY, QUOTE), ir.seq(QUOTE, ANY, ir.text('b"'))]


def test_a_words_alternatives_stay_one_lexeme() -> None:
    words = ir.seq(QUOTE, ir.alt(ir.text("a"), ir.text("b")), QUOTE)
    assert forms(words) == [words]


def test_opening_drops_high_counts_of_strings_and_tells_the_lowest() -> None:
    node = ir.seq(QUOTE, ir.repeat(ANY_SPELLED, 2, 400), ir.text("-"), SOME, ir.repeat(ir.chars("a"), 0, 20), QUOTE)
    open_, length = opened(node)
    assert length == 300
    assert open_ == ir.seq(QUOTE, ir.repeat(ANY_SPELLED, 2, None), ir.text("-"), ANY, ir.repeat(ir.chars("a"), 0, 20), QUOTE)


def test_what_a_difference_excludes_does_not_grow() -> None:
    (form,) = forms(ir.seq(QUOTE, ir.And((SOME, ir.Not(ir.repeat(ir.chars("a"), 0, 250)))), QUOTE))
    open_, length = opened(form)
    assert length == 300
    assert isinstance(open_, ir.And)
    assert open_.parts[1] == form.parts[1]  # type: ignore[union-attr]


@pytest.mark.parametrize("node", [ir.repeat(ir.chars("a"), 0, 999), ir.seq(QUOTE, ir.repeat(ANY_SPELLED, 0, 30), QUOTE)])
def test_short_strings_and_what_is_no_string_stay_counted(node: ir.Node) -> None:
    assert opened(node) == (node, None)
