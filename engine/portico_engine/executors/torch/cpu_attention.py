"""Paged KV in torch on a CPU, and attention over it.

It owns the KV tensors, the writing of new positions, and attention: by the CPU's kernels a layer's batch in one call, or by
plain torch a call a sequence. It knows neither decoder layers' arithmetic nor who shares blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.executors.torch.kv_codec import KVCodec
from portico_engine.kernels.cpu.attention import PagedBatch, takes_heads
from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder import Attention
from portico_engine.plan import BLOCK_TOKENS, Copy, Row


@dataclass(frozen=True, slots=True)
class _Span:
    """One row of the batch: its tokens [first, first + count) and the runs of KV slots that they see, in order."""

    first: int
    count: int
    runs: tuple[tuple[int, int], ...]  # (first slot, length)
    mask: Tensor | None  # bf16 [group * count, seen], added to the scores; None for a single token


class CPUPagedKV:
    """Keys and values of all layers in blocks of BLOCK_TOKENS positions, bf16 [layers, 2 kv_heads, slots, head_dim]. Within a
    block keys lie as whoever computes attention wants them.

    Memory is claimed by the operating system as blocks are first written.
    """

    def __init__(self, config: DecoderConfig, n_blocks: int, codec: KVCodec, kernels: KernelLibrary | None = None) -> None:
        """`codec` is of what leaves the blocks."""
        self._config = config
        self._codec = codec
        self._kernels = kernels if takes_heads(config.head_dim) else None
        shape = (config.kv_places[-1], 2 * config.n_kv_heads, n_blocks * BLOCK_TOKENS, config.head_dim)
        self.tensor = torch.empty(shape, dtype=torch.bfloat16)

    def copy(self, op: Copy) -> None:
        """A block into another, all layers; what is behind the first positions counts for nothing."""
        self._slots(op.target).copy_(self._slots(op.source))

    def drop(self, block: int) -> None:
        """Nothing: its next owner overwrites it."""

    def read(self, block: int) -> bytes:
        """A block's content, encoded."""
        return self._codec.encode(self._slots(block)).numpy().tobytes()

    def write(self, block: int, content: bytes | memoryview) -> None:
        """The inverse of `read`."""
        self._codec.decode(torch.from_numpy(np.frombuffer(content, np.uint8).copy()), self._slots(block))

    def _slots(self, block: int) -> Tensor:
        return self.tensor[:, :, block * BLOCK_TOKENS : (block + 1) * BLOCK_TOKENS]

    def batch(self, rows: Sequence[Row]) -> Attention:
        """What all layers of one step share."""
        inputs = ConvolutionInputs(self._config, self.tensor, rows) if self._config.conv_layers else None
        if self._kernels is not None:
            return CPUKernelAttention(self._config, PagedBatch(self._kernels, rows, self.tensor), inputs)
        windows = set(self._config.windows) or {0}
        spans = {window: _spans(rows, window, self._config.group) for window in windows}
        return CPUPagedAttention(self._config, self.tensor, _slots(rows), spans, inputs)


class ConvolutionInputs:
    """What layers with a short convolution keep where others keep keys and values."""

    def __init__(self, config: DecoderConfig, kv: Tensor, rows: Sequence[Row]) -> None:
        self._places = config.kv_places
        self._kv = kv
        self._slots = _slots(rows)
        self._recent = _recent(rows, config.conv_length)

    def recent(self, layer: int, values: Tensor, count: int) -> Tensor:
        """See `decoder.Attention`."""
        kv = self._kv[self._places[layer] : self._places[layer + 1]].flatten(0, 1)  # [pieces, slots, head_dim]
        n, hidden = values.shape
        padded = F.pad(values, (0, kv.shape[0] * kv.shape[2] - hidden)).view(n, kv.shape[0], -1)
        kv.index_copy_(1, self._slots, padded.transpose(0, 1).to(kv.dtype))
        seen = kv[:, self._recent.clamp_min(0)]  # [pieces, n, count, head_dim]
        seen = seen.permute(1, 2, 0, 3).reshape(n, count, -1)[..., :hidden]
        return seen.masked_fill((self._recent < 0).unsqueeze(-1), 0.0)


class CPUKernelAttention:
    """`decoder.Attention` for the rows of one step, by the CPU's kernels."""

    def __init__(self, config: DecoderConfig, batch: PagedBatch, inputs: ConvolutionInputs | None) -> None:
        self._config = config
        self._places = config.kv_places
        self.batch = batch
        self._inputs = inputs

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor, sinks: Tensor | None = None) -> Tensor:
        return self.batch.attend(self._places[layer], queries, keys_values, self._config.window(layer), sinks)

    def recent(self, layer: int, values: Tensor, count: int) -> Tensor:
        """See `decoder.Attention`."""
        assert self._inputs is not None
        return self._inputs.recent(layer, values, count)


