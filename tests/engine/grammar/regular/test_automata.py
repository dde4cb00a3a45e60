"""Automata of regular nodes, held against the slow recognizer on every short string."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.grammar.oracle import recognizes

from portico_engine.grammar import ir
from portico_engine.grammar.regular import automata

ALPHABET = "abc"
STRINGS = ["".join(letters) for size in range(5) for letters in itertools.product(ALPHABET, repeat=size)]


def _extend(inner: st.SearchStrategy[ir.Node]) -> st.SearchStrategy[ir.Node]:
    bounds = st.tuples(st.integers(0, 2), st.sampled_from([None, 0, 1, 2]))
    return st.one_of(
        st.builds(lambda parts: ir.seq(*parts), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: ir.alt(*parts), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda item, b: ir.repeat(item, b[0], None if b[1] is None else b[0] + b[1]), inner, bounds),
        st.builds(lambda a, b: ir.And((a, b)), inner, inner),
        st.builds(ir.Not, inner),
    )


LEAVES = st.one_of(
    st.sampled_from([ir.EMPTY, ir.NEVER]),
    st.text(ALPHABET, min_size=1, max_size=2).map(ir.Text),
    st.sets(st.sampled_from(ALPHABET), min_size=1, max_size=3).map(lambda letters: ir.chars("".join(letters))),
)
NODES: st.SearchStrategy[ir.Node] = st.recursive(LEAVES, _extend, max_leaves=6)


def language(node: ir.Node) -> set[str]:
    return {text for text in STRINGS if recognizes(ir.Grammar({"root": node}), text)}


@settings(max_examples=80, deadline=None)
@given(NODES)
def test_derivatives_and_their_dfa_match_what_the_node_matches(node: ir.Node) -> None:
    expected = language(node)
    assert {text for text in STRINGS if automata.matches(node, text)} == expected
    dfa = automata.determinize(node, 5000)
    assert dfa is not None
    assert {text for text in STRINGS if dfa.accepts(text)} == expected
    assert automata.is_empty(node) == (not dfa.transitions)
    assert automata.nullable(node) == ("" in expected)


@settings(max_examples=50, deadline=None)
@given(NODES)
def test_a_loose_node_matches_at_least_as_much(node: ir.Node) -> None:
    assert language(node) <= {text for text in STRINGS if automata.matches(automata.loose(node), text)}


@settings(max_examples=50, deadline=None)
@given(NODES, NODES)
def test_extension_finds_every_character_that_goes_on_in_b_after_a_match_of_a(a: ir.Node, b: ir.Node) -> None:
    in_a, in_b = language(a), language(b)
    found = automata.extension(a, b)
    for c in ALPHABET:
        if any(text and any(other.startswith(text + c) for other in in_b) for text in in_a):
            assert any(low <= ord(c) <= high for low, high in found)
    if (in_a & in_b) - {""}:
        assert automata.overlap(a, b)


def test_a_counted_string_under_a_pattern_has_an_exact_automaton() -> None:
    letters = ir.repeat(ir.chars("abc"), 2, 3)
    no_bb = ir.Not(ir.seq(ir.ANY_TEXT, ir.text("bb"), ir.ANY_TEXT))
    dfa = automata.determinize(ir.And((letters, no_bb)), 100)
    assert dfa is not None
    assert {text for text in STRINGS if dfa.accepts(text)} == {t for t in STRINGS if 2 <= len(t) <= 3 and "bb" not in t}


def test_too_many_states_are_told_and_not_waited_for() -> None:
    anything = ir.chars((0, ir.MAX_CODE_POINT))
    blowup = ir.seq(ir.repeat(anything), ir.text("a"), ir.repeat(anything, 16, 16))  # its DFA has 2 ** 17 states
    assert automata.determinize(blowup, 1000) is None
    with pytest.raises(automata.TooManyStates):
        automata.extension(blowup, blowup, 1000)


def test_a_complement_is_over_characters_and_holds_no_surrogates() -> None:
    everything_else = automata.first(ir.Not(ir.seq(ir.chars("a"), ir.ANY_TEXT)))
    assert everything_else == ((0, 0x60), (0x62, 0xD7FF), (0xE000, 0x10FFFF))
