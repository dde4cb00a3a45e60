"""No answer under a grammar is cut: whatever a model picks, and whatever its budget (the shortest call's or more), it ends
valid."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.engine.grammar.schemas import allowed, empty_mask, factory, tokenizer

from portico_engine.errors import Unsatisfiable
from portico_engine.grammar import compile_gbnf, compile_schema
from portico_engine.grammar.check import check_arguments
from portico_engine.grammar.closing import closing_plan, derivatives
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.protocol import Prepared
from portico_engine.grammar.work_slice import SLICE, WorkSlice

Pick = Callable[[np.ndarray], int]


@cache
def lengths() -> np.ndarray:
    return np.array([len(data) for data in tokenizer().token_bytes])


@cache
def openers() -> np.ndarray:
    return np.array([sum(byte in b'{[",:\\' for byte in data) * 100 + len(data) for data in tokenizer().token_bytes])


NESTED = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    "minProperties": 1,
}


def picks(seed: int) -> list[Pick]:
    """Adversaries: at random, the longest token, the token that opens most, never the end."""
    random = np.random.default_rng(seed)
    return [
        lambda ids: int(random.choice(ids)),
        lambda ids: int(ids[np.argmax(lengths()[ids])]),
        lambda ids: int(ids[np.argmax(openers()[ids] + random.random(len(ids)))]),
        lambda ids: int(random.choice(kept if len(kept := ids[~np.isin(ids, list(tokenizer().end_token_ids))]) else ids)),
    ]


def generate(
    grammar: CompiledGrammar,
    budget: int,
    pick: Pick,
    *,
    force: bool,
    prepare: Callable[[Any, Prepared, int], None] | None = None,
) -> tuple[str, bool]:
    """The text that an engine would make, and whether it came to its end. `prepare` finds things out beforehand."""
    matcher, tokens, bitmask = factory().matcher(grammar), [], empty_mask()
    while not matcher.is_terminated() and len(tokens) < budget:
        if prepare is not None:
            prepare(matcher, "run", budget - len(tokens))
        run = matcher.forced_tokens(budget - len(tokens)) if force else []
        if not run:
            if prepare is not None:
                prepare(matcher, "mask", budget - len(tokens))
            matcher.fill_bitmask(bitmask, 0, budget - len(tokens))
            ids = allowed(bitmask)
            assert len(ids), (tokenizer().decode(tokens), budget - len(tokens))
            run = [pick(ids)]
        for token in run:
            assert matcher.accept_token(token)
            tokens.append(token)
    return tokenizer().decode(tokens), matcher.is_terminated()


def scalar() -> st.SearchStrategy[Any]:
    sizes = st.integers(0, 12)
    return st.one_of(
        st.just({"type": "string"}),
        st.builds(lambda n: {"type": "string", "minLength": n * 3}, sizes),
        st.sampled_from(
            [{"type": "string", "pattern": p} for p in ("^(ab[0-9]{3})+$", "^[A-Z]{5,}-x$", "é", r"^(?!aa)\w{4,20}$")]
        ),
        st.sampled_from([{"type": "string", "format": f} for f in ("date-time", "email", "uuid", "ipv6", "uri")]),
        st.builds(lambda n: {"type": "integer", "minimum": 10**n}, sizes),
        st.sampled_from(
            [{"type": "number"}, {"type": "integer", "multipleOf": 7}, {"type": "boolean"}, {}, {"enum": ["日本語", "x"]}]
        ),
    )


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "name", "description", "日本", "x_1", "count"])

    def object_schema(properties: dict[str, Any], required: list[str]) -> Any:
        return {"type": "object", "properties": properties, "required": [name for name in required if name in properties]}

    return st.one_of(
        st.builds(object_schema, st.dictionaries(names, inner, max_size=4), st.lists(names, max_size=4, unique=True)),
        st.builds(lambda item, n: {"type": "array", "items": item, "minItems": n}, inner, st.integers(0, 3)),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
        st.builds(lambda item: {"type": "object", "additionalProperties": item, "minProperties": 1}, inner),
    )


SCHEMAS = st.recursive(scalar(), compound, max_leaves=6)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@example(schema=NESTED, more=0, seed=0, who=0, force=False)  # llguidance spells forced text in more tokens than the plan
@example(schema=NESTED, more=5, seed=2, who=0, force=False)
@given(
    schema=SCHEMAS,
    more=st.sampled_from([0, 1, 2, 5, 17, 60]),
    seed=st.integers(0, 1000),
    who=st.integers(0, 3),
    force=st.booleans(),
)
def test_every_budget_that_holds_the_shortest_text_ends_valid(schema: Any, more: int, seed: int, who: int, force: bool) -> None:
    try:
        grammar = compile_schema(schema)
    except Unsatisfiable:
        return
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    assert shortest is not None
    text, ended = generate(grammar, len(shortest) + more, picks(seed)[who], force=force)
    assert ended or factory().matcher(grammar).closing_tokens(0) is not None or _complete(schema, text)
    assert check_arguments(schema, json.loads(text)) == []


def _complete(schema: Any, text: str) -> bool:
    """A number may end where the budget does: its end token is the last one."""
    return not check_arguments(schema, json.loads(text))


NEEDY = {
    "type": "object",
    "properties": {name: {"type": "string", "minLength": 40} for name in ("first", "second", "third")} | {"free": {}},
    "required": ["first", "second", "third"],
}


@pytest.mark.parametrize("who", range(4))
def test_long_required_parts_are_closed_from_anywhere(who: int) -> None:
    grammar = compile_schema(NEEDY)
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    assert shortest is not None
    for more in (0, 1, 9, 23):
        text, ended = generate(grammar, len(shortest) + more, picks(more)[who], force=True)
        assert ended
        assert check_arguments(NEEDY, json.loads(text)) == []


def test_the_shortest_text_is_itself_accepted_and_ends() -> None:
    matcher = factory().matcher(compile_schema(NEEDY))
    for token in matcher.closing_tokens(10_000) or []:
        assert matcher.accept_token(token)
    assert matcher.is_terminated()


def test_less_than_the_shortest_text_has_no_closing() -> None:
    matcher = factory().matcher(compile_schema(NEEDY))
    shortest = matcher.closing_tokens(10_000)
    assert shortest is not None
    assert matcher.closing_tokens(len(shortest) - 1) is None


def test_closing_shrinks_to_the_part_that_is_left_and_survives_rollback() -> None:
    matcher = factory().matcher(compile_schema({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}))
    whole = matcher.closing_tokens(100)
    written = tokenizer().encode_bytes(b'{"a":"hello')
    for token in written:
        assert matcher.accept_token(token)
    rest = matcher.closing_tokens(100)
    assert rest is not None
    assert tokenizer().decode(rest) == '"}'
    matcher.rollback(len(written))
    assert matcher.closing_tokens(100) == whole


def test_a_budget_that_is_plentiful_restricts_nothing() -> None:
    grammar = compile_schema(NEEDY)
    matcher = factory().matcher(grammar)
    free, bounded = empty_mask(), empty_mask()
    for token in tokenizer().encode_bytes(b'{"first":"'):
        assert matcher.accept_token(token)
    matcher.fill_bitmask(free, 0)
    matcher.fill_bitmask(bounded, 0, 100_000)
    assert np.array_equal(free, bounded)


def test_a_recursive_grammar_without_bounds_is_closed_as_well() -> None:
    schema = {
        "$ref": "#/$defs/t",
        "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}, "minItems": 1, "maxItems": 3}, "u": {}},
    }
    schema["$defs"]["t"] = {"anyOf": [{"type": "null"}, schema["$defs"]["t"]]}  # type: ignore[index]
    grammar = compile_schema(schema, bounds=None)
    for who, pick in enumerate(picks(3)):
        text, ended = generate(grammar, 20 + who, pick, force=True)
        assert ended
        assert check_arguments(schema, json.loads(text)) == []


@pytest.mark.parametrize("who", range(4))
def test_a_grammar_that_is_dear_to_derive_is_closed_along_the_plan(who: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derivatives, "MOST_WORK", 0)
    schema = {"type": "object", "properties": {"id": {"type": "string", "pattern": "[a-z0-9_-]{40}|x"}}, "required": ["id"]}
    grammar = compile_schema(schema)
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    assert shortest is not None
    for more in (0, 7, 30):
        text, ended = generate(grammar, len(shortest) + more, picks(who)[who], force=True)
        assert ended
        assert not check_arguments(schema, json.loads(text))


def test_counting_to_hundreds_in_an_unanchored_pattern_does_not_hang() -> None:
    grammar = compile_schema({"type": "string", "pattern": "[a-z0-9_-]{162}"})
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    assert shortest is not None
    began = time.thread_time()
    text, ended = generate(grammar, len(shortest) + 20, picks(0)[0], force=True)
    assert ended
    assert len(json.loads(text)) >= 162
    assert time.thread_time() - began < 30  # without a limit on its work: minutes


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "[a-z0-9_-]{90}"},
        {"type": "object", "patternProperties": {"^a": {"type": "string", "pattern": "^(ab|ba){9,40}c$"}}, "minProperties": 2},
        {"type": "string", "pattern": "^(?!.*aa)(?!.*bb)[ab]{30,60}$"},
    ],
)
def test_the_same_request_ends_alike_whatever_ran_before_it_and_however_slow_the_machine(
    schema: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step may find out is counted, not timed; what others have found out costs the same."""
    grammar = compile_schema(schema)
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    assert shortest is not None
    first = generate(grammar, len(shortest) + 12, picks(1)[0], force=True)
    for who in range(3):
        generate(grammar, len(shortest) + 20 * who, picks(who)[who], force=True)
    monkeypatch.setattr(time, "thread_time", lambda: 1e9 * time.perf_counter())
    assert generate(grammar, len(shortest) + 12, picks(1)[0], force=True) == first
    assert first[1]


