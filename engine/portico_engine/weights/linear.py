"""Products with a model's matrices on a CPU: bfloat16, and 4-bit straight from the file's own codes for a few rows at a time.

It owns the choice between the two by the number of rows, which is a matter of memory bandwidth: a decode step reads every
weight once for little work. It knows neither layers nor files.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

INT4_ROWS = 8  # up to here the 4-bit product wins; from 16 rows on the bfloat16 one does
GROUP = 32


class Linear:
    """y = x W^T (+ b) with W [out, in] in bfloat16, and, where given, the same matrix as 4-bit codes."""

    __slots__ = ("_packed", "_scales", "bias", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None, int4: tuple[Tensor, Tensor] | None = None) -> None:
        """`int4`: codes [out, in] int32 in 0..15 and scales [in/32, out, 2] bf16 of (d, min + 8 d): w = (code - 8) d + (min + 8
        d).
        """
        self.weight = weight
        self.bias = bias
        self._packed: Tensor | None = None
        self._scales: Tensor | None = None
        if int4 is not None:
            self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(int4[0], 1)
            self._scales = int4[1]

    @property
    def has_int4(self) -> bool:
        return self._packed is not None

    def __call__(self, x: Tensor) -> Tensor:
        """x [rows, in] bf16 -> [rows, out] bf16."""
        if self._packed is not None and x.shape[0] <= INT4_ROWS:
            y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, self._packed, GROUP, self._scales)
            return y if self.bias is None else y + self.bias
        return F.linear(x, self.weight, self.bias)


def int4_supported() -> bool:
    """Has this CPU (and this torch) a fast 4-bit product?"""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu")
