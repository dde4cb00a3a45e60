"""Two GPUs beside one: prefills, captured graphs, experts that are split, dealt out and travelled to, and a rank that dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine.models.families import CLOSE, apart, write
from tests.engine.tiny_model import Q

from portico_engine.errors import DeviceLost
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.ranks.rank_executor import RankExecutor
from portico_engine.executors.ranks.rank_model import RankModel
from portico_engine.parallel.expert_parallel import AUTO, Exchange
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two NVIDIA GPUs")]
LENGTH = 600  # more than a graph has
PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, LENGTH))
SIZES = Sizes(1024, 2048, max_rows=8)
WAYS = {"tp": (False, AUTO), "ep": (True, AUTO), "ep, all to all": (True, Exchange("all_to_all"))}


def logits(executor: Any, chunks: list[int]) -> torch.Tensor:
    parts, at = [], 0
    for count in chunks:
        piece = PROMPT[at : at + count]
        row = Row(0, piece, at, tuple(range(64)), logits_indices=tuple(range(count)), targets=piece)
        parts.append(executor.submit(StepPlan((row,))).logits.cpu().float().clone())
        at += count
    return torch.cat(parts).log_softmax(-1)


@pytest.mark.parametrize("chunks", [[LENGTH], [1] * 40], ids=["whole", "single"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["mixtral", "qwen2moe", "granite", "phi3"])
def test_two_gpus_say_what_one_says(tmp_path: Path, name: str, way: str, chunks: list[int]) -> None:
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    expert_parallel, exchange = WAYS[way]
    if expert_parallel and name not in ("mixtral", "qwen2moe"):
        pytest.skip("it has no experts")
    path = write(tmp_path / "tiny.gguf", name, Q.Q8_0)
    one = TorchCUDAExecutor.load(GGUFFile(path), SIZES)
    executor = RankExecutor.load(RankModel(path, 2, True, expert_parallel, exchange), SIZES)
    try:
        expected, got = logits(one, chunks), logits(executor, chunks)
        assert apart(expected, got, GGUFFile(path)) < 2 * CLOSE
    finally:
        executor.close()
        one.close()


def test_a_rank_that_is_killed_in_a_step_ends_the_others_soon(tmp_path: Path) -> None:
    executor = RankExecutor.load(RankModel(write(tmp_path / "tiny.gguf", "mixtral", Q.Q8_0), 2, True), SIZES)
    (pid,) = executor.pids
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    begun = time.monotonic()
    try:
        with pytest.raises(DeviceLost, match="rank 1 of 2 was ended by SIGKILL"):
            executor.submit(StepPlan((Row(0, PROMPT[:20], 0, (0, 1), (19,), targets=(5,)),))).finish()
    finally:
        executor.close()
    assert time.monotonic() - begun < 15
