"""Products of a few rows with 4-bit weights as Triton kernels: a decode step reads every weight once, and a quarter of the bytes.

One row is a sum of products; 2 to 16 rows go through the matrix units, padded to 16. It owns kernels and their launches;
formats and what is computed are said in `kernels.reference`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

MAX_ROWS = 16


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


@triton.jit
def _few_rows(
    x_ptr, packed_ptr, scales_ptr, bias_ptr, y_ptr, n, n_out, n_in,
    HAS_BIAS: tl.constexpr, ROWS: tl.constexpr, OUT: tl.constexpr, GROUPS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * OUT + tl.arange(0, OUT)
    n_groups = n_in // 32
    sample = tl.arange(0, ROWS)
    half = tl.arange(0, GROUPS * 16)  # a low or high code's place within the tile
    total = tl.zeros([ROWS, OUT], tl.float32)
    for first in range(0, n_groups, GROUPS):
        group = first + half // 16
        inside = (row < n_out)[:, None] & (group < n_groups)[None, :]
        at = row[:, None].to(tl.int64) * (n_in // 2) + first * 16 + half[None, :]
        codes = tl.load(packed_ptr + at, mask=inside, other=0).to(tl.int32)
        scale_at = row[:, None].to(tl.int64) * n_groups + group[None, :]
        scale = tl.load(scales_ptr + scale_at, mask=inside, other=0.0).to(tl.float32)
        offset = tl.load(scales_ptr + n_out.to(tl.int64) * n_groups + scale_at, mask=inside, other=0.0).to(tl.float32)
        x_at = x_ptr + sample[:, None] * n_in + (group * 32 + half % 16)[None, :]
        x_inside = (sample < n)[:, None] & (group < n_groups)[None, :]
        x_low = tl.load(x_at, mask=x_inside, other=0.0)
        x_high = tl.load(x_at + 16, mask=x_inside, other=0.0)
        low = ((codes & 15).to(tl.float32) * scale + offset).to(tl.bfloat16)
        high = ((codes >> 4).to(tl.float32) * scale + offset).to(tl.bfloat16)
        total = tl.dot(x_low, tl.trans(low), total)
        total = tl.dot(x_high, tl.trans(high), total)
    if HAS_BIAS:
        total += tl.load(bias_ptr + row, mask=row < n_out, other=0.0).to(tl.float32)[None, :]
    y_at = y_ptr + sample[:, None].to(tl.int64) * n_out + row[None, :]
    tl.store(y_at, total.to(tl.bfloat16), mask=(sample < n)[:, None] & (row < n_out)[None, :])


def four_bit_product(x: Tensor, packed: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """`reference.four_bit_product`, for at most MAX_ROWS rows."""
    n, n_in = x.shape
    n_out = packed.shape[0]
    assert n <= MAX_ROWS
    assert x.is_contiguous()
    y = torch.empty(n, n_out, dtype=torch.bfloat16, device=x.device)
    if n == 1:
        out = 2 if n_out < 8192 else 4
        groups = min(128, triton.next_power_of_2(n_in // 32))
        _one_row[(triton.cdiv(n_out, out),)](
            x, packed, scales, bias, y, n_out, n_in,
            HAS_BIAS=bias is not None, OUT=out, GROUPS=groups, num_warps=max(1, min(4, groups // 16)),
        )  # fmt: skip
    else:
        out = 16 if n_out < 8192 else 32
        _few_rows[(triton.cdiv(n_out, out),)](
            x, packed, scales, bias, y, n, n_out, n_in,
            HAS_BIAS=bias is not None, ROWS=16, OUT=out, GROUPS=8, num_warps=4, num_stages=4,
        )  # fmt: skip
    return y
