"""Activations in float8 with their scales, as a Triton kernel: what products with float8 weights take.

It owns the kernel and its launch. What it computes is said in `kernels.reference`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from portico_engine.kernels.reference import FLOAT8_LARGEST


@triton.jit
def _quantize(x_ptr, out_ptr, scales_ptr, n_in, group_stride, LARGEST: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    group = tl.program_id(1)
    column = group * GROUP + tl.arange(0, WIDTH)
    inside = (tl.arange(0, WIDTH) < GROUP) & (column < n_in)
    x = tl.load(x_ptr + row * n_in + column, mask=inside, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(x)), 1e-12) / LARGEST
    tl.store(out_ptr + row * n_in + column, (x / scale).to(tl.float8e4nv), mask=inside)
    tl.store(scales_ptr + row + group * group_stride, scale)


def quantize_float8(x: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """`reference.quantize_float8`."""
    n, n_in = x.shape
    assert x.is_contiguous()
    groups = triton.cdiv(n_in, group)
    out = torch.empty(n, n_in, dtype=torch.float8_e4m3fn, device=x.device)
    scales = torch.empty(groups, n, dtype=torch.float32, device=x.device)
    width = triton.next_power_of_2(group)
    _quantize[(n, groups)](
        x, out, scales, n_in, n, LARGEST=FLOAT8_LARGEST, GROUP=group, WIDTH=width, num_warps=min(16, max(1, width // 512))
    )
    return out, scales.T
