"""The matcher: accepting, masks, forced runs as the model writes them, rollback, copies, caches, and parallel filling."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.grammar.schemas import allowed, empty_mask, factory, tokenizer

from portico_engine.errors import GrammarError
from portico_engine.grammar import compile_schema
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.llguidance.factory import LLGuidanceFactory
from portico_engine.grammar.llguidance.matcher import LLGuidanceMatcher
from portico_engine.grammar.work_slice import WorkSlice

WEATHER = {
    "type": "object",
    "properties": {"location": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["location", "unit"],
}


def start(schema: object = WEATHER) -> LLGuidanceMatcher:
    return factory().matcher(compile_schema(schema))


def feed(matcher: LLGuidanceMatcher, text: str) -> None:
    for token in tokenizer().encode_bytes(text.encode()):
        assert matcher.accept_token(token), (text, tokenizer().decode([token]))


def mask(matcher: LLGuidanceMatcher, remaining: int | None = None) -> set[str]:
    bitmask = empty_mask()
    matcher.fill_bitmask(bitmask, 0, remaining)
    return {tokenizer().decode([token]) for token in allowed(bitmask).tolist()}


def test_a_refused_token_changes_nothing() -> None:
    matcher = start()
    before = mask(matcher)
    assert not matcher.accept_token(tokenizer().encode("[")[0])
    assert not matcher.accept_token(10**6)
    assert not matcher.accept_token(tokenizer().eos_token_id)
    assert mask(matcher) == before


@pytest.mark.parametrize("text", ['{"location":"x","unit":"celsius"}', '{"location":"x","unit":"c3"}', '{"location"="'])
def test_tokens_at_once_are_accepted_as_one_by_one(text: str) -> None:
    tokens = tokenizer().encode_bytes(text.encode())
    alone, together = start(), start()
    n_accepted = next((n for n, token in enumerate(tokens) if not alone.accept_token(token)), len(tokens))
    assert together.accept_tokens(tokens) == n_accepted
    assert together.is_terminated() == alone.is_terminated()
    assert mask(together) == mask(alone)
    assert together.accept_tokens([tokenizer().eos_token_id]) == alone.accept_token(tokenizer().eos_token_id)


def test_the_mask_allows_exactly_what_is_accepted() -> None:
    matcher = start()
    feed(matcher, '{"location":"x","unit":"')
    bitmask = empty_mask()
    matcher.fill_bitmask(bitmask, 0)
    ids = set(allowed(bitmask).tolist())
    assert ids == {token for token in range(tokenizer().vocab_size) if matcher.clone().accept_token(token)}
    assert ids


def test_a_finished_text_is_terminated_and_allows_only_the_end() -> None:
    matcher = start()
    feed(matcher, '{"location":"x","unit":"celsius"}')
    assert matcher.is_accepting()
    assert matcher.is_terminated()
    bitmask = empty_mask()
    matcher.fill_bitmask(bitmask, 0, 5)
    assert set(allowed(bitmask).tolist()) == set(tokenizer().end_token_ids)
    assert matcher.forced_tokens() == []
    assert matcher.accept_token(tokenizer().eos_token_id)
    assert not matcher.accept_token(tokenizer().eos_token_id)


def test_a_text_that_could_go_on_ends_by_the_end_token() -> None:
    matcher = start({"type": "integer"})
    feed(matcher, "12")
    assert matcher.is_accepting()
    assert not matcher.is_terminated()
    assert matcher.accept_token(tokenizer().eos_token_id)
    assert matcher.is_terminated()
    matcher.rollback(1)
    assert not matcher.is_terminated()
    feed(matcher, "3")


def test_rollback_and_clone_keep_states_apart() -> None:
    matcher = start()
    feed(matcher, '{"location":"Par')
    copy = matcher.clone()
    feed(copy, 'is","unit":"celsius"}')
    assert copy.is_terminated()
    assert not matcher.is_terminated()
    taken = len(tokenizer().encode_bytes(b'is","unit":"celsius"}'))
    copy.rollback(taken)
    assert mask(copy) == mask(matcher)


@pytest.mark.parametrize(
    "text",
    [
        '{"location":"Paris","unit":"celsius"}',
        '{"location":"","unit":"fahrenheit"}',
        '{"location":"São Tomé 日本","unit":"celsius"}',
    ],
)
def test_forced_runs_and_sampled_tokens_together_are_the_model_s_own_tokenization(text: str) -> None:
    """A model that writes canonically gets canonical text, whatever was forced in between."""
    canonical = tokenizer().encode_bytes(text.encode())
    matcher, written, sampled = start(), [], 0
    while not matcher.is_terminated():
        run = matcher.forced_tokens()
        if not run:
            run, sampled = [canonical[len(written)]], sampled + 1
        for token in run:
            assert matcher.accept_token(token)
            written.append(token)
    assert written == canonical
    assert sampled < len(canonical) - 4


def test_nothing_is_forced_where_the_model_would_have_merged_with_the_last_token() -> None:
    matcher = start({"const": "location"})
    quote = tokenizer().encode_bytes(b'"')
    assert len(quote) == 1
    assert matcher.accept_token(quote[0])
    whole = tokenizer().encode_bytes(b'"location"')
    for token in matcher.forced_tokens():
        matcher.accept_token(token)
    if whole[0] != quote[0]:  # the model writes the quote and the word as one token: it was not split for it
        assert matcher.forced_tokens() == []


def test_a_run_is_no_longer_than_the_budget() -> None:
    assert len(start().forced_tokens(100)) > 1
    matcher = start({"const": "a rather long text that is forced from its beginning to its end"})
    assert len(matcher.forced_tokens(3)) <= 3


def test_a_forced_run_is_found_once_for_all_who_come_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    canonical = LLGuidanceMatcher._canonical

    def finding(matcher: LLGuidanceMatcher, forced: bytes) -> list[int]:
        found.append(len(forced))
        return canonical(matcher, forced)

    monkeypatch.setattr(LLGuidanceMatcher, "_canonical", finding)
    made = LLGuidanceFactory(tokenizer())
    grammar = compile_schema(WEATHER)
    runs = []
    for _ in range(3):
        matcher = made.matcher(grammar)
        runs.append(matcher.forced_tokens(99))
        assert matcher.accept_tokens(runs[-1]) == len(runs[-1]) > 1
        feed(matcher, '":"x",')
        runs.append(matcher.forced_tokens(99))
    assert runs[:2] == runs[2:4] == runs[4:]
    assert len(found) == 2


def test_a_budget_that_only_nears_where_it_is_tight_has_no_mask_of_its_own() -> None:
    matcher = start({"enum": ["one thing", "another"]})
    planner = matcher.compiled.planner
    assert planner is not None
    for above, alone in ((1, False), (0, True)):
        remaining = planner.sufficient_budget + above
        assert matcher.prepare("run", remaining, WorkSlice())
        assert matcher.prepare("mask", remaining, WorkSlice())
        assert (matcher.prepared_mask(remaining) is not None) == alone


def test_masks_are_filled_for_many_rows_on_threads_as_one_by_one() -> None:
    matchers = [start() for _ in range(6)]
    for matcher, text in zip(
        matchers, ["", "{", '{"location":"', '{"location":"a', '{"location":"a",', '{"location":"a","unit":"'], strict=True
    ):
        feed(matcher, text)
    together, alone = empty_mask(7), empty_mask(7)
    together[0] = alone[0] = -1
    factory().fill_bitmasks(together, [(i + 1, m, 64) for i, m in enumerate(matchers)], threads=2)
    for i, matcher in enumerate(matchers):
        matcher.fill_bitmask(alone, i + 1, 64)
    assert np.array_equal(together, alone)


def test_a_grammar_is_compiled_once_and_the_cache_keeps_to_its_bound() -> None:
    small = LLGuidanceFactory(tokenizer(), cache_bytes=250_000)
    first = compile_schema({"type": "integer"})
    one, two = small.matcher(first), small.matcher(compile_schema({"type": "integer"}))
    assert one.compiled is two.compiled
    for high in range(1, 6):
        small.matcher(compile_schema({"type": "integer", "minimum": 0, "maximum": high}))
    assert small.cache.bytes <= 250_000
    assert small.matcher(first).compiled is not one.compiled


def test_what_following_a_grammar_has_come_to_hold_counts_too() -> None:
    matchers = LLGuidanceFactory(tokenizer())
    grammar = compile_schema(WEATHER)
    made = matchers.matcher(grammar)
    before = matchers.cache.bytes
    feed(made, '{"location":"somewhere')
    assert made.closing_tokens(100)
    matchers.matcher(grammar)
    assert matchers.cache.bytes > before + 64 * 129 * 4  # the smallest table of states


def test_a_text_that_is_no_grammar_is_an_error_of_one_line() -> None:
    with pytest.raises(GrammarError) as caught:
        factory().matcher(CompiledGrammar("start: nowhere"))
    assert "\n" not in str(caught.value)


def test_matchers_of_one_grammar_that_are_in_use_at_once_get_lanes_of_their_own() -> None:
    two = LLGuidanceFactory(tokenizer(), replicas=2)
    grammar = compile_schema(WEATHER)
    kept = [two.matcher(grammar)]
    one_replica = two.cache.bytes
    kept.append(two.matcher(grammar))
    assert two.cache.bytes == 2 * one_replica
    kept.append(two.matcher(grammar))
    assert two.cache.bytes == 2 * one_replica, "no more replicas than asked for"
    assert len({tuple(mask(matcher)) for matcher in kept}) == 1


def test_a_matcher_that_is_done_leaves_its_lane_to_the_next() -> None:
    two = LLGuidanceFactory(tokenizer(), replicas=2)
    grammar = compile_schema(WEATHER)
    matcher = two.matcher(grammar)
    one_replica = two.cache.bytes
    del matcher
    kept = two.matcher(grammar)
    assert two.cache.bytes == one_replica
    assert mask(kept)


def test_a_lane_that_the_cache_has_no_room_for_is_not_made() -> None:
    grammar = compile_schema(WEATHER)
    measured = LLGuidanceFactory(tokenizer(), replicas=1)
    measured.matcher(grammar)
    tight = LLGuidanceFactory(tokenizer(), replicas=2, cache_bytes=measured.cache.bytes * 3 // 2)
    kept = [tight.matcher(grammar), tight.matcher(grammar)]
    assert tight.cache.bytes == measured.cache.bytes
    assert len(kept) == 2
