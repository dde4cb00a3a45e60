"""The decoder's fused elementwise operations as Triton kernels: one launch each, where plain torch takes three to eight.

It owns kernels and their launches; what they compute is said in `kernels.reference`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from portico_engine.kernels.reference import SWIGLU_ALPHA, SWIGLU_LIMIT
from portico_engine.plan import BLOCK_TOKENS


@triton.jit
def _add_norm(x_ptr, delta_ptr, weight_ptr, eps_ptr, out_ptr, hidden, HAS_DELTA: tl.constexpr, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, WIDTH)
    inside = at < hidden
    x = tl.load(x_ptr + row * hidden + at, mask=inside, other=0.0)
    if HAS_DELTA:
        x += tl.load(delta_ptr + row * hidden + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(x_ptr + row * hidden + at, x, mask=inside)
    scale = tl.rsqrt(tl.sum(x * x) / hidden + tl.load(eps_ptr))
    weight = tl.load(weight_ptr + at, mask=inside, other=0.0)
    tl.store(out_ptr + row * hidden + at, (x * scale * weight).to(tl.bfloat16), mask=inside)


@triton.jit
def _rotate(qk_ptr, cos_ptr, sin_ptr, token_stride, heads, HALF: tl.constexpr, WIDTH: tl.constexpr, HEADS: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)[:, None]
    at = tl.arange(0, WIDTH)[None, :]
    inside = (at < HALF) & (head < heads)
    low_ptr = qk_ptr + token * token_stride + head * (2 * HALF) + at
    low = tl.load(low_ptr, mask=inside, other=0.0).to(tl.float32)
    high = tl.load(low_ptr + HALF, mask=inside, other=0.0).to(tl.float32)
    cos = tl.load(cos_ptr + token * (2 * HALF) + at, mask=at < HALF, other=0.0)
    sin = tl.load(sin_ptr + token * (2 * HALF) + HALF + at, mask=at < HALF, other=0.0)
    tl.store(low_ptr, (low * cos - high * sin).to(tl.bfloat16), mask=inside)
    tl.store(low_ptr + HALF, (high * cos + low * sin).to(tl.bfloat16), mask=inside)


@triton.jit
def _gated(gate_up_ptr, out_ptr, width, WIDTH: tl.constexpr, KIND: tl.constexpr, ALPHA: tl.constexpr, LIMIT: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = at < width
    gate = tl.load(gate_up_ptr + row * 2 * width + at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + row * 2 * width + width + at, mask=inside, other=0.0).to(tl.float32)
    if KIND == "gelu":
        gate *= tl.sigmoid(1.5957691216057308 * (gate + 0.044715 * gate * gate * gate))  # (1 + tanh z) / 2 = sigmoid(2 z)
    elif KIND == "clamped":
        gate = tl.minimum(gate, LIMIT)
        gate *= tl.sigmoid(ALPHA * gate)
        up = tl.minimum(tl.maximum(up, -LIMIT), LIMIT) + 1
    else:
        gate *= tl.sigmoid(gate)
    tl.store(out_ptr + row * width + at, (gate * up).to(tl.bfloat16), mask=inside)


_BATCH = ["positions_ptr", "rows_ptr", "tables_ptr", "table_stride"]  # differ between batches: no kernel for each alignment


@triton.jit(do_not_specialize=_BATCH, do_not_specialize_on_alignment=_BATCH)
def _store(
    kv_ptr, new_ptr, positions_ptr, rows_ptr, tables_ptr,
    head_stride, token_stride, table_stride, dim,
    BLOCK: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0)
    head = tl.program_id(1).to(tl.int64)
    position = tl.load(positions_ptr + token)
    if position >= 0:
        row = tl.load(rows_ptr + token).to(tl.int64)
        block = tl.load(tables_ptr + row * table_stride + position // BLOCK).to(tl.int64)
        at = tl.arange(0, WIDTH)
        value = tl.load(new_ptr + token.to(tl.int64) * token_stride + head * dim + at, mask=at < dim)
        slot = block * BLOCK + position % BLOCK
        tl.store(kv_ptr + head * head_stride + slot * dim + at, value, mask=at < dim)


def add_norm(x: Tensor, delta: Tensor | None, weight: Tensor, eps: Tensor) -> Tensor:
    """`reference.add_norm`."""
    n, hidden = x.shape
    out = torch.empty(n, hidden, dtype=torch.bfloat16, device=x.device)
    width = triton.next_power_of_2(hidden)
    _add_norm[(n,)](
        x, delta, weight, eps, out, hidden, HAS_DELTA=delta is not None, WIDTH=width, num_warps=min(16, max(1, width // 256))
    )
    return out


def rotate(qk: Tensor, cos: Tensor, sin: Tensor) -> None:
    """`reference.rotate`."""
    n, heads, dim = qk.shape
    assert qk.stride(1) == dim
    assert qk.stride(2) == 1
    _rotate[(n, triton.cdiv(heads, 8))](
        qk, cos, sin, qk.stride(0), heads, HALF=dim // 2, WIDTH=triton.next_power_of_2(dim // 2), HEADS=8, num_warps=2
    )


def swiglu(gate_up: Tensor) -> Tensor:
    """`reference.swiglu`."""
    return _activated(gate_up, "silu")


def geglu(gate_up: Tensor) -> Tensor:
    """`reference.geglu`."""
    return _activated(gate_up, "gelu")


def clamped_swiglu(gate_up: Tensor) -> Tensor:
    """`reference.clamped_swiglu`."""
    return _activated(gate_up, "clamped")


def _activated(gate_up: Tensor, kind: str) -> Tensor:
    n, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = torch.empty(n, width, dtype=torch.bfloat16, device=gate_up.device)
    _gated[(n, triton.cdiv(width, 1024))](
        gate_up, out, width, WIDTH=1024, KIND=kind, ALPHA=SWIGLU_ALPHA, LIMIT=SWIGLU_LIMIT, num_warps=4
    )
    return out


def store(kv: Tensor, keys_values: Tensor, positions: Tensor, rows: Tensor, tables: Tensor) -> None:
    """`reference.store`."""
    n, heads, dim = keys_values.shape
    assert keys_values.stride(1) == dim
    _store[(n, heads)](
        kv, keys_values, positions, rows, tables, kv.stride(0), keys_values.stride(0), tables.stride(0), dim,
        BLOCK=BLOCK_TOKENS, WIDTH=triton.next_power_of_2(dim), num_warps=1,
    )  # fmt: skip