DEAR = [
    {"type": "string", "pattern": "[a-z0-9_-]{40}"},
    {"type": "object", "patternProperties": {"^a": {"type": "string", "pattern": "^(ab|ba){9,40}c$"}}, "minProperties": 2},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 30, "maxProperties": 200_000},
]


@pytest.mark.parametrize("schema", DEAR)
def test_what_is_found_out_in_slices_is_what_is_found_out_at_once(schema: Any) -> None:
    """A slice is counted: what one takes is bounded, however much a mask asks for, and it goes on where the last one ended."""
    most = 0

    def in_slices(matcher: Any, what: Prepared, remaining: int) -> None:
        nonlocal most
        for _ in range(2_000):
            share = WorkSlice(300)
            done = matcher.prepare(what, remaining, share)
            most = max(most, 300 - share.left)
            if done:
                return
        raise AssertionError("it never ends")

    texts = []
    for prepare in (None, in_slices):
        grammar = compile_schema(schema)
        compiled = replace(grammar, text=grammar.text + "\n" * (prepare is not None))  # another digest: nothing is known of it
        shortest = factory().matcher(compiled).closing_tokens(10_000)
        assert shortest is not None
        texts.append(generate(compiled, len(shortest) + 12, picks(1)[0], force=True, prepare=prepare))
    assert texts[0] == texts[1]
    assert texts[0][1]
    assert most < 300 + 2 * SLICE  # what can't be cut is done as a whole


