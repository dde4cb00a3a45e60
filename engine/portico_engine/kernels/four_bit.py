"""The product of one row with 4-bit weights as a Triton kernel: a decode step reads every weight once, in a third of the bytes.

It owns the kernel and its launch; the format and what is computed are said in `kernels.reference`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _one_row(
    x_ptr, packed_ptr, scales_ptr, bias_ptr, y_ptr, n_out, n_in,
    HAS_BIAS: tl.constexpr, OUT: tl.constexpr, GROUPS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * OUT + tl.arange(0, OUT)
    n_groups = n_in // 32
    byte = tl.arange(0, 16)
    total = tl.zeros([OUT], tl.float32)
    for first in range(0, n_groups, GROUPS):
        group = first + tl.arange(0, GROUPS)
        inside = (row < n_out)[:, None] & (group < n_groups)[None, :]
        at = row[:, None, None].to(tl.int64) * (n_in // 2) + group[None, :, None] * 16 + byte[None, None, :]
        codes = tl.load(packed_ptr + at, mask=inside[:, :, None], other=0).to(tl.int32)
        x_at = x_ptr + group[None, :, None] * 32 + byte[None, None, :]
        x_inside = (group < n_groups)[None, :, None]
        x_low = tl.load(x_at, mask=x_inside, other=0.0).to(tl.float32)
        x_high = tl.load(x_at + 16, mask=x_inside, other=0.0).to(tl.float32)
        # The codes become floats 1 + code / 16 by their bits alone: conversions are slower than memory here.
        low = (((codes & 15) << 19) | 0x3F800000).to(tl.float32, bitcast=True)
        high = (((codes & 0xF0) << 15) | 0x3F800000).to(tl.float32, bitcast=True)
        products = tl.sum(low * x_low + high * x_high, 2)
        sums = tl.sum(x_low + x_high, 2)
        scale_at = row[:, None].to(tl.int64) * n_groups + group[None, :]
        scale = tl.load(scales_ptr + scale_at, mask=inside, other=0.0).to(tl.float32)
        offset = tl.load(scales_ptr + n_out.to(tl.int64) * n_groups + scale_at, mask=inside, other=0.0).to(tl.float32)
        total += tl.sum(products * (16 * scale) + sums * (offset - 16 * scale), 1)
    if HAS_BIAS:
        total += tl.load(bias_ptr + row, mask=row < n_out, other=0.0).to(tl.float32)
    tl.store(y_ptr + row, total.to(tl.bfloat16), mask=row < n_out)


def four_bit_product(x: Tensor, packed: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """`reference.four_bit_product`, for one row."""
    n, n_in = x.shape
    n_out = packed.shape[0]
    assert n == 1
    y = torch.empty(1, n_out, dtype=torch.bfloat16, device=x.device)
    _one_row[(triton.cdiv(n_out, 2),)](
        x, packed, scales, bias, y, n_out, n_in,
        HAS_BIAS=bias is not None, OUT=2, GROUPS=min(64, triton.next_power_of_2(n_in // 32)), num_warps=1,
    )  # fmt: skip
    return y
