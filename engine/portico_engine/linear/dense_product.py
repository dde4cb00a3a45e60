"""The product with a bfloat16 matrix on a CPU: torch's own, or in float32 where the CPU has no instructions for bfloat16.

Without them torch multiplies bfloat16 number by number: at 8 GFLOP/s where one core of a Zen 3 has 40 or more in float32. It
owns that choice. Either way products are exact and sums float32.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_FEW_ROWS = 6  # up to so many, widening the matrix takes longer than bfloat16's own product
_PIECE = 1 << 22  # numbers of a matrix that are widened at once: 16 MiB


@cache
def multiplies_bf16() -> bool:
    """Has this CPU fast products of bfloat16, as far as torch uses them?"""
    if torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2"):
        return True
    found = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # type: ignore[no-untyped-call]
    return bool(found)


def dense_product(x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype | None = None) -> Tensor:
    """x [n, in] times weight [out, in] and `bias` [out], all bf16 -> [n, out] of `dtype`, else bf16. Any other dtype that all
    three have is computed in, and kept."""
    dtype = dtype or x.dtype
    few = x.shape[0] <= _FEW_ROWS and dtype == torch.bfloat16  # float32 is not to depend on the rows
    if few or x.dtype != torch.bfloat16 or multiplies_bf16():
        return F.linear(x, weight, bias).to(dtype)
    return wide_product(x, weight, bias, dtype)


def wide_product(x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The same in float32, some rows of the matrix after the other: a whole one may be larger than what is free."""
    wide, n_out = x.float(), weight.shape[0]
    out = torch.empty(x.shape[0], n_out, dtype=dtype)
    count = max(1, _PIECE // weight.shape[1])
    for first in range(0, n_out, count):
        rows = slice(first, first + count)
        out[:, rows] = F.linear(wide, weight[rows].float(), None if bias is None else bias[rows].float())
    return out
