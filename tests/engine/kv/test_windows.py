"""Blocks that no token sees any more are let go of while their sequence goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fake_executor import FakeExecutor, next_token
from tests.engine.fakes import fake_engine
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_model import random_tensors

from portico_engine import Request, SamplingParams, load_engine
from portico_engine.plan import BLOCK_TOKENS, blocks_for

GREEDY = SamplingParams(temperature=0)
VOCABULARY = 269  # the fake tokenizer's


def said(prompt: tuple[int, ...], n: int, window: int, vocab_size: int) -> list[int]:
    tokens = list(prompt)
    while len(tokens) < len(prompt) + n:
        tokens.append(next_token(tokens[-window:], vocab_size))
    return tokens[len(prompt) :]


@given(
    requests=st.lists(
        st.tuples(st.integers(1, 120), st.integers(1, 60), st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=8
    ),
    window=st.integers(1, 60),
    blocks=st.integers(18, 30),
    step_tokens=st.integers(4, 64),
)
@settings(max_examples=60, deadline=None)
def test_answers_are_the_windows_whatever_runs_beside_them(
    requests: list[tuple[int, int, int, int]], window: int, blocks: int, step_tokens: int
) -> None:
    executor = FakeExecutor(blocks=blocks, step_tokens=step_tokens, window=window, vocab_size=VOCABULARY)
    engine = fake_engine(executor)
    prompts = {}
    for i, (length, n, shared, begun) in enumerate(requests):
        prompts[str(i)] = tuple(10 + shared if at < begun else 20 + (i * at) % 50 for at in range(length)), n
        engine.submit(Request(str(i), prompts[str(i)][0], GREEDY, max_tokens=n, pin=5.0 if shared else 0.0))
    got: dict[str, list[int]] = {name: [] for name in prompts}
    while engine.has_work:
        for delta in engine.step():
            assert delta.error is None
            got[delta.request_id] += delta.tokens
        engine._scheduler.check_integrity()
    for name, (prompt, n) in prompts.items():
        expected = said(prompt, n, window, executor.vocab_size)
        assert got[name] == (expected[: expected.index(2) + 1] if 2 in expected else expected)


def test_a_long_answer_holds_no_more_blocks_than_its_window_needs() -> None:
    engine = fake_engine(FakeExecutor(window=40, step_tokens=32, vocab_size=VOCABULARY))
    engine.submit(Request("a", tuple(range(3, 103)), GREEDY, max_tokens=120))
    most = 0
    while engine.has_work:
        engine.step()
        most = max(most, int(engine.stats()["blocks_held"]))
    assert most <= blocks_for(40 + 32) + 1 < blocks_for(220) // 2


def test_two_long_sequences_share_a_pool_that_holds_one_whole() -> None:
    """Without windows one of them would be computed twice."""
    engine = fake_engine(FakeExecutor(window=32, blocks=15, step_tokens=32, vocab_size=VOCABULARY))
    for name in "ab":
        engine.submit(Request(name, tuple(range(3, 83)), GREEDY, max_tokens=150))
    while engine.has_work:
        engine.step()
    assert engine.stats()["preemptions"] == 0


@pytest.mark.parametrize("check", ["1"])
def test_a_models_window_frees_its_blocks(tmp_path: Path, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_ENGINE_CHECK", check)
    config = {"model_type": "mistral", "sliding_window": 2 * BLOCK_TOKENS}
    folder = write_folder(tmp_path / "model", random_tensors(), config, permuted=True)
    engine = load_engine(folder, executor="torch-cpu")
    held = []
    request = Request("a", tuple(range(3, 63)), SamplingParams(temperature=0, logit_bias=((2, -100.0),)), max_tokens=80)
    for _ in engine.generate(request):
        held.append(engine.stats()["blocks_held"])
    assert max(held[1:-1]) <= 4
