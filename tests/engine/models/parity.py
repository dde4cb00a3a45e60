"""Logits of one token sequence by the engine and by llama.cpp, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.plan import Row, StepPlan
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder

TOKENS = tuple(int(t) for t in np.random.default_rng(3).integers(3, 260, 70))


def our_logits(path: Path, chunks: Sequence[int], *, codes: bool) -> Tensor:
    """Log-probabilities after each of TOKENS, read in pieces of these sizes over blocks that are no neighbours."""
    file = HuggingFaceFolder(path) if path.is_dir() else GGUFFile(path)
    executor = TorchCPUExecutor.load(file, Sizes(128, 128), codes=codes)
    table = tuple(reversed(range(8)))
    out, at = [], 0
    for count in chunks:
        piece = TOKENS[at : at + count]
        row = Row(0, piece, at, table, logits_indices=tuple(range(count)), targets=piece)
        out.append(torch.from_numpy(executor.submit(StepPlan((row,))).logits.copy()))
        at += count
    assert at == len(TOKENS)
    return torch.cat(out).log_softmax(-1)


def llama_cpp_logits(path: Path) -> Tensor:
    """The same by llama.cpp, in one piece."""
    from llama_reference import LlamaCpp  # not where a GPU's tests run

    llama = LlamaCpp(path, context=128, threads=1)
    try:
        return torch.from_numpy(llama.eval(TOKENS, 0, want_all=True)).log_softmax(-1)
    finally:
        llama.close()


def divergence(reference: Tensor, ours: Tensor) -> float:
    """Mean KL(reference || ours) over all positions, in nats."""
    return float((reference.exp() * (reference - ours)).sum(-1).mean())


def agreement(reference: Tensor, ours: Tensor) -> float:
    """Share of positions with the same likeliest token."""
    return float((reference.argmax(-1) == ours.argmax(-1)).float().mean())
