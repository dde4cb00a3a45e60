"""Paged KV on a GPU, and attention over it: single tokens and short runs by the paged kernel, prefills by FlashAttention over
gathered keys and values.

It owns the KV tensors and a batch's addresses on the device. It knows neither decoder layers' arithmetic nor who shares blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from portico_engine.executors.protocol import BLOCK_TOKENS, Copy, Row, blocks_for
from portico_engine.kernels.fused import store
from portico_engine.kernels.paged_attention import paged_attention
from portico_engine.models.config import DecoderConfig

SHORT = 16  # tokens of a row up to which each reads the cache for itself


class DeviceKV:
    """Keys and values of all layers in blocks of BLOCK_TOKENS positions, bf16 [layers, 2 kv_heads, slots, head_dim]."""

    def __init__(self, config: DecoderConfig, n_blocks: int, device: str) -> None:
        shape = (config.n_layers, 2 * config.n_kv_heads, n_blocks * BLOCK_TOKENS, config.head_dim)
        self.tensor = torch.empty(shape, dtype=torch.bfloat16, device=device)

    def copy(self, op: Copy) -> None:
        """The first positions of a block into another, all layers."""
        source, target = op.source * BLOCK_TOKENS, op.target * BLOCK_TOKENS
        self.tensor[:, :, target : target + op.n_tokens] = self.tensor[:, :, source : source + op.n_tokens]


class Batch(NamedTuple):
    """A ragged batch of n tokens on one device, int32. A negative position is padding."""

    addresses: Tensor  # [3, n]: token, position, and the row whose block table it has
    tables: Tensor  # [rows, blocks]

    @property
    def tokens(self) -> Tensor:
        return self.addresses[0]

    @property
    def positions(self) -> Tensor:
        return self.addresses[1]

    @property
    def rows(self) -> Tensor:
        return self.addresses[2]

    @classmethod
    def of(cls, rows: Sequence[Row], device: str, *, pad_to: int = 0) -> Batch:
        """Bring a plan's rows to the device in one transfer."""
        counts = [len(row.tokens) for row in rows]
        n, padding = max(sum(counts), pad_to), [0] * max(0, pad_to - sum(counts))
        width = max(blocks_for(row.start + count) for row, count in zip(rows, counts, strict=True))
        host = np.zeros(3 * n + len(rows) * width, np.int32)
        host[:n] = [*(token for row in rows for token in row.tokens), *padding]
        host[n : 2 * n] = [
            *(row.start + k for row, count in zip(rows, counts, strict=True) for k in range(count)),
            *(-1 for _ in padding),
        ]
        host[2 * n : 3 * n] = [*(i for i, count in enumerate(counts) for _ in range(count)), *padding]
        tables = host[3 * n :].reshape(len(rows), width)
        for table, row in zip(tables, rows, strict=True):
            table[: len(row.block_table)] = row.block_table[:width]
        packed = torch.from_numpy(host).to(device)
        return cls(packed[: 3 * n].view(3, n), packed[3 * n :].view(len(rows), width))


class PagedAttention:
    """`decoder.Attend` for tokens that each read the cache for themselves."""

    def __init__(self, kv: Tensor, batch: Batch) -> None:
        self._kv = kv
        self._batch = batch

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        (_, positions, rows), tables = self._batch
        kv = self._kv[layer]
        store(kv, keys_values, positions, rows, tables)
        return paged_attention(queries, kv, positions, rows, tables)


class MixedAttention:
    """`decoder.Attend` for a step with prefills: their rows go through FlashAttention (Dao 2023), all in one call."""

    def __init__(self, kv: Tensor, batch: Batch, rows: Sequence[Row]) -> None:
        self._kv = kv
        self._batch = batch
        device = kv.device
        counts = [len(row.tokens) for row in rows]
        long = [i for i, count in enumerate(counts) if count > SHORT]
        assert long
        seen = [rows[i].start + counts[i] for i in long]
        self._slots = torch.from_numpy(np.concatenate([_slots(rows[i], n) for i, n in zip(long, seen, strict=True)])).to(device)
        self._starts = [
            torch.tensor([0, *np.cumsum(sizes)], dtype=torch.int32, device=device)
            for sizes in ([counts[i] for i in long], seen)
        ]
        self._longest = max(counts[i] for i in long), max(seen)
        short = np.concatenate([np.full(count, count <= SHORT) for count in counts])
        self._long_tokens: Tensor | None = None
        self._short_tokens: Tensor | None = None
        if short.any():
            self._long_tokens = torch.from_numpy(np.flatnonzero(~short)).to(device)
            self._short_tokens = torch.from_numpy(np.flatnonzero(short)).to(device)
            self._short_positions = batch.positions[self._short_tokens]
            self._short_rows = batch.rows[self._short_tokens]

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        (_, positions, rows), tables = self._batch
        kv = self._kv[layer]
        store(kv, keys_values, positions, rows, tables)
        if self._short_tokens is None or self._long_tokens is None:
            return self._prefill(kv, queries)
        out = torch.empty(queries.shape[0], queries.shape[1] * queries.shape[2], dtype=queries.dtype, device=queries.device)
        out[self._long_tokens] = self._prefill(kv, queries[self._long_tokens])
        short = queries[self._short_tokens]
        out[self._short_tokens] = paged_attention(short, kv, self._short_positions, self._short_rows, tables)
        return out

    def _prefill(self, kv: Tensor, queries: Tensor) -> Tensor:
        gathered = kv[:, self._slots].transpose(0, 1)  # [seen, 2 kv_heads, head_dim]
        keys, values = gathered.chunk(2, dim=1)
        out: Tensor = torch.ops.aten._flash_attention_forward(
            queries, keys, values, *self._starts, *self._longest, 0.0, True, False
        )[0]
        return out.reshape(queries.shape[0], -1)


def _slots(row: Row, seen: int) -> np.ndarray:
    """Where the first `seen` positions are, int64 [seen]."""
    blocks = np.array(row.block_table[: blocks_for(seen)], np.int64)
    return (blocks[:, None] * BLOCK_TOKENS + np.arange(BLOCK_TOKENS)).reshape(-1)[:seen]
