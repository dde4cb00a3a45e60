"""Models with states on llama.cpp, through the engine, against llama.cpp run straight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llama_cpp")

from tests.engine.fakes import run, tokens_of
from tests.engine.tiny_recurrent import write_tiny_lfm2, write_tiny_mamba

from portico_engine import Engine, FinishReason, Request, SamplingParams, load_engine
from portico_engine.executors.llama_cpp.executor import DEFAULT_ATTENTION, LlamaCppExecutor
from portico_engine.executors.llama_cpp.library import LlamaContext, LlamaModel
from portico_engine.executors.protocol import Sizes
from portico_engine.plan import Copy, Drop, Row, StepPlan

PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, 37))
WRITERS = {"mamba": write_tiny_mamba, "lfm2": write_tiny_lfm2}


@pytest.fixture(params=sorted(WRITERS))
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / "tiny.gguf")


@pytest.fixture
def straight(path: Path) -> Iterator[Callable[[tuple[int, ...]], np.ndarray]]:
    """All logits of a text, read in one batch by a context of its own."""
    model = LlamaModel(path, lambda _: None)
    context = LlamaContext(model, 512, 1, DEFAULT_ATTENTION)

    def read(tokens: tuple[int, ...]) -> np.ndarray:
        context.seq_rm(0, 0, -1)
        return context.decode(tokens, range(len(tokens)), [0] * len(tokens), [True] * len(tokens))

    yield read
    context.close()
    model.close()


@pytest.fixture
def executor(path: Path) -> Iterator[LlamaCppExecutor]:
    made = LlamaCppExecutor.load(path, Sizes(128, 512, max_rows=4))
    yield made
    made.close()


def scored(tokens: tuple[int, ...], start: int, table: tuple[int, ...], slot: int = 0) -> Row:
    return Row(slot, tokens, start, table, logits_indices=tuple(range(len(tokens))), targets=tokens)


Straight = Callable[[tuple[int, ...]], np.ndarray]


def test_it_says_that_nothing_of_it_can_be_cut(executor: LlamaCppExecutor) -> None:
    assert executor.caps.cut == "whole"
    assert executor.caps.states == 64
    assert executor.caps.block_bytes == 0


def test_rows_in_pieces_and_among_others_say_what_llama_cpp_says_straight(
    executor: LlamaCppExecutor, straight: Straight
) -> None:
    other = PROMPT[::-1]
    first = executor.submit(StepPlan((scored(PROMPT[:20], 0, (0, 1)), scored(other[:9], 0, (7,), 1)))).logits
    second = executor.submit(StepPlan((scored(other[9:], 9, (7, 5, 6), 1), scored(PROMPT[20:], 20, (0, 1, 2))))).logits
    np.testing.assert_allclose(np.concatenate([first[:20], second[28:]]), straight(PROMPT), atol=2e-3, rtol=2e-3)
    np.testing.assert_allclose(np.concatenate([first[20:], second[:28]]), straight(other), atol=2e-3, rtol=2e-3)


def test_a_copied_state_goes_on_like_the_original_and_leaves_it_as_it_is(
    executor: LlamaCppExecutor, straight: Straight
) -> None:
    expected = straight(PROMPT)[20:]
    executor.submit(StepPlan((Row(0, PROMPT[:20], 0, (0, 1)),)))
    copies = (Copy(1, 9, 4), Copy(1, 11, 4))
    found = executor.submit(
        StepPlan((scored(PROMPT[20:], 20, (8, 9, 3), 2), scored(PROMPT[20:], 20, (10, 11, 4), 0)), copies)
    ).logits
    np.testing.assert_allclose(found, np.concatenate([expected, expected]), atol=2e-3, rtol=2e-3)
    again = executor.submit(StepPlan((scored(PROMPT[20:], 20, (12, 13, 14), 1),), (Copy(1, 13, 4),))).logits
    np.testing.assert_allclose(again, expected, atol=2e-3, rtol=2e-3)


def test_a_state_that_moved_on_is_no_beginning(executor: LlamaCppExecutor) -> None:
    executor.submit(StepPlan((Row(0, PROMPT[:20], 0, (0, 1)),)))
    executor.submit(StepPlan((Row(0, PROMPT[20:22], 20, (0, 1)),)))
    with pytest.raises(RuntimeError, match="moved on"):
        executor.submit(StepPlan((), (Copy(1, 9, 4),)))
    with pytest.raises(RuntimeError, match="is lost"):
        executor.submit(StepPlan((Row(0, PROMPT[20:22], 20, (0, 1)),)))
    executor.submit(StepPlan((Row(0, PROMPT[:3], 0, (5,)),), (Drop(1),)))


def greedy(straight: Straight, prompt: tuple[int, ...], count: int, ends: set[int]) -> list[int]:
    tokens = list(prompt)
    while len(tokens) < len(prompt) + count and (len(tokens) == len(prompt) or tokens[-1] not in ends):
        tokens.append(int(straight(tuple(tokens))[-1].argmax()))
    return tokens[len(prompt) :]


@pytest.fixture
def engine(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("PORTICO_ENGINE_CHECK", "1")
    made = load_engine(path, executor="llama_cpp", context=128, max_rows=3)
    yield made
    made.close()


def test_conversations_go_on_from_whole_states_and_say_what_llama_cpp_says_straight(engine: Engine, straight: Straight) -> None:
    ends = set(engine.tokenizer.end_token_ids)
    sampling = SamplingParams(temperature=0)
    first = [Request(f"a{i}", PROMPT[i:], sampling, max_tokens=6, keep=16) for i in (0, 1, 2, 3)]
    answers = {request.id: tokens_of(deltas) for request, deltas in zip(first, run(engine, first).values(), strict=True)}
    second = [Request(f"b{i}", (*first[i].prompt, *answers[f"a{i}"], 9), sampling, max_tokens=6) for i in range(4)]
    found = run(engine, second)
    for request in second:
        deltas = found[request.id]
        assert deltas[-1].finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
        assert deltas[-1].usage is not None
        assert deltas[-1].usage.cached_tokens == len(request.prompt) - 2
        assert tokens_of(deltas) == greedy(straight, request.prompt, 6, ends)
    third = Request("c", (*PROMPT[:16], 5, 6, 7), sampling, max_tokens=6)
    deltas = run(engine, [third])["c"]
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.cached_tokens == 16
    assert tokens_of(deltas) == greedy(straight, third.prompt, 6, ends)


def test_a_hybrid_s_continuations_are_scored_from_one_state(engine: Engine, straight: Straight) -> None:
    scores = engine.score(PROMPT[:20], [PROMPT[20:24], PROMPT[24:26]])
    logits = straight(PROMPT[:24])[19:23].astype(np.float64)
    expected = logits[range(4), PROMPT[20:24]] - np.log(np.exp(logits).sum(1))
    np.testing.assert_allclose(scores[0], expected, atol=2e-3, rtol=2e-3)
    assert len(scores[1]) == 2
