"""Guesses from the text before: an answer is what it would have been, in fewer steps, with a grammar and without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_engine, run, tokens_of
from tests.engine.tiny_model import Q, write_tiny_llama

from portico_engine import Delta, Engine, Request, RequestError, SamplingParams, load_engine
from portico_engine.grammar import compile_gbnf
from portico_engine.speculation import PromptLookup


def test_what_followed_last_time_is_guessed() -> None:
    lookup = PromptLookup()
    assert lookup.propose([1, 2, 3, 4, 5, 9, 1, 2, 3], 4) == (4, 5, 9, 1)
    assert lookup.propose([1, 2, 3, 4, 5, 9, 1, 2, 3, 7], 4) == ()
    assert lookup.propose([1, 2, 3, 4, 5, 9, 1, 2, 3, 7, 2, 3], 2) == (7, 2)  # the later place of two
    assert PromptLookup().propose([8, 1, 2, 1, 2], 5) == (1, 2, 1, 2, 1)  # a circle goes on
    assert PromptLookup().propose([1], 4) == ()
    assert PromptLookup().propose([1, 2, 1, 2], 0) == ()


def test_guessing_that_doesn_t_pay_ends() -> None:
    lookup = PromptLookup()
    lookup.drafted, lookup.accepted = 40, 9
    assert lookup.propose([1, 2, 3, 1, 2], 2) == ()
    lookup.accepted = 10
    assert lookup.propose([1, 2, 3, 1, 2], 2) == (3, 1)


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 5))
def test_a_guess_is_what_stood_behind_the_same_tokens(tokens: list[int], most: int) -> None:
    guess = PromptLookup().propose(tokens, most)
    places = [end for end in range(2, len(tokens)) if tokens[end - 2 : end] == tokens[-2:]]
    assert not guess or any(guess == ((*tokens[end:], *guess))[:most] for end in places)


GREEDY = SamplingParams(temperature=0)


@settings(max_examples=60, deadline=None)
@given(
    prompts=st.lists(st.lists(st.integers(3, 8), min_size=1, max_size=30), min_size=1, max_size=4),
    blocks=st.integers(6, 32),
    most=st.integers(1, 8),
)
def test_any_answers_are_those_without_guesses(prompts: list[list[int]], blocks: int, most: int) -> None:
    """On a model that sees every key through the block table, remembers two tokens and has few words: it goes in circles."""
    found = []
    for speculation in (0, most):
        executor = FakeExecutor(vocab_size=9, memory=2, blocks=blocks)
        engine = fake_engine(executor, speculation=speculation)
        requests = [Request(f"r{i}", tuple(prompt), GREEDY, 30) for i, prompt in enumerate(prompts)]
        deltas = run(engine, requests)
        again = run(engine, [Request("again", (*prompts[0], *tokens_of(deltas["r0"])), GREEDY, 9)])  # over blocks of before
        found.append({name: tokens_of(each) for name, each in {**deltas, **again}.items()})
    assert found[0] == found[1]


def test_a_circle_takes_fewer_steps() -> None:
    steps = []
    for speculation in (0, 6):
        engine = fake_engine(FakeExecutor(vocab_size=9, memory=1), speculation=speculation)
        tokens = tokens_of(run(engine, [Request("a", (5, 6), GREEDY, 40)])["a"])
        assert len(tokens) == 40
        steps.append(engine.stats()["steps"])
    assert steps[1] < steps[0] / 3


def test_nobody_else_s_steps_are_made_longer_by_guesses() -> None:
    engine = fake_engine(FakeExecutor(vocab_size=9, memory=1), speculation=6)
    run(engine, [Request(name, (5, 6), GREEDY, 20, caller=name) for name in ("a", "b")])
    assert engine.stats()["drafted_tokens"] < 20  # only what the last of them has alone


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Engine]:
    """Without guesses, and with them."""
    path = write_tiny_llama(tmp_path_factory.mktemp("model") / "tiny.gguf", quantization=Q.F32)
    plain, guessing = (load_engine(path, executor="torch-cpu", context=256, speculation=n) for n in (0, 6))
    return plain, guessing


def answer(engine: Engine, prompt: tuple[int, ...], grammar: str | None, **more: object) -> list[Delta]:
    params = SamplingParams(**{"temperature": 0, **more})  # type: ignore[arg-type]
    request = Request("a", prompt, params, 40, grammar=compile_gbnf(grammar) if grammar else None)
    return list(engine.generate(request))


PROMPTS = [tuple(range(10, 40)) * 2, (5, 6, 7), (50, 51, 52) * 9, tuple(range(100, 160))]
GRAMMARS = [None, "root ::= [a-z ]*", 'root ::= ("ab" | "cd" | "hello world ")+', 'root ::= "x" ([0-9]{3} ",")* "end"']


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_a_real_model_s_answers_part_at_near_ties_alone_and_follow_the_grammar(
    engines: tuple[Engine, Engine], grammar: str | None
) -> None:
    """bfloat16 rounds steps of one token and of several otherwise."""
    plain, guessing = engines
    for prompt in PROMPTS:
        told = answer(plain, prompt, grammar, logprobs=2)
        expected, tops = tokens_of(told), [top for delta in told for top in delta.top_logprobs]
        found = tokens_of(answer(guessing, prompt, grammar))
        parting = next((i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), None)
        if parting is None:
            assert expected == found
        else:
            (_, best), (_, second) = tops[parting][:2]
            assert best - second < 0.15
    assert guessing.stats()["accepted_drafts"] > 0


def test_what_is_drawn_penalized_or_told_by_probability_is_not_guessed(engines: tuple[Engine, Engine]) -> None:
    _, guessing = engines
    drafted = guessing.stats()["drafted_tokens"]
    penalties: list[dict[str, object]] = [{"repetition_penalty": 1.2}, {"dry_multiplier": 1.0}, {"logit_bias": ((5, 1.0),)}]
    for more in [*penalties, {"logprobs": 1}, {"temperature": 1.0}, {"min_tokens": 40}]:
        answer(guessing, PROMPTS[2], None, **more)
    assert guessing.stats()["drafted_tokens"] == drafted


def test_more_guesses_than_a_step_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="speculation is 17; it must be from 0"):
        load_engine(write_tiny_llama(tmp_path / "tiny.gguf"), speculation=17)
