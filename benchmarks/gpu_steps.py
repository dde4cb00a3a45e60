"""What single steps of an executor take on one NVIDIA GPU: decode, prefill, and the bandwidth to hold them against."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from portico_engine.executors.protocol import Executor
from portico_engine.models.decoder_weights import ExpertsWeights, StackedExperts
from portico_engine.plan import Row, StepPlan, blocks_for
from portico_engine.request import SamplingParams
from portico_engine.sampling import SamplingState

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


def decode(executor: Executor, batch: int, context: int, steps: int) -> float:
    """Seconds a step."""
    most = min(40_000, executor.caps.vocab_size)
    width = blocks_for(context + steps + 1)
    tables = [tuple(range(i * width, (i + 1) * width)) for i in range(batch)]
    rng = np.random.default_rng(0)
    for i, blocks in enumerate(tables):
        tokens = tuple(rng.integers(3, most, context).tolist())
        executor.submit(StepPlan((Row(i, tokens, 0, blocks),))).finish()
    last = [100] * batch
    times = []
    for at in range(context, context + steps):
        start = time.perf_counter()
        rows = tuple(Row(i, (last[i],), at, blocks, (0,), GREEDY) for i, blocks in enumerate(tables))
        sampled = executor.submit(StepPlan(rows)).finish()
        last = [tokens[0] for tokens in sampled.tokens]
        times.append(time.perf_counter() - start)
    return statistics.median(times)


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
