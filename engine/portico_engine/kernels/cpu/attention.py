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
from portico_engine.plan import Row

_HEAD_DIMS = 16  # a head's size is a multiple of


def takes_heads(head_dim: int) -> bool:
    """Is there a kernel for heads of this size?"""
    return head_dim % _HEAD_DIMS == 0


class PagedBatch:
    """The rows of one step, as all its layers take them."""

    def __init__(self, library: KernelLibrary, rows: Sequence[Row]) -> None:
        self._library = library
        self._n_rows = len(rows)
        self._tables, places = array("i"), array("i")  # block tables, one after another; see `Row` in attention.cpp
        first = 0
        for row in rows:
            places.extend((first, len(row.tokens), row.start, len(self._tables)))
            self._tables.extend(row.block_table)
            first += len(row.tokens)
        self._places = places

    def attend(
        self, queries: Tensor, keys_values: Tensor, kv: Tensor, n_kv_heads: int, window: int, sinks: Tensor | None
    ) -> Tensor:
        """Store new keys and values, then attend.

        queries bf16 [n, heads, head_dim] and keys_values bf16 [n, 2 kv_heads, head_dim], a token's heads one after another; kv
        bf16 [2 kv_heads, slots, head_dim]; window: positions that a token sees, 0 for all; sinks float32 [heads] -> bf16
        [n, heads * head_dim].
        """
        n, heads, dim = queries.shape
        queries, keys_values = _by_token(queries), _by_token(keys_values)
        out = torch.empty(n, heads * dim, dtype=torch.bfloat16)
        self._library.attention(
            queries.data_ptr(), queries.stride(0), keys_values.data_ptr(), keys_values.stride(0), kv.data_ptr(), kv.shape[1],
            None if sinks is None else sinks.data_ptr(), out.data_ptr(), self._places.buffer_info()[0], self._n_rows,
            self._tables.buffer_info()[0], heads, n_kv_heads, dim, window,
        )  # fmt: skip
        return out


def _by_token(heads: Tensor) -> Tensor:
    """bf16 [n, heads, head_dim] with each token's in one piece."""
    whole = heads.stride(2) == 1 and heads.stride(1) == heads.shape[2]
    return heads.to(torch.bfloat16) if whole else heads.to(torch.bfloat16).contiguous()
