"""Attention over paged KV as a kernel of the CPU: a layer of a ragged batch in one call.

It owns the form in which the kernel takes a batch. Its twins are `reference.store` and `reference.paged_attention`. Every
token's bits are its own positions' alone: neither its batch nor the number of threads changes them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.plan import BLOCK_TOKENS, Row

_HEAD_DIMS = 16  # a head's size is a multiple of


def key_blocks(keys: Tensor) -> Tensor:
    """Keys [..., slots, head_dim] by position as the kernel keeps them, in the same shape: in each block pairs of dimensions,
    [head_dim / 2][BLOCK_TOKENS][2], so that scores of many positions are multiplied at once.
    """
    *others, slots, dim = keys.shape
    blocks = keys.reshape(*others, slots // BLOCK_TOKENS, BLOCK_TOKENS, dim // 2, 2)
    return blocks.transpose(-3, -2).reshape(keys.shape)


def takes_heads(head_dim: int) -> bool:
    """Is there a kernel for heads of this size?"""
    return head_dim % _HEAD_DIMS == 0


class PagedBatch:
    """The rows of one step, as all its layers take them."""

    def __init__(self, library: KernelLibrary, rows: Sequence[Row], kv: Tensor) -> None:
        """kv bf16 [layers, 2 kv_heads, slots, head_dim], keys as `key_blocks` has them. Raises ValueError for a row that is
        longer than its blocks: nothing behind this looks at that.
        """
        self._attention = library.attention
        self._kv, self._layer_bytes = kv.data_ptr(), kv.stride(0) * kv.element_size()
        self._kv_heads, self._slots = kv.shape[1] // 2, kv.shape[2]
        self._tables, places = array("i"), array("i")  # block tables, one after another; see `Row` in attention.cpp
        first = 0
        for row in rows:
            if row.start + len(row.tokens) > len(row.block_table) * BLOCK_TOKENS:
                end = row.start + len(row.tokens)
                raise ValueError(
                    f"a row ends at position {end}, and its {len(row.block_table)} blocks hold {BLOCK_TOKENS} each"
                )
            places.extend((first, len(row.tokens), row.start, len(self._tables)))
            self._tables.extend(row.block_table)
            first += len(row.tokens)
        self._places = places
        self.addresses = places.buffer_info()[0], len(rows), self._tables.buffer_info()[0]  # as kernels take a batch

    def attend(self, layer: int, queries: Tensor, keys_values: Tensor, window: int = 0, sinks: Tensor | None = None) -> Tensor:
        """Store new keys and values in the cache's layer, then attend.

        queries [n, heads, head_dim] and keys_values [n, 2 kv_heads, head_dim]; window: positions that a token sees, 0 for all;
        sinks float32 [heads] -> bf16 [n, heads * head_dim].
        """
        n, heads, dim = queries.shape
        queries, query_stride = _by_token(queries)
        keys_values, stride = _by_token(keys_values)
        out = torch.empty(n, heads * dim, dtype=torch.bfloat16)
        self._attention(
            queries.data_ptr(), query_stride, keys_values.data_ptr(), stride, self._kv + layer * self._layer_bytes, self._slots,
            None if sinks is None else sinks.data_ptr(), out.data_ptr(), *self.addresses, heads, self._kv_heads, dim, window,
        )  # fmt: skip
        return out


def _by_token(heads: Tensor) -> tuple[Tensor, int]:
    """bf16 [n, heads, head_dim] with each token's in one piece, and the elements from token to token."""
    between, within, step = heads.stride()
    if heads.dtype == torch.bfloat16 and step == 1 and within == heads.shape[2]:
        return heads, between
    return heads.to(torch.bfloat16).contiguous(), heads.shape[1] * heads.shape[2]
