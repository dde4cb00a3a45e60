"""A decoder's fused operations as kernels of the CPU: `models.decoder.FusedOps`.

What a kernel does not take, by its type or how it lies in memory, the twin in `kernels.reference` computes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from portico_engine.kernels import reference
from portico_engine.kernels.cpu.library import KernelLibrary


class CPUOperations:
    """The functions of `kernels.reference` that a decoder calls."""

    geglu = staticmethod(reference.geglu)
    clamped_swiglu = staticmethod(reference.clamped_swiglu)

    def __init__(self, library: KernelLibrary) -> None:
        self._library = library

    def add_norm(self, x: Tensor, delta: Tensor | None, weight: Tensor, eps: Tensor) -> Tensor:
        """See `reference.add_norm`."""
        given = delta is None or (delta.dtype == torch.bfloat16 and delta.is_contiguous())
        if x.dtype != torch.float32 or not x.is_contiguous() or not given:
            return reference.add_norm(x, delta, weight, eps)
        n, hidden = x.shape
        out = torch.empty(n, hidden, dtype=torch.bfloat16)
        address = None if delta is None else delta.data_ptr()
        self._library.add_norm(x.data_ptr(), address, weight.data_ptr(), eps.data_ptr(), out.data_ptr(), n, hidden)
        return out

    def rotate(self, qk: Tensor, cos: Tensor, sin: Tensor) -> None:
        """See `reference.rotate`."""
        n, heads, dim = qk.shape
        stride, between, within = qk.stride()
        if qk.dtype != torch.bfloat16 or within != 1 or (between != dim and heads != 1):
            return reference.rotate(qk, cos, sin)
        self._library.rotate(qk.data_ptr(), cos.data_ptr(), sin.data_ptr(), n, heads, dim, stride)

    def swiglu(self, gate_up: Tensor) -> Tensor:
        """See `reference.swiglu`."""
        if gate_up.dtype != torch.bfloat16 or not gate_up.is_contiguous():
            return reference.swiglu(gate_up)
        n, size = gate_up.shape[0], gate_up.shape[1] // 2
        out = torch.empty(n, size, dtype=torch.bfloat16)
        self._library.swiglu(gate_up.data_ptr(), out.data_ptr(), n, size)
        return out
