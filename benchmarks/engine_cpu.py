"""How fast the engine is on this CPU, beside llama.cpp in the same run, on the default model.

    python benchmarks/engine_cpu.py [--context 2048] [--repeats 9] [--threads N] [--int4 auto|on|off]
                                    [--clock wall|cpu]

A step of m tokens over a cached context is a decode (m = 1) or a forced run (m > 1, logits of the last only). The two
engines take turns, so that a busy machine slows both; the ratio is the figure to look at. Load time and memory are those of
fresh processes. On a machine that others keep busy, `--clock cpu --threads 1` counts this process's own processor time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from llama_reference import LlamaCpp
from portico_engine import SamplingParams, find_model
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.loading.torch_import import import_torch
from portico_engine.plan import Row, StepPlan
from portico_engine.sampling import SamplingState
from portico_engine.weights.gguf_file import GGUFFile
from report import write

import_torch()

RUNS = (1, 2, 3, 4, 8, 16, 30)
LOAD = """
import json, resource, sys, time
start = time.perf_counter()
from portico_engine import load_engine
engine = load_engine(sys.argv[1], executor="torch-cpu", context=2048)
seconds = time.perf_counter() - start
import torch
linears = list(engine._executor._decoder.weights.linears())
print(json.dumps({
    "seconds": seconds, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "bf16_mb": sum(l.weight.numel() * 2 for l in linears) / 2**20, "all_copies_mb": sum(l.n_bytes for l in linears) / 2**20,
}))
"""
LOAD_LLAMA = """
import json, resource, sys, time
start = time.perf_counter()
sys.path.insert(0, sys.argv[2])
from llama_reference import LlamaCpp
model = LlamaCpp(sys.argv[1], context=2048)
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def fresh(code: str, path: Path) -> dict[str, float]:
    """Run a probe in a process of its own; best of two by time."""
    command = [sys.executable, "-c", code, str(path), str(Path(__file__).parent)]
    found = [json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(2)]
    best: dict[str, float] = min(found, key=lambda f: f["seconds"])
    return best


def alternate(
    clock: Callable[[], float], repeats: int, first: Callable[[], None], second: Callable[[], None]
) -> tuple[float, float]:
    """Median seconds of each, taking turns after one warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(repeats + 1):
        for kept, run in zip(times, (first, second), strict=True):
            start = clock()
            run()
            if i:
                kept.append(clock() - start)
    return statistics.median(times[0]), statistics.median(times[1])


class Ours:
    """The executor under the same calls that the scheduler makes."""

    def __init__(self, path: Path, context: int, int4: bool | None) -> None:
        longest = context + 64
        file = GGUFFile(path)
        self.executor = TorchCPUExecutor.load(file, Sizes(longest, 4 * longest), int4=int4)
        self.blocks = -(-(context + 64) // 16)
        self.sampling = SamplingState(SamplingParams(temperature=0), 0, 0)

    def row(self, tokens: list[int], start: int, sequence: int = 0) -> Row:
        table = tuple(range(sequence * self.blocks, (sequence + 1) * self.blocks))
        return Row(sequence, tuple(tokens), start, table, (len(tokens) - 1,), self.sampling)

    def step(self, *rows: Row) -> None:
        self.executor.submit(StepPlan(rows)).finish()

    def prefill(self, tokens: list[int], sequence: int = 0) -> None:
        for at in range(0, len(tokens), self.executor.caps.step_tokens):
            self.step(self.row(tokens[at : at + self.executor.caps.step_tokens], at, sequence))


def main() -> None:
    """Measure, print a table, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--int4", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    args = parser.parse_args()
    clock = time.perf_counter if args.clock == "wall" else time.process_time
    torch.set_num_threads(args.threads)
    path = find_model()
    load, load_llama = fresh(LOAD, path), fresh(LOAD_LLAMA, path)
    print(f"load: portico {load['seconds']:.2f} s, peak {load['peak_rss_mb']:.0f} MB", end=" ")
    print(f"(weights {load['all_copies_mb']:.0f} MB, of which bf16 {load['bf16_mb']:.0f});", end=" ")
    print(f"llama.cpp {load_llama['seconds']:.2f} s, peak {load_llama['peak_rss_mb']:.0f} MB")
    ours = Ours(path, args.context, {"auto": None, "on": True, "off": False}[args.int4])
    llama = LlamaCpp(path, context=args.context + 64, threads=args.threads)
    tokens = [1000 + i % 3000 for i in range(args.context)]
    figures: dict[str, dict[str, float]] = {}

    def line(name: str, mine: float, theirs: float) -> None:
        figures[name] = {"portico_ms": mine * 1e3, "llama_cpp_ms": theirs * 1e3, "ratio": theirs / mine}
        print(f"{name:28}{mine * 1e3:10.1f}{theirs * 1e3:12.1f}{theirs / mine:10.2f}x", flush=True)

    print(f"{ours.executor.caps.numerics_id}, {args.threads} threads")
    print(f"{'':28}{'portico ms':>10}{'llama.cpp ms':>12}{'faster by':>11}")

    def llama_prefill() -> None:
        llama.clear()
        llama.eval(tokens, 0)

    line(f"prefill {args.context}", *alternate(clock, 3, lambda: ours.prefill(tokens), llama_prefill))
    for m in RUNS:

        def llama_run(m: int = m) -> None:
            llama.forget_from(args.context)
            llama.eval(tokens[:m], args.context)

        def our_run(m: int = m) -> None:
            ours.step(ours.row(tokens[:m], args.context))

        line(f"step of {m} after {args.context}", *alternate(clock, args.repeats, our_run, llama_run))
    for sequence in range(1, 4):
        ours.prefill(tokens, sequence)
    batch = [ours.row(tokens[:1], args.context, sequence) for sequence in range(4)]

    def llama_four() -> None:
        for _ in range(4):
            llama.forget_from(args.context)
            llama.eval(tokens[:1], args.context)

    line("4 sequences, 1 token each", *alternate(clock, args.repeats, lambda: ours.step(*batch), llama_four))
    print("llama.cpp's four are one after another: its own batching is measured with its server elsewhere")
    write(
        "engine_cpu",
        {
            "numerics": ours.executor.caps.numerics_id,
            "threads": args.threads,
            "clock": args.clock,
            "context": args.context,
            "load": {"portico": load, "llama_cpp": load_llama},
            "steps": figures,
        },
    )


if __name__ == "__main__":
    main()