def test_a_slice_that_is_used_up_costs_nothing_more_until_the_next() -> None:
    grammar = compile_schema(DEAR[0])
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    assert shortest is not None
    matcher = factory().matcher(grammar)
    spent = WorkSlice(0)
    assert not matcher.prepare("mask", len(shortest) + 1, spent)
    assert spent.left == 0
    assert matcher.prepare("mask", 1_000_000, spent), "a budget that is large asks nothing"


def test_names_under_many_patterns_at_once_do_not_hang() -> None:
    patterns = ("a5b", "(^[^5]*$)|7", "(^[^7]*$)|9", r"^(\w\w\d)+$")
    names = [{"propertyNames": {"pattern": pattern}} for pattern in patterns]
    schema = {"type": "object", "allOf": [*names, {"minProperties": 1, "maxProperties": 1}]}
    grammar = compile_schema(schema)
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    assert shortest is not None
    began = time.thread_time()
    text, ended = generate(grammar, len(shortest) + 10, picks(0)[0], force=True)
    assert ended
    assert not check_arguments(schema, json.loads(text))
    assert time.thread_time() - began < 30  # a search for each state on the way: minutes


def test_many_rules_one_in_the_next_are_closed_within_their_budget() -> None:
    levels = {
        f"d{i}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/d{i + 1}"}, "b": {}}, "required": ["a"]}
        for i in range(60)
    }
    deep = {"$ref": "#/$defs/d0", "$defs": {**levels, "d60": {"type": "integer"}}}
    wide = {"type": "object", "properties": {f"p{i}": {"type": "boolean"} for i in range(700)}, "minProperties": 1}
    for schema in (deep, wide):
        grammar = compile_schema(schema)
        matcher = factory().matcher(grammar)
        shortest = matcher.closing_tokens(10_000)
        assert shortest is not None
        assert matcher.compiled.planner is not None
        assert matcher.compiled.planner.sufficient_budget < closing_plan.NO_BOUND
        for more in (0, 5, 30):
            text, ended = generate(grammar, len(shortest) + more, picks(0)[0], force=True)
            assert ended
            assert not check_arguments(schema, json.loads(text))


def test_an_object_of_hundreds_of_optional_properties_takes_the_last_after_the_first() -> None:
    properties = {f"p{i}": {"type": "boolean"} for i in range(1000)}
    matcher = factory().matcher(compile_schema({"type": "object", "properties": properties}))
    for text in ('{"p0":true,', '"p998":false,', '"p999":true}'):
        assert all(map(matcher.accept_token, factory().vocabulary.encode_bytes(text.encode()))), text
    assert matcher.is_accepting()


def test_rules_that_may_all_be_empty_cost_no_more_than_a_masks_share() -> None:
    """What a text of this grammar begins with is one letter, followed by any of 2^40 rests: a slice that is used up amid of
    them is gone on with in the next one."""
    rules = "".join(f"a{i} ::= a{i + 1} a{i + 1} | a{i + 1}\n" for i in range(40))
    grammar = compile_gbnf(f'root ::= a0\n{rules}a40 ::= "x" | ""\n')
    matcher = factory().matcher(grammar)
    shares, longest, share = 0, 0, WorkSlice()
    while not matcher.prepare("mask", 2, share):
        shares, longest, share = shares + 1, max(longest, SLICE - share.left), WorkSlice()
        assert shares < 200
    assert longest < 1.1 * SLICE
    assert matcher.prepared_mask(2) is not None
