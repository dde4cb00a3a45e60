"""What single steps of an executor take on one NVIDIA GPU: decode, prefill, and the bandwidth to hold them against.

    python benchmarks/gpu_steps.py [--model smollm2] [--batches 1,8,64,256] [--context 256] [--steps 128]

shows what running one step ahead is worth, in one run: decode steps of the executor alone, each begun when the one before it is
finished and while it still runs; and the same of a whole engine, unconstrained greedy answers of so many requests at once, with
scheduling, sampling and detokenization.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from portico_engine import Engine, Request, find_model, load_engine
from portico_engine.executors.protocol import Executor, PendingStep
from portico_engine.models.decoder_weights import ExpertsWeights, StackedExperts
from portico_engine.plan import Row, StepPlan, blocks_for
from portico_engine.request import STEP_PARTS, SamplingParams
from portico_engine.sampling import SamplingState
from report import table, write

if TYPE_CHECKING:
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

PREFILL = 2048
GREEDY = SamplingState(SamplingParams(temperature=0), 0, 0)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Median wall time, after one warm-up."""
    times = []
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    for i in range(repeats + 1):
        wait()
        start = time.perf_counter()
        run()
        wait()
        if i:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def read_bandwidth() -> float:
    """Bytes a second of a sum over 4 GiB."""
    data = torch.rand(1 << 30, device="cuda")
    return data.nbytes / seconds(lambda: data.sum(), 9)


def step_bytes(executor: TorchCUDAExecutor, batch: int, context: int) -> int:
    """What a decode step has to read."""
    config, weights = executor._decoder.config, executor._decoder.weights
    read = sum(getattr(product, "code_bytes", product.n_bytes) for product in weights.linears())
    for layer in weights.layers:
        if isinstance(layer.feed_forward, ExpertsWeights) and isinstance(layer.feed_forward.experts, StackedExperts):
            stacked, experts = layer.feed_forward.experts, config.experts
            assert experts is not None
            taken = 1 - (1 - experts.used / experts.count) ** batch  # share of the experts, were tokens to choose at random
            read += int(taken * (stacked.gate_up.n_bytes + stacked.down.n_bytes))
    return read + batch * context * executor._decoder.config.kv_bytes_per_token


def decode(executor: Executor, batch: int, context: int, steps: int, *, ahead: bool = False) -> float:
    """Seconds a step: from one's tokens to the next one's. `ahead`: each is begun before the one before it is finished."""
    most = min(40_000, executor.caps.vocab_size)
    width = blocks_for(context + steps + 1)
    tables = [tuple(range(i * width, (i + 1) * width)) for i in range(batch)]
    rng = np.random.default_rng(0)
    for i, blocks in enumerate(tables):
        tokens = tuple(rng.integers(3, most, context).tolist())
        executor.submit(StepPlan((Row(i, tokens, 0, blocks),))).finish()
    last: list[int] | None = [100] * batch

    def begin(at: int) -> PendingStep:
        tokens = [0] * batch if last is None else last
        rows = [Row(i, (tokens[i],), at, blocks, (0,), GREEDY, follows=last is None) for i, blocks in enumerate(tables)]
        step = executor.submit(StepPlan(tuple(rows)))
        if ahead:
            step.sample()
        return step

    times = []
    under_way = begin(context)
    for at in range(context + 1, context + steps):
        start = time.perf_counter()
        if ahead:
            last = None
            following = begin(at)
            under_way.finish()
        else:
            last = [tokens[0] for tokens in under_way.finish().tokens]
            following = begin(at)
        under_way = following
        times.append(time.perf_counter() - start)
    under_way.finish()
    return statistics.median(times)


def answer(engine: Engine, batch: int, context: int, tokens: int, *, ahead: bool) -> dict[str, float]:
    """Tokens a second of `batch` greedy answers at once, and a step's milliseconds by part, once all prompts are read."""
    executor = cuda_executor(engine)
    executor.caps = replace(executor.caps, runs_ahead=ahead)
    rng = np.random.default_rng(1)
    params = SamplingParams(temperature=0, ignore_eos=True)
    for i in range(batch):
        engine.submit(Request(f"{ahead} {i}", tuple(rng.integers(3, 40_000, context).tolist()), params, max_tokens=tokens))
    answering: set[str] = set()
    while len(answering) < batch:
        answering.update(delta.request_id for delta in engine.step())
    before, began = engine.stats(), time.perf_counter()
    for _ in range(tokens // 2):
        engine.step()
    seconds, after = time.perf_counter() - began, engine.stats()
    while engine.has_work:
        engine.step()
    steps = after["steps"] - before["steps"]
    parts = {
        part: round(1000 * (after[f"step_seconds_{part}"] - before[f"step_seconds_{part}"]) / steps, 3) for part in STEP_PARTS
    }
    return {"tokens_per_second": round((after["generated_tokens"] - before["generated_tokens"]) / seconds), **parts}


def prefill(executor: Executor, prompts: int, length: int = PREFILL) -> float:
    """Tokens a second."""
    width = blocks_for(length)
    most = min(40_000, executor.caps.vocab_size)
    tokens = tuple(np.random.default_rng(0).integers(3, most, length).tolist())
    rows = [Row(i, tokens, 0, tuple(range(i * width, (i + 1) * width)), (length - 1,), GREEDY) for i in range(prompts)]
    together = max(1, executor.caps.step_tokens // length)

    def run() -> None:
        for at in range(0, prompts, together):
            executor.submit(StepPlan(tuple(rows[at : at + together]))).finish()

    return prompts * length / seconds(run, 5)


def cuda_executor(engine: Engine) -> TorchCUDAExecutor:
    """Its own, to be timed by itself."""
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    assert isinstance(engine._executor, TorchCUDAExecutor)
    return engine._executor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--batches", default="1,8,64,256")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    batches = [int(batch) for batch in args.batches.split(",")]
    tokens = max(batches) * (args.context + args.steps + 32)
    engine = load_engine(
        find_model(args.model),
        executor="torch-cuda",
        context=args.context + args.steps + 32,
        kv_tokens=tokens,
        max_rows=max(batches),
    )
    executor = cuda_executor(engine)
    figures: list[dict[str, Any]] = []
    for batch in batches:
        answers = {ahead: answer(engine, batch, args.context, args.steps, ahead=ahead) for ahead in (False, True)}
        figures.append({"batch": batch, "engine": answers[False], "engine_ahead": answers[True]})
    for found in figures:  # behind the engine's: these write over its blocks
        for name, ahead in (("step_ms", False), ("step_ms_ahead", True)):
            found[name] = round(1000 * decode(executor, found["batch"], args.context, args.steps, ahead=ahead), 3)
    table(
        ["batch", "ms a step", "one ahead", "tokens/s", "one ahead", "ratio"],
        [
            [
                found["batch"],
                found["step_ms"],
                found["step_ms_ahead"],
                found["engine"]["tokens_per_second"],
                found["engine_ahead"]["tokens_per_second"],
                round(found["engine_ahead"]["tokens_per_second"] / found["engine"]["tokens_per_second"], 2),
            ]
            for found in figures
        ],
    )
    if not args.no_write:
        write("gpu_steps", {"model": args.model, "context": args.context, "steps": args.steps, "batches": figures})


if __name__ == "__main__":
    main()