class CPUPagedAttention:
    """The same in plain torch."""

    def __init__(
        self,
        config: DecoderConfig,
        kv: Tensor,
        slots: Tensor,
        spans: Mapping[int, Sequence[_Span]],
        inputs: ConvolutionInputs | None = None,
    ) -> None:
        """`spans` by the layer's window."""
        self._places = config.kv_places
        self._config = config
        self._kv = kv
        self._slots = slots
        self._spans = spans
        self._inputs = inputs

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor, sinks: Tensor | None = None) -> Tensor:
        kv = self._kv[self._places[layer]]
        kv.index_copy_(1, self._slots, keys_values.transpose(0, 1))
        outs = [self._span(kv, queries, span, sinks) for span in self._spans[self._config.window(layer)]]
        return outs[0] if len(outs) == 1 else torch.cat(outs)

    def recent(self, layer: int, values: Tensor, count: int) -> Tensor:
        """See `decoder.Attention`."""
        assert self._inputs is not None
        return self._inputs.recent(layer, values, count)

    def _span(self, kv: Tensor, queries: Tensor, span: _Span, sinks: Tensor | None) -> Tensor:
        """Grouped heads become query rows: torch's own grouped path is four times slower at one token in bf16."""
        config = self._config
        heads, group, dim, count = config.n_kv_heads, config.group, config.head_dim, span.count
        q = queries[span.first : span.first + count]
        if count == 1:
            q = q.reshape(1, heads, group, dim)
        else:
            q = q.reshape(count, heads, group, dim).permute(1, 2, 0, 3).reshape(1, heads, group * count, dim)
        pieces = [kv[:, at : at + length] for at, length in span.runs]
        seen = (pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)).unsqueeze(0)
        if sinks is None:
            out = F.scaled_dot_product_attention(q, seen[:, :heads], seen[:, heads:], attn_mask=span.mask)
        else:
            mask = None if span.mask is None else span.mask.unsqueeze(0).unsqueeze(0)
            out, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                q, seen[:, :heads], seen[:, heads:], 0.0, False, attn_mask=mask
            )  # and the logarithm of the sum of exponentials, [1, kv_heads, group * count]
            share = torch.sigmoid(total - sinks.view(1, heads, group).repeat_interleave(count, 2))
            out = (out * share.unsqueeze(-1)).to(q.dtype)
        if count == 1:
            return out.reshape(1, -1)
        return out.view(heads, group, count, dim).permute(2, 0, 1, 3).reshape(count, -1)


def _slots(rows: Sequence[Row]) -> Tensor:
    """Where each token's keys and values go, int64 [n]."""
    return torch.tensor(
        [
            row.block_table[p // BLOCK_TOKENS] * BLOCK_TOKENS + p % BLOCK_TOKENS
            for row in rows
            for p in range(row.start, row.start + len(row.tokens))
        ]
    )


def _recent(rows: Sequence[Row], count: int) -> Tensor:
    """Slots of each token's last `count` positions, the oldest first, int64 [n, count]; -1 before the first position."""
    return torch.tensor(
        [
            [
                row.block_table[p // BLOCK_TOKENS] * BLOCK_TOKENS + p % BLOCK_TOKENS if p >= 0 else -1
                for p in range(position + 1 - count, position + 1)
            ]
            for row in rows
            for position in range(row.start, row.start + len(row.tokens))
        ]
    )


def _spans(rows: Sequence[Row], window: int, group: int) -> list[_Span]:
    """Of layers with this window; 0: none."""
    spans: list[_Span] = []
    first = 0
    for row in rows:
        count, end = len(row.tokens), row.start + len(row.tokens)
        begin = max(0, row.start + 1 - window) if window else 0
        runs = _runs(row.block_table, begin, end)
        spans.append(_Span(first, count, runs, _mask(begin, row.start, count, window, group) if count > 1 else None))
        first += count
    return spans


def _runs(block_table: Sequence[int], begin: int, end: int) -> tuple[tuple[int, int], ...]:
    """The slots of positions [begin, end) as runs of neighbours: usually one, because the pool hands out neighbours."""
    runs: list[tuple[int, int]] = []
    position = begin
    while position < end:
        length = min(end - position, BLOCK_TOKENS - position % BLOCK_TOKENS)
        at = block_table[position // BLOCK_TOKENS] * BLOCK_TOKENS + position % BLOCK_TOKENS
        if runs and sum(runs[-1]) == at:
            runs[-1] = (runs[-1][0], runs[-1][1] + length)
        else:
            runs.append((at, length))
        position += length
    return tuple(runs)


def _mask(begin: int, start: int, count: int, window: int, group: int) -> Tensor:
    """Token i of the row sees positions up to start + i, of those from `begin` on, at most `window` of them; the same for each
    head of a group.
    """
    positions, own = torch.arange(begin, start + count), torch.arange(start, start + count).unsqueeze(1)
    hidden = positions > own
    if window:
        hidden |= positions <= own - window
    mask = torch.zeros(count, len(positions), dtype=torch.bfloat16).masked_fill_(hidden, float("-inf"))
    return mask.repeat(group, 1)
