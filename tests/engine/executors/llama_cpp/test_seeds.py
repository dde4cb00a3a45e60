"""A seed gives the same answer whatever ran before, to the bit: tokens, and the log-probabilities that they were drawn by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("llama_cpp")

from tests.engine.fakes import run
from tests.engine.tiny_model import Shape, write_tiny_llama
from tests.engine.tiny_recurrent import write_tiny_lfm2, write_tiny_mamba

from portico_engine import Engine, Request, SamplingParams, load_engine

SYSTEM = "You are a librarian who answers questions about the collection, briefly and in plain words. " * 6
QUESTIONS = (
    "What is photosynthesis?",
    "Name three rivers of Europe, and the seas into which they flow.",
    "Why is the sky blue?",
    "Who wrote the first catalogue of this library, and when did he begin with it?",
)
Answer = tuple[tuple[int, ...], tuple[float, ...]]


def request(engine: Engine, question: str, name: str = "a") -> Request:
    prompt = engine.render_chat([{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}])
    return Request(name, prompt, SamplingParams(temperature=0.9, top_p=0.95, seed=11, logprobs=1), max_tokens=12)


def answers(engine: Engine, *requests: Request) -> list[Answer]:
    found = run(engine, requests)
    return [
        (
            tuple(token for delta in found[each.id] for token in delta.tokens),
            tuple(logprob for delta in found[each.id] for logprob in delta.logprobs),
        )
        for each in requests
    ]


@contextmanager
def opened(path: Path, kv_type: str) -> Iterator[Engine]:
    engine = load_engine(path, executor="llama_cpp", context=768, max_rows=4, kv_type=kv_type)
    yield engine
    engine.close()


def check_seeds(path: Path, kv_type: str = "f16") -> None:
    """Each question cold, in an engine of its own; then in one engine cold, warm, from a prefix that another one's has begun,
    after answers that ran side by side, and in other orders."""
    cold: dict[str, Answer] = {}
    for question in QUESTIONS:
        with opened(path, kv_type) as engine:
            (cold[question],) = answers(engine, request(engine, question))
            assert answers(engine, request(engine, question)) == [cold[question]], f"warm: {question}"
    with opened(path, kv_type) as engine:
        for question in (*QUESTIONS, *QUESTIONS[::-1], QUESTIONS[2]):
            assert answers(engine, request(engine, question)) == [cold[question]], f"after others: {question}"
        others = [request(engine, question + " Say more.", f"o{i}") for i, question in enumerate(QUESTIONS)]
        answers(engine, *others)
        for question in QUESTIONS:
            assert answers(engine, request(engine, question)) == [cold[question]], f"after some at once: {question}"
        assert engine.info.repeats_seeds
    assert len(set(cold.values())) == len(QUESTIONS)


def test_the_default_model_repeats_a_seed(smollm2_path: Path) -> None:
    check_seeds(smollm2_path)


@pytest.mark.parametrize("write", [write_tiny_llama, write_tiny_mamba, write_tiny_lfm2])
def test_a_small_model_repeats_a_seed(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path / "tiny.gguf", context=1024)
    check_seeds(path)


def test_keys_and_values_of_8_bits_and_flash_attention_repeat_a_seed(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", context=1024, shape=Shape(hidden=128, heads=4, kv_heads=2))
    check_seeds(path, "q8_0")
