"""Attention of single tokens over paged KV as a Triton kernel: decode rows and short runs.

The heads of a group share a program, so that each key and value is read once. Long contexts are split among programs, whose
parts are then combined (Flash-Decoding, Dao et al. 2023); the number of parts depends on the batch's size only, so that a
captured graph serves any context. It owns kernels and their launches; what they compute is said in `kernels.reference`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from portico_engine.plan import BLOCK_TOKENS

_TILE = 64  # positions at a time
_MAX_SPLITS = 32
_PROGRAMS = 528  # that many keep a large GPU busy


# Arguments that differ between batches: a kernel for each of their alignments would be compiled in the middle of an answer.
_BATCH = ["q_ptr", "positions_ptr", "rows_ptr", "tables_ptr", "q_stride", "table_stride"]


@triton.jit(do_not_specialize=_BATCH, do_not_specialize_on_alignment=_BATCH)
def _attend(
    q_ptr, kv_ptr, positions_ptr, rows_ptr, tables_ptr, sinks_ptr, out_ptr, parts_ptr, weights_ptr,
    q_stride, head_stride, table_stride, scale,
    WINDOW: tl.constexpr, SINKS: tl.constexpr,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, DIM: tl.constexpr, SPLITS: tl.constexpr,
    GROUP_PAD: tl.constexpr, DIM_PAD: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    kv_head = tl.program_id(1)
    split = tl.program_id(2)
    seen = tl.load(positions_ptr + token) + 1
    table_ptr = tables_ptr + tl.load(rows_ptr + token).to(tl.int64) * table_stride
    begin = tl.maximum(seen - WINDOW, 0) if WINDOW else seen * 0
    span = tl.cdiv(tl.cdiv(seen - begin, SPLITS), TILE) * TILE
    first = begin + split * span
    last = tl.minimum(first + span, seen)
    group = tl.arange(0, GROUP_PAD)
    at = tl.arange(0, DIM_PAD)
    head = kv_head * GROUP + group
    used = (group < GROUP)[:, None] & (at < DIM)[None, :]
    q = tl.load(q_ptr + token * q_stride + head[:, None] * DIM + at[None, :], mask=used, other=0.0)
    keys_ptr = kv_ptr + kv_head.to(tl.int64) * head_stride
    values_ptr = keys_ptr + KV_HEADS * head_stride
    top = tl.full([GROUP_PAD], -1e30, tl.float32)
    total = tl.zeros([GROUP_PAD], tl.float32)
    mixed = tl.zeros([GROUP_PAD, DIM_PAD], tl.float32)
    for start in range(first, last, TILE):
        position = start + tl.arange(0, TILE)
        inside = position < last
        block = tl.load(table_ptr + position // BLOCK, mask=inside, other=0)
        slot = block.to(tl.int64) * BLOCK + position % BLOCK
        where = slot[:, None] * DIM + at[None, :]
        loaded = inside[:, None] & (at < DIM)[None, :]
        keys = tl.load(keys_ptr + where, mask=loaded, other=0.0)
        values = tl.load(values_ptr + where, mask=loaded, other=0.0)
        scores = tl.where(inside[None, :], tl.dot(q, tl.trans(keys)) * scale, -1e30)
        higher = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        shrink = tl.exp2(top - higher)
        total = total * shrink + tl.sum(weights, 1)
        mixed = mixed * shrink[:, None] + tl.dot(weights.to(tl.bfloat16), values)
        top = higher
    if SINKS and SPLITS == 1:
        total += tl.exp2(tl.load(sinks_ptr + head, mask=group < GROUP, other=0.0) * 1.4426950408889634 - top)
    total_or_one = tl.where(total > 0, total, 1.0)
    mixed = mixed / total_or_one[:, None]
    if SPLITS == 1:
        tl.store(out_ptr + (token * KV_HEADS * GROUP + head[:, None]) * DIM + at[None, :], mixed.to(tl.bfloat16), mask=used)
    else:
        part = (token * KV_HEADS * GROUP + head) * SPLITS + split
        tl.store(parts_ptr + part[:, None] * DIM + at[None, :], mixed, mask=used)
        tl.store(weights_ptr + part, tl.where(total > 0, top + tl.log2(total_or_one), -1e30), mask=group < GROUP)


@triton.jit
def _combine(
    parts_ptr, weights_ptr, sinks_ptr, out_ptr,
    HEADS: tl.constexpr, SINKS: tl.constexpr, DIM: tl.constexpr, DIM_PAD: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(0).to(tl.int64)  # of all tokens
    split = tl.arange(0, SPLITS)
    at = tl.arange(0, DIM_PAD)
    weights = tl.load(weights_ptr + head * SPLITS + split)
    top = tl.max(weights)
    weights = tl.exp2(weights - top)
    total = tl.sum(weights)
    if SINKS:
        total += tl.exp2(tl.load(sinks_ptr + head % HEADS) * 1.4426950408889634 - top)
    parts = tl.load(parts_ptr + (head * SPLITS + split[:, None]) * DIM + at[None, :], mask=(at < DIM)[None, :], other=0.0)
    mixed = tl.sum(parts * weights[:, None], 0) / total
    tl.store(out_ptr + head * DIM + at, mixed.to(tl.bfloat16), mask=at < DIM)


def paged_attention(
    queries: Tensor,
    kv: Tensor,
    positions: Tensor,
    rows: Tensor,
    tables: Tensor,
    window: int = 0,
    sinks: Tensor | None = None,
) -> Tensor:
    """`reference.paged_attention`."""
    n, heads, dim = queries.shape
    assert queries.stride(1) == dim
    kv_heads = kv.shape[0] // 2
    group = heads // kv_heads
    splits = n_splits(n * kv_heads)
    out = torch.empty(n, heads * dim, dtype=torch.bfloat16, device=queries.device)
    parts = weights = out
    if splits > 1:
        parts = torch.empty(n, heads, splits, dim, dtype=torch.float32, device=queries.device)
        weights = torch.empty(n, heads, splits, dtype=torch.float32, device=queries.device)
    dim_pad = max(16, triton.next_power_of_2(dim))
    _attend[(n, kv_heads, splits)](
        queries, kv, positions, rows, tables, out if sinks is None else sinks, out, parts, weights,
        queries.stride(0), kv.stride(0), tables.stride(0), dim**-0.5 * 1.4426950408889634,
        WINDOW=window, SINKS=sinks is not None, KV_HEADS=kv_heads, GROUP=group, DIM=dim, SPLITS=splits,
        GROUP_PAD=max(16, triton.next_power_of_2(group)), DIM_PAD=dim_pad, TILE=_TILE, BLOCK=BLOCK_TOKENS,
        num_warps=4, num_stages=3,
    )  # fmt: skip
    if splits > 1:
        _combine[(n * heads,)](
            parts, weights, out if sinks is None else sinks, out,
            HEADS=heads, SINKS=sinks is not None, DIM=dim, DIM_PAD=dim_pad, SPLITS=splits, num_warps=1,
        )  # fmt: skip
    return out


def n_splits(programs: int) -> int:
    """Parts of a context, a power of two, for so many (token, key/value head) pairs."""
    return min(_MAX_SPLITS, max(1, triton.next_power_of_2(_PROGRAMS // programs))) if programs < _PROGRAMS else 1
