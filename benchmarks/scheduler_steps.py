"""What scheduler, block pool and prefix index cost a step, beside an executor that computes nothing.

usage: python benchmarks/scheduler_steps.py [--rows 64] [--context 8192] [--steps 3000] [--answer 64] [--before TREE]

So many sequences decode at once, each behind a context that is half shared with all others and half its own. Where an answer
ends, another sequence comes with the same context and a new question, so that admission, release and the index have their part.
A prompt's blocks are hashed before it is counted: that is paid once for each sixteen tokens, whoever schedules them. Steps in
which nobody comes or goes are shown apart from those in which somebody does. Time is the thread's own on a
processor, so that a busy machine counts less. With `--before` the same load then runs over another checkout of the engine, in a
process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from time import thread_time_ns
from typing import Any

from portico_engine.executors.protocol import Capabilities
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.cache import KVCache
from portico_engine.kv.eviction import CostAware
from portico_engine.kv.hashing import root_key
from portico_engine.plan import BLOCK_TOKENS, blocks_for
from portico_engine.request import Request, SamplingParams
from portico_engine.sampling import SampledToken
from portico_engine.scheduler import Scheduler
from portico_engine.sequence import Sequence
from portico_engine.text.detokenizer import IncrementalDetokenizer, StopStrings
from report import percentile, table, write

VOCABULARY = 32_000
QUESTION = 40  # tokens that are new in each prompt


class Load:
    """Sequences that come, decode and go."""

    def __init__(self, rows: int, context: int, answer: int, scheduler: Scheduler, kv: KVCache) -> None:
        self.hashing: list[int] = []  # nanoseconds of each prompt
        self._kv = kv
        self.prefilling, self.ended = True, 0  # what was in the last step
        self._random = random.Random(7)
        self._answer = answer
        self._scheduler = scheduler
        self._shared = self._tokens(context // 2)
        self._own = [self._tokens(context - context // 2 - QUESTION - answer) for _ in range(rows)]
        self._arrivals = 0

    def add(self, owner: int) -> None:
        """A question behind the context of `owner`."""
        prompt = (*self._shared, *self._own[owner], *self._tokens(QUESTION))
        length = self._answer if self._arrivals >= len(self._own) else self._random.randint(1, self._answer)  # they end apart
        request = Request(f"{owner}:{self._arrivals}", prompt, max_tokens=length, sampling=SamplingParams(temperature=0.0))
        texts = IncrementalDetokenizer([b"x"] * VOCABULARY, ())
        seq = Sequence(request, self._arrivals, length, 0, texts, StopStrings([]))
        seq.block_keys = self._kv.block_keys()
        started = thread_time_ns()
        seq.block_keys.key(len(prompt) // BLOCK_TOKENS - 1, seq.tokens)
        self.hashing.append(thread_time_ns() - started)
        self._scheduler.add(seq)
        self._arrivals += 1

    def step(self) -> int:
        """One step, and the nanoseconds that all but the sampling of tokens took."""
        started = thread_time_ns()
        planned = self._scheduler.schedule()
        took = thread_time_ns() - started
        assert planned is not None, "sequences that decode always have a next step"
        rows = list(zip(planned.sequences, planned.plan.rows, strict=True))
        started = thread_time_ns()
        for seq, row in rows:
            self._scheduler.computed(seq, len(row.tokens))
        took += thread_time_ns() - started
        for seq, row in rows:
            if row.logits_indices:
                seq.append(SampledToken(self._random.randrange(VOCABULARY), 0.0, ()), forced=False)
        ended = [seq for seq, _ in rows if seq.remaining <= 0]
        started = thread_time_ns()
        for seq in ended:
            self._scheduler.finish(seq)
        took += thread_time_ns() - started
        for seq in ended:
            self.add(int(seq.request.id.partition(":")[0]))
        self.prefilling, self.ended = planned.plan.n_tokens > len(rows), len(ended)
        return took

    def _tokens(self, count: int) -> tuple[int, ...]:
        return tuple(self._random.randrange(VOCABULARY) for _ in range(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--context", type=int, default=8192, help="tokens of each sequence")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--answer", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--before", type=Path, help="another checkout, to be measured too")
    parser.add_argument("--json", action="store_true", help="print one JSON object and write nothing")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    figures = measure(args.rows, args.context, args.steps, args.answer)
    if args.json:
        print(json.dumps(figures))
        return
    _show(figures)
    if args.before:
        figures["before"] = _measured_in(args.before, args)
        print(f"\nbefore ({args.before.name})")
        _show(figures["before"])
    print(f"{args.rows} rows at {args.context} tokens")
    if not args.no_write:
        loads = {name: getattr(args, name) for name in ("rows", "context", "steps", "answer")}
        write("scheduler_steps", {**loads, **figures})


def _measured_in(tree: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The same figures of the engine in another checkout."""
    load = [f"--{name}={getattr(args, name)}" for name in ("rows", "context", "steps", "answer")]
    environment = {**os.environ, "PYTHONPATH": str((tree / "engine").resolve())}
    command = [sys.executable, __file__, *load, "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _show(figures: dict[str, Any]) -> None:
    table(["us a step", "steps", "p50", "mean", "p99"], [[part, *values.values()] for part, values in figures["parts"].items()])
    print(f"a prompt's blocks are hashed in {figures['hashing_us']} us")


def measure(rows: int, context: int, steps: int, answer: int) -> dict[str, Any]:
    """Microseconds a step by part."""
    blocks = rows * blocks_for(context) * 2
    kv = KVCache(BlockPool(blocks, BLOCK_TOKENS, CostAware()), root_key("none"))
    caps = Capabilities(
        blocks=blocks, rows=rows, step_tokens=8192, vocab_size=VOCABULARY, context_length=context + 1, numerics_id="none"
    )
    scheduler = Scheduler(kv, caps)
    load = Load(rows, context, answer, scheduler, kv)
    for owner in range(rows):
        load.add(owner)
    while scheduler.n_waiting or load.prefilling:
        load.step()
    gc.collect()
    gc.freeze()  # as the engine's process has it
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    steps_by_kind: dict[str, list[int]] = {"nobody comes or goes": [], "somebody comes and goes": []}
    for _ in range(steps):
        took = load.step()
        steps_by_kind["somebody comes and goes" if load.prefilling or load.ended else "nobody comes or goes"].append(took)
    every = [value for values in steps_by_kind.values() for value in values]
    parts = {kind: _us(values) for kind, values in {**steps_by_kind, "all": every}.items()}
    return {"parts": parts, "hashing_us": _us(load.hashing)["p50"]}


def _us(nanoseconds: list[int]) -> dict[str, float]:
    values = [value / 1000 for value in nanoseconds]
    return {
        "steps": len(values),
        "p50": round(statistics.median(values), 1),
        "mean": round(statistics.mean(values), 1),
        "p99": round(percentile(values, 0.99), 1),
    }


if __name__ == "__main__":
    main()
