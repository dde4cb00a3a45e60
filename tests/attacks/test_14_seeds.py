"""Seeds and nuclei as clients mean them, and a seed that says the same from a cold and a warm prefix."""

from __future__ import annotations

import pytest
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_engine, run, solitary, tokens_of

from portico_engine import Request, SamplingParams, find_model, load_engine

attack = pytest.mark.attack("14 seed and top_p as clients mean them")


@attack
@pytest.mark.parametrize(
    "sampling", [{"seed": -1}, {"top_p": 0}, {"seed": -1, "top_p": 0}, {"seed": -(2**63)}, {"seed": 2**64 - 1}]
)
def test_what_clients_send_is_taken(sampling: dict[str, int]) -> None:
    """OpenAI's reference allows negative seeds and a nucleus of nothing; llama.cpp's clients send -1 for no seed."""
    request = Request("a", (5, 6), SamplingParams(**sampling), max_tokens=3)
    assert tokens_of(run(fake_engine(), [request])["a"]) == solitary(request)


@attack
def test_with_a_seed_the_prompts_last_token_is_read_by_itself() -> None:
    """As it is from a warm prefix: products of one shape, whatever is known."""
    executor = FakeExecutor(vocab_size=269, step_tokens=32)
    engine = fake_engine(executor)
    prompt = tuple(range(10, 60))
    run(engine, [Request("cold", prompt, SamplingParams(seed=3), max_tokens=2)])
    assert [len(plan.rows[0].tokens) for plan in executor.steps] == [32, 17, 1, 1]
    executor.steps.clear()
    run(engine, [Request("warm", prompt, SamplingParams(seed=3), max_tokens=2)])
    assert [len(plan.rows[0].tokens) for plan in executor.steps] == [1, 1]
    executor.steps.clear()
    run(engine, [Request("without", tuple(range(100, 150)), SamplingParams(seed=-1), max_tokens=2)])
    assert [len(plan.rows[0].tokens) for plan in executor.steps] == [32, 18, 1], "others pay nothing"


@attack
def test_a_seed_says_the_same_from_a_cold_and_a_warm_prefix() -> None:
    """The same request, alone, before and after its prompt is known; the default model at a high temperature."""
    engine = load_engine(find_model(), executor="torch-cpu", context=256)
    try:
        for i, text in enumerate(("Write a poem about the sea.", "Explain how a bicycle works, please.")):
            prompt = engine.render_chat([{"role": "user", "content": text}])
            request = Request("a", prompt, SamplingParams(temperature=1.0, seed=7 + i), max_tokens=16)
            cold, warm = (list(engine.generate(request)) for _ in range(2))
            assert warm[-1].usage is not None
            assert warm[-1].usage.cached_tokens == len(prompt) - 1
            assert tokens_of(warm) == tokens_of(cold)
    finally:
        engine.close()
