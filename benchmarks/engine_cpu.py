"""How fast the engine is on this CPU, by its kernels and by plain torch, beside llama.cpp in the same run.

    python benchmarks/engine_cpu.py [--context 2048] [--repeats 9] [--threads N] [--format Q4_1|Q8_0] [--clock wall|cpu]
                                    [--no-load] [--quick]

A step of m tokens over a cached context is a decode (m = 1) or a forced run (m > 1, logits of the last only); k sequences of a
token each are one batch for every engine. They take turns, so that a busy machine slows all; the ratios are the figures to look
at. The model is the default one; Q8_0 is made of its file by llama.cpp. Load time and memory are those of fresh processes. On a
machine that others keep busy, `--clock cpu --threads 1` counts this process's own processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from llama_reference import LlamaCpp, Token
from portico_engine import SamplingParams, find_model
from portico_engine.executors.llama_cpp.library import library
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.loading.torch_import import import_torch
from portico_engine.plan import Copy, Row, StepPlan
from portico_engine.sampling import SamplingState
from portico_engine.weights.gguf_file import GGUFFile
from report import write

import_torch()

RUNS = (1, 2, 3, 4, 8, 16, 30)
SEQUENCES = (1, 4, 16)
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


def in_turns(clock: Callable[[], float], repeats: int, *runs: Callable[[], object]) -> list[float]:
    """Median seconds of each, taking turns after one warm-up."""
    times: list[list[float]] = [[] for _ in runs]
    for i in range(repeats + 1):
        for kept, run in zip(times, runs, strict=True):
            start = clock()
            run()
            if i:
                kept.append(clock() - start)
    return [statistics.median(kept) for kept in times]


def in_format(path: Path, name: str, folder: Path) -> Path:
    """The default model's file, or one made of it."""
    if name == "Q4_1":
        return path
    made = folder / f"{name}.gguf"
    llama_cpp = library()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}"), True
    assert llama_cpp.llama_model_quantize(str(path).encode(), str(made).encode(), params) == 0
    return made


class Ours:
    """The executor under the same calls that the scheduler makes."""

    def __init__(self, path: Path, context: int, *, kernels: bool) -> None:
        longest = context + 64
        file = GGUFFile(path)
        self.executor = TorchCPUExecutor.load(file, Sizes(longest, SEQUENCES[-1] * longest), kernels=kernels)
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

    def copy_first(self, sequence: int) -> None:
        """Give another sequence all that the first one has."""
        self.step_ops([Copy(block, sequence * self.blocks + block, 16) for block in range(self.blocks)])

    def step_ops(self, ops: list[Copy]) -> None:
        self.executor.submit(StepPlan((), tuple(ops)))


class Comparison:
    """The three engines over one cached context, and what was measured."""

    def __init__(self, path: Path, context: int, threads: int, clock: Callable[[], float], repeats: int) -> None:
        self.context, self.clock, self.repeats = context, clock, repeats
        self.kernels, self.plain = (Ours(path, context, kernels=kernels) for kernels in (True, False))
        self.llama = LlamaCpp(path, context=context + 64, threads=threads, sequences=SEQUENCES[-1])
        self.tokens = [1000 + i % 3000 for i in range(context)]
        self.figures: dict[str, dict[str, float]] = {}

    def line(self, name: str, repeats: int, *runs: Callable[[], object]) -> None:
        """Measure kernels, plain torch and llama.cpp in turns; print and keep."""
        kernels, plain, llama = in_turns(self.clock, repeats, *runs)
        self.figures[name] = {
            "portico_ms": kernels * 1e3, "plain_torch_ms": plain * 1e3, "llama_cpp_ms": llama * 1e3,
            "ratio": llama / kernels, "over_plain_torch": plain / kernels,
        }  # fmt: skip
        print(f"{name:28}{kernels * 1e3:10.1f}{plain * 1e3:13.1f}{llama * 1e3:12.1f}{plain / kernels:9.2f}x", end="")
        print(f"{llama / kernels:9.2f}x", flush=True)

    def prefill(self) -> None:
        def by_llama() -> None:
            self.llama.clear()
            self.llama.eval(self.tokens, 0)

        ours = (lambda engine=engine: engine.prefill(self.tokens) for engine in (self.kernels, self.plain))
        self.line(f"prefill {self.context}", 3, *ours, by_llama)

    def fill(self) -> None:
        """What `prefill` leaves, unmeasured."""
        self.llama.eval(self.tokens, 0)
        for engine in (self.kernels, self.plain):
            engine.prefill(self.tokens)

    def run_of(self, m: int) -> None:
        def by_llama() -> None:
            self.llama.forget_from(self.context)
            self.llama.eval(self.tokens[:m], self.context)

        def by(engine: Ours) -> Callable[[], None]:
            return lambda: engine.step(engine.row(self.tokens[:m], self.context))

        self.line(f"step of {m} after {self.context}", self.repeats, by(self.kernels), by(self.plain), by_llama)

    def sequences(self, count: int) -> None:
        """`count` sequences, a token each."""

        def by_llama() -> None:
            for sequence in range(count):
                self.llama.forget_from(self.context, sequence)
            self.llama.eval_batch([Token(sequence, self.tokens[0], self.context) for sequence in range(count)])

        def by(engine: Ours) -> Callable[[], None]:
            rows = [engine.row(self.tokens[:1], self.context, sequence) for sequence in range(count)]
            return lambda: engine.step(*rows)

        self.line(f"{count} sequences, 1 token each", self.repeats, by(self.kernels), by(self.plain), by_llama)

    def fill_sequences(self) -> None:
        """All of them with the same content, each with its own memory."""
        self.llama.forget_from(self.context)
        for sequence in range(1, SEQUENCES[-1]):
            for engine in (self.kernels, self.plain):
                engine.copy_first(sequence)
            self.llama.copy_sequence(sequence)


def main() -> None:
    """Measure, print a table, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--format", choices=("Q4_1", "Q8_0"), default="Q4_1")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--no-load", action="store_true")
    parser.add_argument("--quick", action="store_true", help="no prefill, single steps and batches alone")
    args = parser.parse_args()
    clock = time.perf_counter if args.clock == "wall" else time.process_time
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = in_format(find_model(), args.format, Path(folder))
        load: dict[str, dict[str, float]] = {}
        if not args.no_load:
            load = {"portico": fresh(LOAD, path), "llama_cpp": fresh(LOAD_LLAMA, path)}
            for name, found in load.items():
                print(f"load: {name} " + ", ".join(f"{key} {value:.2f}" for key, value in found.items()))
        before = os.getloadavg()
        compared = Comparison(path, args.context, args.threads, clock, args.repeats)
        numerics = compared.kernels.executor.caps.numerics_id
        print(f"{args.format}, {numerics}, {args.threads} threads, load {before[0]:.1f}")
        print(f"{'':28}{'portico ms':>10}{'plain torch':>13}{'llama.cpp':>12}{'faster than':>11}{'llama.cpp':>9}")
        if args.quick:
            compared.fill()
        else:
            compared.prefill()
            for m in RUNS:
                compared.run_of(m)
        compared.fill_sequences()
        for count in SEQUENCES:
            compared.sequences(count)
    write(
        f"engine_cpu_{args.format.lower()}",
        {
            "numerics": numerics,
            "plain_numerics": compared.plain.executor.caps.numerics_id,
            "threads": args.threads,
            "clock": args.clock,
            "context": args.context,
            "load_average": {"before": before, "after": os.getloadavg()},
            "load": load,
            "steps": compared.figures,
        },
    )


if __name__ == "__main__":
    main()
