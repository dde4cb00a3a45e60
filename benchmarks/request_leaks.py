"""Does the engine give back what requests took? Thousands of them on a small random model, with grammars, cancels and pins.

usage: python benchmarks/request_leaks.py [--requests 10000] [--at-once 16] [--no-write]

Prompts share a beginning and go on apart, so that blocks are shared, copied, evicted and pinned; a quarter are tool calls under
a grammar, one in twelve is cancelled in mid-answer. Between rounds, when nothing is left to do, no block may be held and free
and cached ones must be all. Memory is this process's own (USS): the median of the last tenth of the rounds beside that of the
rounds after the first fifth, by when all caches are full. Exit code 1: a block stayed, a request had no end, or memory grew by
more than MAX_GROWTH.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from portico_engine import Engine, Request, SamplingParams, Tool, find_model, load_engine
from portico_engine.grammar import CompiledGrammar, compile_tool_calls, control_tokens, detect_format
from portico_engine.weights.gguf_file import GGUFFile
from random_model import SMOLLM2_135M, write_random
from report import write

MAX_GROWTH = 0.05
CANCELLED, CONSTRAINED, PINNED = 1 / 12, 1 / 4, 1 / 10  # shares of the requests
SMALL = replace(SMOLLM2_135M, n_layers=2, hidden=64, feed_forward=128, n_heads=2, n_kv_heads=1, head_dim=32, context_length=512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = write_random(Path(folder) / "small.gguf", SMALL, GGUFFile(find_model()))
        engine = load_engine(path, executor="torch-cpu", max_rows=args.at_once, kv_tokens=4096)
        figures = measure(engine, args.requests, args.at_once)
        engine.close()
    for name, value in figures.items():
        print(f"{name}: {value}")
    if not args.no_write:
        write("request_leaks", {"requests": args.requests, "at_once": args.at_once, **figures})
    whole = figures["blocks_held"] == 0 and figures["unended"] == 0
    sys.exit(0 if whole and figures["growth"] <= MAX_GROWTH else 1)


def measure(engine: Engine, requests: int, at_once: int) -> dict[str, Any]:
    """All figures by name; memory in MiB."""
    made = _requests(engine, random.Random(3))
    ends: Counter[str] = Counter()
    memory: list[float] = []
    held, began = 0, time.perf_counter()
    rng = random.Random(4)
    for _ in range(0, requests, at_once):
        batch = [next(made) for _ in range(at_once)]
        for request in batch:
            engine.submit(request)
        cancelled = [request.id for request in batch if rng.random() < CANCELLED]
        for n in count():
            ends.update(delta.finish_reason.value for delta in engine.step() if delta.finish_reason is not None)
            if n == 1:
                for id in cancelled:
                    engine.abort(id)
            if not engine.has_work:
                break
        stats = engine.stats()
        held = max(held, int(stats["blocks_held"]), int(stats["blocks"] - stats["blocks_free"] - stats["blocks_cached"]))
        gc.collect(0)
        memory.append(psutil.Process().memory_full_info().uss / 2**20)
    tenth = max(1, len(memory) // 10)
    early, late = median(memory[2 * tenth : 3 * tenth] or memory), median(memory[-tenth:])
    return {
        "ends": dict(ends),
        "unended": len(memory) * at_once - ends.total(),
        "blocks_held": held,
        "blocks": int(stats["blocks"]),
        "evictions": int(stats["evictions"]),
        "preemptions": int(stats["preemptions"]),
        "memory_early_mib": round(early, 1),
        "memory_late_mib": round(late, 1),
        "growth": round(late / early - 1, 4),
        "seconds": round(time.perf_counter() - began, 1),
    }


def _requests(engine: Engine, rng: random.Random) -> Iterator[Request]:
    grammar = _grammar(engine)
    shared = tuple(rng.randrange(300, 40_000) for _ in range(100))
    for number in count():
        prompt = (*shared[: rng.randrange(20, 100)], *(rng.randrange(300, 40_000) for _ in range(rng.randrange(5, 60))))
        constrained = rng.random() < CONSTRAINED
        yield Request(
            str(number),
            prompt,
            SamplingParams(temperature=rng.choice((0.0, 0.8))),
            max_tokens=40 if constrained else rng.randrange(2, 10),
            grammar=grammar if constrained else None,
            pin=5.0 if rng.random() < PINNED else 0.0,
        )


def _grammar(engine: Engine) -> CompiledGrammar:
    day = {"type": "string", "enum": ["monday", "friday"]}
    schema = {"type": "object", "properties": {"day": day}, "required": ["day"], "additionalProperties": False}
    form = detect_format(engine.chat_template)
    return compile_tool_calls(
        [Tool("plan", "Plan a day.", schema)], format=form, special_tokens=control_tokens(form, engine.tokenizer)
    )


if __name__ == "__main__":
    main()
