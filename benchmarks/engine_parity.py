"""Does the engine say what llama.cpp says? Greedy answers, and the distance of the distributions, on the default model.

    python benchmarks/engine_parity.py [--tokens 64] [--int4 auto|on|off]

Greedy: 20 prompts, 64 tokens each. Where the two part, the row says how close the race was in llama.cpp's own logits.
KL: both models read llama.cpp's greedy answer (prompt included); mean and maximum over all positions of KL(llama.cpp || engine).
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import numpy.typing as npt

from engine_results import record
from llama_reference import LlamaCpp
from portico_engine import Engine, Request, SamplingParams, find_model
from portico_engine.executors.protocol import Row, StepPlan
from portico_engine.executors.torch_cpu import TorchCPUExecutor
from portico_engine.weights.gguf_file import GGUFFile

QUESTIONS = (
    "What is the capital of France?",
    "Write a haiku about autumn.",
    "Explain what a hash table is.",
    "List three prime numbers larger than 20.",
    "Who wrote Pride and Prejudice?",
    "Write a Python function that reverses a string.",
    "What is the boiling point of water in Celsius?",
    "Summarise the plot of Romeo and Juliet in two sentences.",
    "Translate 'good morning' to Spanish.",
    "How do I make a cup of tea?",
    "What does HTTP status 404 mean?",
    "Give me a recipe for pancakes.",
    "Why is the sky blue?",
    "What is the difference between a list and a tuple in Python?",
    "Describe a sunset at the beach.",
    "How many continents are there?",
    "What is photosynthesis?",
    "Write a short email asking for a day off.",
    "What is SQL used for?",
    "Tell me a fact about octopuses.",
)
NEAR_TIE = 0.25  # nats between llama.cpp's first and second token


def log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Rows of log-probabilities."""
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def engine_logits(executor: TorchCPUExecutor, tokens: list[int]) -> npt.NDArray[np.float32]:
    """Logits after every token, [tokens, vocab_size]."""
    table = tuple(range(-(-len(tokens) // 16)))
    row = Row(0, tuple(tokens), 0, table, want=tuple(range(len(tokens))), targets=tuple(tokens))
    return executor.submit(StepPlan((row,))).logits


def main() -> int:
    """Run, print, record; exit status 1 where the engine is off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--int4", choices=("auto", "on", "off"), default="auto")
    args = parser.parse_args()
    path = find_model()
    int4 = {"auto": None, "on": True, "off": False}[args.int4]
    executor = TorchCPUExecutor.load(GGUFFile(path), context_length=1024, kv_tokens=1024, int4=int4)
    engine = Engine.load(path, context=1024) if int4 is None else None
    tokenizer = (engine or Engine.load(path, context=1024)).tokenizer
    renderer = engine or Engine.load(path, context=1024)
    runner = engine or Engine(executor, tokenizer, renderer.info)
    llama = LlamaCpp(path, context=1024)
    rows = []
    divergences: list[npt.NDArray[np.float64]] = []
    for i, question in enumerate(QUESTIONS):
        prompt = renderer.render_chat([{"role": "user", "content": question}])
        theirs = llama.greedy(prompt, args.tokens, tokenizer.end_token_ids)
        request = Request(f"p{i}", prompt, SamplingParams(temperature=0), max_tokens=args.tokens)
        ours = [token for delta in runner.generate(request) for token in delta.tokens]
        same = next((k for k, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
        equal = ours == theirs
        tokens = [*prompt, *theirs]
        llama.clear()
        p = log_softmax(llama.eval(tokens, 0, want_all=True))
        q = log_softmax(engine_logits(executor, tokens))
        kl = (np.exp(p) * (p - q)).sum(axis=1)
        divergences.append(kl)
        gap = None
        if not equal:
            first, second = np.sort(p[len(prompt) + same - 1])[::-1][:2]
            gap = float(first - second)
        rows.append(
            {
                "prompt": question,
                "equal": equal,
                "same_tokens": same,
                "of": len(theirs),
                "gap_nats": gap,
                "kl": float(kl.mean()),
            }
        )
        mark = "equal" if equal else f"parts at {same}, gap {gap:.3f}"
        print(f"{question[:52]:54}{len(theirs):4} tokens  {mark:26} KL {kl.mean():.5f}", flush=True)
    kl = np.concatenate(divergences)
    agree = sum(row["equal"] for row in rows)
    ties = sum(row["gap_nats"] is not None and row["gap_nats"] < NEAR_TIE for row in rows)
    summary = {
        "numerics": executor.caps.numerics_id,
        "equal": agree,
        "near_ties": ties,
        "prompts": len(rows),
        "kl_mean": float(kl.mean()),
        "kl_p99": float(np.quantile(kl, 0.99)),
        "kl_max": float(kl.max()),
        "positions": len(kl),
    }
    print(summary)
    record("engine_parity", {"summary": summary, "rows": rows})
    return 0 if agree + ties == len(rows) and kl.mean() < 0.02 else 1


if __name__ == "__main__":
    sys.exit(main())
