"""Paged KV on a GPU, and attention over it: single tokens and short runs by the paged kernel, prefills by FlashAttention over
gathered keys and values.

It owns the KV tensors. It knows neither decoder layers' arithmetic nor who shares blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.executors.torch.cuda_batch import RaggedBatch
from portico_engine.executors.torch.kv_codec import KVCodec
from portico_engine.executors.torch.transfer import to_device
from portico_engine.kernels.fused import store
from portico_engine.kernels.paged_attention import paged_attention
from portico_engine.models.config import DecoderConfig
from portico_engine.plan import BLOCK_TOKENS, Copy, Row, blocks_for

SHORT = 16  # tokens of a row up to which each reads the cache for itself


class CUDAPagedKV:
    """Keys and values of all layers in blocks of BLOCK_TOKENS positions, bf16 [layers, 2 kv_heads, slots, head_dim]."""

    def __init__(self, config: DecoderConfig, n_blocks: int, device: str, codec: KVCodec) -> None:
        """`codec` is of what leaves the blocks."""
        self._codec = codec
        shape = (config.kv_places[-1], 2 * config.n_kv_heads, n_blocks * BLOCK_TOKENS, config.head_dim)
        self.tensor = torch.empty(shape, dtype=torch.bfloat16, device=device)

    def copy(self, op: Copy) -> None:
        """The first positions of a block into another, all layers."""
        source, target = op.source * BLOCK_TOKENS, op.target * BLOCK_TOKENS
        self.tensor[:, :, target : target + op.n_tokens] = self.tensor[:, :, source : source + op.n_tokens]

    def drop(self, block: int) -> None:
        """Nothing: its next owner overwrites it."""

    def read(self, block: int) -> bytes:
        """A block's content, encoded. Waits for the device."""
        return self._codec.encode(self._slots(block)).cpu().numpy().tobytes()

    def write(self, block: int, content: bytes | memoryview) -> None:
        """The inverse of `read`."""
        encoded = torch.from_numpy(np.frombuffer(content, np.uint8).copy()).to(self.tensor.device)
        self._codec.decode(encoded, self._slots(block))

    def _slots(self, block: int) -> Tensor:
        return self.tensor[:, :, block * BLOCK_TOKENS : (block + 1) * BLOCK_TOKENS]


class PagedAttention:
    """`decoder.Attention` for tokens that each read the cache for themselves."""

    def __init__(self, config: DecoderConfig, kv: Tensor, batch: RaggedBatch) -> None:
        self._config = config
        self._places = config.kv_places
        self._kv = kv
        self._batch = batch

    def recent(self, layer: int, values: Tensor, count: int) -> Tensor:
        """See `decoder.Attention`."""
        return _recent(self._kv[self._places[layer] : self._places[layer + 1]], self._batch, values, count)

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor, sinks: Tensor | None = None) -> Tensor:
        (_, positions, slots, _), tables = self._batch
        kv = self._kv[self._places[layer]]
        store(kv, keys_values, positions, slots, tables)
        return paged_attention(queries, kv, positions, slots, tables, self._config.window(layer), sinks)


