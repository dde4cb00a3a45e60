"""The default model itself: what it says beside llama.cpp, in batches, under a grammar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llama_reference import LlamaCpp
from portico_engine import Engine, FinishReason, Request, SamplingParams, Tool
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.grammar import compile_tool_calls
from portico_engine.plan import Row, StepPlan

GREEDY = SamplingParams(temperature=0)
QUESTIONS = ("What is photosynthesis?", "Explain what a hash table is.", "Why is the sky blue?")


@pytest.fixture(scope="module")
def llama(smollm2_path: Path) -> Iterator[LlamaCpp]:
    model = LlamaCpp(smollm2_path, context=512, threads=1)  # its idle threads spin
    yield model
    model.close()


def chat(engine: Engine, question: str) -> tuple[int, ...]:
    return engine.render_chat([{"role": "user", "content": question}])


def text_of(engine: Engine, request: Request) -> str:
    return "".join(delta.text for delta in engine.generate(request))


def test_greedy_answers_are_llama_cpps_or_part_at_a_near_tie(smollm2: Engine, llama: LlamaCpp) -> None:
    for i, question in enumerate(QUESTIONS):
        prompt = chat(smollm2, question)
        theirs = llama.greedy(prompt, 24, smollm2.tokenizer.end_token_ids)
        ours = [token for d in smollm2.generate(Request(str(i), prompt, GREEDY, max_tokens=24)) for token in d.tokens]
        parting = next((k for k, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
        if parting is not None:
            llama.clear()
            logits = llama.eval([*prompt, *theirs[:parting]], 0)[0]
            assert logits[theirs[parting]] - logits[ours[parting]] < 0.5, "llama.cpp itself must find the two about as likely"


def test_distributions_are_within_a_fiftieth_of_a_nat_of_llama_cpps(smollm2: Engine, llama: LlamaCpp) -> None:
    tokens = [
        *chat(smollm2, QUESTIONS[0]),
        *smollm2.tokenizer.encode("Photosynthesis is the process by which plants make food."),
    ]
    llama.clear()
    theirs = llama.eval(tokens, 0, want_all=True).astype(np.float64)
    executor = smollm2._executor
    assert isinstance(executor, TorchCPUExecutor)
    row = Row(0, tuple(tokens), 0, tuple(range(8)), logits_indices=tuple(range(len(tokens))), targets=tuple(tokens))
    ours = executor.submit(StepPlan((row,))).logits.astype(np.float64)
    smollm2._kv.pool.clear()  # its blocks were written behind the engine's back
    p = theirs - np.log(np.exp(theirs - theirs.max(1, keepdims=True)).sum(1, keepdims=True)) - theirs.max(1, keepdims=True)
    q = ours - np.log(np.exp(ours - ours.max(1, keepdims=True)).sum(1, keepdims=True)) - ours.max(1, keepdims=True)
    assert float((np.exp(p) * (p - q)).sum(1).mean()) < 0.02


def test_a_fact_is_known_and_the_answer_stops(smollm2: Engine) -> None:
    deltas = list(smollm2.generate(Request("a", chat(smollm2, "What is the capital of France?"), GREEDY, max_tokens=40)))
    assert "Paris" in "".join(d.text for d in deltas)
    assert deltas[-1].finish_reason is FinishReason.STOP


def test_a_seed_says_the_same_alone_and_in_a_batch(smollm2: Engine) -> None:
    prompt = chat(smollm2, "Tell me a story about a lighthouse.")
    requests = [Request(f"r{i}", prompt, SamplingParams(temperature=0.9, top_p=0.95, seed=i), max_tokens=12) for i in range(4)]
    alone = {r.id: text_of(smollm2, r) for r in requests}
    for request in requests:
        smollm2.submit(request)
    together: dict[str, str] = {}
    while smollm2.has_work:
        for delta in smollm2.step():
            together[delta.request_id] = together.get(delta.request_id, "") + delta.text
    assert len(set(alone.values())) == 4, "seeds differ"
    same = sum(alone[name] == together[name] for name in alone)
    assert same >= 3, "a product over other rows may round otherwise, seldom enough"


def test_tool_calls_under_a_grammar_parse_with_forced_runs(smollm2: Engine) -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    }
    grammar = compile_tool_calls([Tool("get_weather", "Weather of a city", parameters)])
    for seed in range(3):
        request = Request(
            f"g{seed}",
            chat(smollm2, "Weather in Paris, in celsius?"),
            SamplingParams(temperature=1.0, seed=seed),
            max_tokens=60,
            grammar=grammar,
        )
        deltas = list(smollm2.generate(request))
        call = json.loads("".join(d.text for d in deltas))
        assert call["name"] == "get_weather"
        assert set(call["arguments"]) == {"city", "unit"}
        usage = deltas[-1].usage
        assert usage is not None
        assert usage.forced_tokens > usage.sampled_steps
        assert usage.forced_tokens + usage.sampled_steps == usage.completion_tokens


def test_scores_prefer_the_truth(smollm2: Engine) -> None:
    prompt = chat(smollm2, "What is the capital of France?")
    names = [" Paris.", " Berlin.", " Madrid."]
    start = tuple(smollm2.tokenizer.encode("The capital of France is"))
    scores = smollm2.score((*prompt, *start), [smollm2.tokenizer.encode(name) for name in names])
    means = [sum(s) / len(s) for s in scores]
    assert max(range(3), key=means.__getitem__) == 0
    alone = smollm2.score((*prompt, *start), [smollm2.tokenizer.encode(names[1])])
    assert alone[0] == pytest.approx(scores[1], abs=0.05)
