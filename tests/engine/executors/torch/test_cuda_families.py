"""Architectures on a GPU beside the CPU: mixtures and constants under captured graphs, rows reordered on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.models.families import CASES, CLOSE, apart, write
from tests.engine.tiny_model import Q

from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
PROMPT = tuple(int(t) for t in np.random.default_rng(1).integers(3, 260, 70))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("chunks", [[70], [1] * 70], ids=["whole", "single"])
def test_a_family_says_on_a_gpu_what_it_says_on_a_cpu(tmp_path: Path, name: str, chunks: list[int]) -> None:
    from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

    file = GGUFFile(write(tmp_path / "tiny.gguf", name, Q.F32))
    logits = []
    for kind in (TorchCPUExecutor, TorchCUDAExecutor):
        executor = kind.load(file, Sizes(128, 512, max_rows=8))
        parts, at = [], 0
        for count in chunks:
            piece = PROMPT[at : at + count]
            row = Row(0, piece, at, (9, 2, 31, 4, 0), logits_indices=tuple(range(count)), targets=piece)
            parts.append(torch.as_tensor(executor.submit(StepPlan((row,))).logits).cpu().float().clone())
            at += count
        logits.append(torch.cat(parts).log_softmax(-1))
    cpu, gpu = logits
    assert apart(cpu, gpu, file) < 2 * CLOSE  # both are bfloat16