class MixedAttention:
    """`decoder.Attention` for a step with prefills: their rows go through FlashAttention (Dao 2023), all in one call; short
    ones through the paged kernel."""

    def __init__(self, config: DecoderConfig, kv: Tensor, batch: RaggedBatch, rows: Sequence[Row]) -> None:
        self._config = config
        self._places = config.kv_places
        self._kv = kv
        self._batch = batch
        long = [row for row in rows if len(row.tokens) > SHORT]
        counts = [len(row.tokens) for row in long]

        def on_device(values: npt.ArrayLike, dtype: npt.DTypeLike = np.int64) -> Tensor:
            return to_device(np.asarray(values, dtype), kv.device)

        starts = on_device([0, *accumulate(counts)], np.int32)
        self._seen: dict[int, _Seen] = {}  # by the layer's window
        fresh = all(row.start == 0 for row in long)
        for window in set(config.windows) or {0}:
            if fresh:
                self._seen[window] = _Seen(None, (starts, starts), (max(counts), max(counts)))
                continue
            slots = [_slots(row, max(0, row.start + 1 - window) if window else 0) for row in long]
            sizes = [len(one) for one in slots]
            ends = on_device([0, *accumulate(sizes)], np.int32)
            self._seen[window] = _Seen(on_device(np.concatenate(slots)), (starts, ends), (max(counts), max(sizes)))
        short = [len(row.tokens) <= SHORT for row in rows for _ in row.tokens]
        self._long = on_device([at for at, is_short in enumerate(short) if not is_short])
        self._short = on_device([at for at, is_short in enumerate(short) if is_short])
        self._short_addresses = batch.addresses[:, self._short]

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor, sinks: Tensor | None = None) -> Tensor:
        (_, positions, slots, _), tables = self._batch
        kv, window = self._kv[self._places[layer]], self._config.window(layer)
        store(kv, keys_values, positions, slots, tables)
        if not len(self._short):
            return self._prefill(kv, queries, keys_values, window, sinks)
        out = torch.empty(queries.shape[0], queries.shape[1] * queries.shape[2], dtype=queries.dtype, device=queries.device)
        out[self._long] = self._prefill(kv, queries[self._long], keys_values[self._long], window, sinks)
        _, positions, slots, _ = self._short_addresses
        out[self._short] = paged_attention(queries[self._short], kv, positions, slots, tables, window, sinks)
        return out

    def recent(self, layer: int, values: Tensor, count: int) -> Tensor:
        """See `decoder.Attention`."""
        return _recent(self._kv[self._places[layer] : self._places[layer + 1]], self._batch, values, count)

    def _prefill(self, kv: Tensor, queries: Tensor, new: Tensor, window: int, sinks: Tensor | None) -> Tensor:
        """`new` are these rows' own keys and values of the step."""
        slots, starts, longest = self._seen[window]
        seen = new if slots is None else kv[:, slots].transpose(0, 1)  # [seen, 2 kv_heads, head_dim]
        keys, values = seen.chunk(2, dim=1)
        windows = {"window_size_left": window - 1, "window_size_right": 0} if window else {}
        out: Tensor
        out, total, *_ = torch.ops.aten._flash_attention_forward(
            queries, keys, values, *starts, *longest, 0.0, True, False, **windows
        )
        if sinks is not None:  # total is the logarithm of the sum of exponentials, [heads, tokens]
            out = out * torch.sigmoid(total.T - sinks).unsqueeze(-1).to(out.dtype)
        return out.reshape(queries.shape[0], -1)


def _recent(kv: Tensor, batch: RaggedBatch, values: Tensor, count: int) -> Tensor:
    """`decoder.Attention.recent` over a layer's part of the cache [places, 2 kv_heads, slots, head_dim]."""
    (_, positions, rows, _), tables = batch
    pieces = kv.flatten(0, 1)
    n, hidden = values.shape
    padded = F.pad(values, (0, pieces.shape[0] * pieces.shape[2] - hidden)).view(n, pieces.shape[0], -1)
    store(pieces, padded, positions, rows, tables)
    at = positions.long().unsqueeze(1) + torch.arange(1 - count, 1, device=kv.device)
    inside = at.clamp_min(0)
    slots = tables[rows.long().unsqueeze(1), inside // BLOCK_TOKENS].long() * BLOCK_TOKENS + inside % BLOCK_TOKENS
    seen = pieces[:, slots].permute(1, 2, 0, 3).reshape(n, count, -1)[..., :hidden]
    return seen.masked_fill((at < 0).unsqueeze(-1), 0.0)


class _Seen(NamedTuple):
    """What a prefill's rows read, one row behind the other."""

    slots: Tensor | None  # int64; None where all rows begin here: they see nothing but what the step itself makes
    starts: tuple[Tensor, Tensor]  # int32 [rows + 1]: where each row's tokens begin, and what it reads
    longest: tuple[int, int]


def _slots(row: Row, begin: int) -> np.ndarray:
    """Where the positions from `begin` on are, up to the row's last, int64."""
    end = row.start + len(row.tokens)
    blocks = np.array(row.block_table[: blocks_for(end)], np.int64)
    return (blocks[:, None] * BLOCK_TOKENS + np.arange(BLOCK_TOKENS)).reshape(-1)[begin:end]
