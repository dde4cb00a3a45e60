"""A lexer that has met its limit: the request that it failed says so, and no other request suffers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.engine.grammar.schemas import allowed, empty_mask, factory, tokenizer

from portico_engine.grammar import compile_schema
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.llguidance import factory as llguidance_factory
from portico_engine.grammar.llguidance.factory import LLGuidanceFactory
from portico_engine.grammar.llguidance.matcher import LLGuidanceMatcher

# Names that one pattern wants, another forbids and a third has its own values for: states multiply.
CROSSED = {
    "type": "object",
    "required": ["abcd"],
    "allOf": [
        {"additionalProperties": {"type": "array", "minItems": 2}},
        {"patternProperties": {"a": {"type": "array", "items": {"multipleOf": 2.5, "minimum": 2}}}},
        {"not": {"patternProperties": {"b": {"type": "array", "items": {"multipleOf": 4, "minimum": 2}}}}},
        {"patternProperties": {"c": {"type": "array", "items": {"multipleOf": 7, "minimum": 2}}}},
    ],
}


@pytest.fixture(scope="module")
def grammar() -> CompiledGrammar:
    return compile_schema(CROSSED)


@contextmanager
def fuel(limit: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llguidance_factory, "_LEXER_FUEL", limit)
        yield


def run(made: LLGuidanceMatcher) -> str | None:
    """Say what begins an answer; the error that it met."""
    for token in tokenizer().encode_bytes(b'{"abcd":[7,4,9],"'):
        bitmask = empty_mask()
        made.fill_bitmask(bitmask, 0)
        if token not in allowed(bitmask):
            return made.error()
        assert made.accept_token(token)
    made.fill_bitmask(empty_mask(), 0)
    return made.error()


def test_an_answer_that_is_too_much_for_the_matcher_says_so_and_has_not_ended(grammar: CompiledGrammar) -> None:
    with fuel(1_000):
        made = LLGuidanceFactory(tokenizer()).matcher(grammar)
        error = run(made)
    assert error is not None
    assert error.startswith("the grammar is too much for the matcher: lexer error")
    assert not made.is_terminated()
    assert not made.accept_token(tokenizer().eos_token_id)
    assert made.forced_tokens() == []


def test_the_next_request_of_the_same_grammar_has_a_lexer_of_its_own(grammar: CompiledGrammar) -> None:
    matchers = LLGuidanceFactory(tokenizer())
    with fuel(1_000):
        assert run(matchers.matcher(grammar)) is not None
    assert run(matchers.matcher(grammar)) is None


def test_who_shared_the_lexer_goes_on_with_a_new_one(grammar: CompiledGrammar) -> None:
    matchers = LLGuidanceFactory(tokenizer(), replicas=1)
    with fuel(1_000):
        failed, other = matchers.matcher(grammar), matchers.matcher(grammar)
        assert run(failed) is not None
    copy = other.clone()
    assert run(other) is None
    assert run(copy) is None


def test_the_limit_leaves_room_for_names_under_several_patterns(grammar: CompiledGrammar) -> None:
    assert run(factory().matcher(grammar)) is None
