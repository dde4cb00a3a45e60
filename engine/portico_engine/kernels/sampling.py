"""The likeliest allowed tokens of logits on a GPU, in one launch: bitmasks are read as they are, a bit a token.

It owns the launch and what it leaves to itself; what is computed is said in `kernels.reference`.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from portico_engine.kernels.cuda_module import CUDA_SOURCES, CUDAModule

_THREADS = 256
_EACH = 8  # tokens of a thread
_ROWS = 1024  # of one launch


def masked_argmax(logits: Tensor, masks: Tensor | None, *, write: bool) -> Tensor:
    """`reference.masked_argmax`."""
    n, vocab = logits.shape
    assert logits.stride(1) == 1
    found = torch.empty(2, n, dtype=torch.float64, device=logits.device)
    best, arrived = _workspace(logits.device)
    words = 0 if masks is None else masks.shape[1] - 1
    for first in range(0, n, _ROWS):
        rows = min(_ROWS, n - first)
        out = found if rows == n else torch.empty(2, rows, dtype=torch.float64, device=logits.device)
        _module(logits.device).launch(
            "masked_argmax", (-(-vocab // (_THREADS * _EACH)), rows, 1), _THREADS,
            logits[first:], logits.stride(0), None if masks is None else masks[first:], words, out, best, arrived, vocab,
            int(write),
        )  # fmt: skip
        if out is not found:
            found[:, first : first + rows] = out
    return found


@cache
def _workspace(device: torch.device) -> tuple[Tensor, Tensor]:
    """Zeros, which each launch leaves behind it too; launches are on one stream."""
    return torch.zeros(_ROWS, dtype=torch.int64, device=device), torch.zeros(_ROWS, dtype=torch.int32, device=device)


@cache
def _module(device: torch.device) -> CUDAModule:
    return CUDAModule(CUDA_SOURCES / "masked_argmax.cu", {}, device)
