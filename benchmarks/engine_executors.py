"""One model by torch and by llama.cpp under the same plans: prefill, runs, and a step beside what others left in the cache.

    python benchmarks/engine_executors.py [--model FILE.gguf] [--repeats 12]

Each executor runs twice, in turns; the better figures count. Times are wall clock.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from portico_engine import find_model, load_engine
from portico_engine.executors.protocol import Executor
from portico_engine.plan import BLOCK_TOKENS, Row, StepPlan
from report import table, write

EXECUTORS = ("torch-cpu", "llama_cpp")
PREFILL, CONTEXT, OTHERS = 2048, 500, 10
RUNS = (1, 2, 4, 8, 16)
PIECE = 512


def tokens(count: int, seed: int) -> tuple[int, ...]:
    return tuple((i * 7919 + seed * 104729) % 40000 + 5 for i in range(count))


def read(executor: Executor, slot: int, text: Sequence[int], first_block: int) -> None:
    blocks = tuple(range(first_block, first_block - (-len(text) // BLOCK_TOKENS)))
    for at in range(0, len(text), PIECE):
        executor.submit(StepPlan((Row(slot, tuple(text[at : at + PIECE]), at, blocks),))).finish()


def median_ms(repeats: int, run: Callable[[], object]) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def measure(path: Path, name: str, repeats: int) -> dict[str, float]:
    engine = load_engine(path, executor=name, context=4096, kv_tokens=16384)
    executor = engine._executor
    began = time.perf_counter()
    read(executor, 0, tokens(PREFILL, 0), 0)
    figures = {"prefill, tokens/s": PREFILL / (time.perf_counter() - began)}
    first = PREFILL // BLOCK_TOKENS
    blocks = tuple(range(first, first + CONTEXT // BLOCK_TOKENS + 2))
    read(executor, 1, tokens(CONTEXT, 1), first)

    def step(count: int) -> Callable[[], object]:
        row = Row(1, tokens(count, 2), CONTEXT, blocks, logits_indices=(count - 1,), targets=(5,))
        return lambda: executor.submit(StepPlan((row,))).finish()

    for count in RUNS:
        figures[f"run of {count}, ms"] = median_ms(repeats, step(count))
    for other in range(OTHERS):
        read(executor, 2, tokens(1000, 10 + other), 300 + 63 * other)
    figures["run of 1 beside 10,000 cached tokens of others, ms"] = median_ms(repeats, step(1))
    engine.close()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--repeats", type=int, default=12)
    options = parser.parse_args()
    path = options.model or find_model()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in EXECUTORS}
    for _ in range(2):
        for name in EXECUTORS:
            print(f"{name} ...", flush=True)
            found[name].append(measure(path, name, options.repeats))
    best = {
        name: {key: (max if "/s" in key else min)(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()
    }
    torch, llama = (best[name] for name in EXECUTORS)
    table(("", *EXECUTORS), [(key, f"{torch[key]:.1f}", f"{llama[key]:.1f}") for key in torch])
    if options.model is None:
        write("engine_executors", best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
