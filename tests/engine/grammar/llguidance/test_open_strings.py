"""Strings that are counted only when they near their bound: the masks and the bound are those of the exact grammar."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from tests.engine.grammar.schemas import empty_mask, factory, tokenizer

from portico_engine.grammar import compile_schema
from portico_engine.grammar.llguidance.matcher import LLGuidanceMatcher

TWO = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 300}, "b": {"type": "string"}},
    "required": ["a", "b"],
}


def pair(schema: object = TWO) -> tuple[LLGuidanceMatcher, LLGuidanceMatcher]:
    """A matcher that counts late, and one that counts from the start."""
    grammar = compile_schema(schema)
    assert grammar.open_strings is not None
    # a text of its own, so that the cache keeps both
    exact = replace(grammar, text=grammar.text + "\n", open_strings=None)
    return factory().matcher(grammar), factory().matcher(exact)


def bits(matcher: LLGuidanceMatcher) -> np.ndarray:
    bitmask = empty_mask()
    matcher.fill_bitmask(bitmask, 0)
    return bitmask[0].copy()


def feed(matchers: tuple[LLGuidanceMatcher, ...], text: str) -> None:
    for token in tokenizer().encode_bytes(text.encode()):
        taken = {matcher.accept_token(token) for matcher in matchers}
        assert taken == {True}, tokenizer().decode([token])


def same_from_here_on(late: LLGuidanceMatcher, exact: LLGuidanceMatcher, tokens: list[int]) -> None:
    for token in tokens:
        assert (bits(late) == bits(exact)).all()
        assert late.accept_token(token) == exact.accept_token(token)
    assert (bits(late) == bits(exact)).all()


@pytest.mark.parametrize("length", [10, 299, 300, 301, 320])
def test_the_bound_of_a_string_holds_to_the_character(length: int) -> None:
    late, exact = pair()
    text = '{"a":"' + "xy " * (length // 3) + "x" * (length % 3) + '","b":""}'
    tokens = tokenizer().encode_bytes(text.encode())
    accepted = [matcher.accept_token(token) for token in tokens for matcher in (late, exact)]
    assert accepted[::2] == accepted[1::2]
    assert all(accepted) is (length <= 300)


@pytest.mark.parametrize(
    "inside", ["plain words ", 'an \\"escaped\\" quote ', "a backslash \\\\ ", "\\\\\\\\\\\\", "é漢字 🎉 "]
)
def test_masks_are_the_exact_ones_up_to_the_bound(inside: str) -> None:
    late, exact = pair()
    same_from_here_on(late, exact, tokenizer().encode_bytes(('{"a":"' + inside * (360 // len(inside)))[:340].encode()))


def test_a_second_string_is_counted_from_its_own_quote() -> None:
    late, exact = pair()
    feed((late, exact), '{"a":"' + "k" * 250 + '","b":"' + "k" * 250)
    assert late.ll is not exact.ll
    same_from_here_on(late, exact, tokenizer().encode_bytes(b"k" * 270))


def test_rolling_back_over_a_quote_counts_the_string_again() -> None:
    late, exact = pair()
    feed((late, exact), '{"a":"' + "k" * 200)
    end = tokenizer().encode_bytes(b'","b":"')
    feed((late, exact), '","b":"')
    for matcher in (late, exact):
        matcher.rollback(len(end))
    same_from_here_on(late, exact, tokenizer().encode_bytes(b"k" * 110))


def test_a_clone_counts_on_by_itself() -> None:
    late, exact = pair()
    feed((late, exact), '{"a":"' + "k" * 150)
    copy, copy_exact = late.clone(), exact.clone()
    assert isinstance(copy, LLGuidanceMatcher)
    same_from_here_on(copy, copy_exact, tokenizer().encode_bytes(b"k" * 160))
    same_from_here_on(late, exact, tokenizer().encode_bytes(b'k","b":"z"}'))


def test_random_walks_stay_on_the_exact_masks() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string", "pattern": "a.c", "maxLength": 220}}
    rng = random.Random(3)
    late, exact = pair(schema)
    for _ in range(250):
        row = bits(late)
        assert (row == bits(exact)).all()
        allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little"))
        token = int(rng.choice(allowed))
        assert late.accept_token(token)
        assert exact.accept_token(token)
        if late.is_terminated():
            break


def test_where_counting_is_too_much_for_the_lexer_the_string_goes_on_uncounted() -> None:
    late, _ = pair()
    feed((late,), '{"a":"' + "k" * 250)

    class Failed:
        def is_error(self) -> bool:
            return True

        def is_stopped(self) -> bool:
            return False

        def unsafe_compute_mask_ptr(self, *_: object) -> None: ...

    late.ll = Failed()  # type: ignore[assignment]  # as after "too many expressions constructed"
    allowed = np.flatnonzero(np.unpackbits(bits(late).view(np.uint8), bitorder="little"))
    assert len(allowed) > 1000
    feed((late,), 'k","b":""}')
    assert late.is_terminated()
