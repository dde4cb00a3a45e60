"""Paged KV on a GPU, and attention over it: single tokens and short runs by the paged kernel, prefills by FlashAttention over
gathered keys and values.

It owns the KV tensors and a batch's addresses on the device. It knows neither decoder layers' arithmetic nor who shares blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from portico_engine.kernels.fused import store
from portico_engine.kernels.paged_attention import paged_attention
from portico_engine.models.config import DecoderConfig
from portico_engine.plan import BLOCK_TOKENS, Copy, Row, blocks_for

SHORT = 16  # tokens of a row up to which each reads the cache for itself


class CUDAPagedKV:
    """Keys and values of all layers in blocks of BLOCK_TOKENS positions, bf16 [layers, 2 kv_heads, slots, head_dim]."""

    def __init__(self, config: DecoderConfig, n_blocks: int, device: str) -> None:
        shape = (config.n_layers, 2 * config.n_kv_heads, n_blocks * BLOCK_TOKENS, config.head_dim)
        self.tensor = torch.empty(shape, dtype=torch.bfloat16, device=device)

    def copy(self, op: Copy) -> None:
        """The first positions of a block into another, all layers."""
        source, target = op.source * BLOCK_TOKENS, op.target * BLOCK_TOKENS
        self.tensor[:, :, target : target + op.n_tokens] = self.tensor[:, :, source : source + op.n_tokens]

    def drop(self, block: int) -> None:
        """Nothing: its next owner overwrites it."""

    def read(self, block: int) -> bytes:
        """See `BlockMemory`. Waits for the device."""
        return self._slots(block).contiguous().view(torch.uint8).cpu().numpy().tobytes()

    def write(self, block: int, content: bytes | memoryview) -> None:
        """The inverse of `read`."""
        slots = self._slots(block)
        slots.copy_(torch.from_numpy(np.frombuffer(content, np.int16).copy()).view(torch.bfloat16).view(slots.shape))

    def _slots(self, block: int) -> Tensor:
        return self.tensor[:, :, block * BLOCK_TOKENS : (block + 1) * BLOCK_TOKENS]


class RaggedBatch(NamedTuple):
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
    def of(cls, rows: Sequence[Row], device: str, *, pad_to: int = 0) -> RaggedBatch:
        """Bring a plan's rows to the device in one transfer."""
        counts = [len(row.tokens) for row in rows]
        n, padding = max(sum(counts), pad_to), [0] * max(0, pad_to - sum(counts))
        width = max(blocks_for(row.start + count) for row, count in zip(rows, counts, strict=True))
        host = np.zeros(3 * n + len(rows) * width, np.int32)
        host[:n] = [*(token for row in rows for token in row.tokens), *padding]
        host[n : 2 * n] = [
            *(position for row in rows for position in range(row.start, row.start + len(row.tokens))),
            *([-1] * len(padding)),
        ]
        host[2 * n : 3 * n] = [*(i for i, count in enumerate(counts) for _ in range(count)), *padding]
        tables = host[3 * n :].reshape(len(rows), width)
        for table, row in zip(tables, rows, strict=True):
            table[: len(row.block_table)] = row.block_table[:width]
        packed = torch.from_numpy(host).to(device)
        return cls(packed[: 3 * n].view(3, n), packed[3 * n :].view(len(rows), width))


class PagedAttention:
    """`decoder.Attention` for tokens that each read the cache for themselves."""

    def __init__(self, kv: Tensor, batch: RaggedBatch) -> None:
        self._kv = kv
        self._batch = batch

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        (_, positions, rows), tables = self._batch
        kv = self._kv[layer]
        store(kv, keys_values, positions, rows, tables)
        return paged_attention(queries, kv, positions, rows, tables)


class MixedAttention:
    """`decoder.Attention` for a step with prefills: their rows go through FlashAttention (Dao 2023), all in one call; short
    ones through the paged kernel."""

    def __init__(self, kv: Tensor, batch: RaggedBatch, rows: Sequence[Row]) -> None:
        self._kv = kv
        self._batch = batch
        long = [row for row in rows if len(row.tokens) > SHORT]
        counts = [len(row.tokens) for row in long]
        seen = [row.start + count for row, count in zip(long, counts, strict=True)]

        def on_device(values: Any, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.as_tensor(values, dtype=dtype, device=kv.device)

        self._slots = on_device(np.concatenate([_slots(row, n) for row, n in zip(long, seen, strict=True)]))
        self._starts = [on_device([0, *accumulate(sizes)], torch.int32) for sizes in (counts, seen)]
        self._longest = max(counts), max(seen)
        short = [len(row.tokens) <= SHORT for row in rows for _ in row.tokens]
        self._long = on_device([at for at, is_short in enumerate(short) if not is_short])
        self._short = on_device([at for at, is_short in enumerate(short) if is_short])
        self._short_addresses = batch.addresses[:, self._short]

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        (_, positions, rows), tables = self._batch
        kv = self._kv[layer]
        store(kv, keys_values, positions, rows, tables)
        if not len(self._short):
            return self._prefill(kv, queries)
        out = torch.empty(queries.shape[0], queries.shape[1] * queries.shape[2], dtype=queries.dtype, device=queries.device)
        out[self._long] = self._prefill(kv, queries[self._long])
        _, positions, rows = self._short_addresses
        out[self._short] = paged_attention(queries[self._short], kv, positions, rows, tables)
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
