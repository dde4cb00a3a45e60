"""A plan's rows on the device: their tokens and where those stand, in one transfer a step; block tables that stay there.

It owns the tables of all slots, which are sent again only where they have changed. It computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from portico_engine.executors.torch.transfer import to_device
from portico_engine.plan import Row

ADDRESSES = 4  # numbers a token
NO_ADAPTER = -1  # as a kernel sees it
_PADDING = np.array([[0], [-1], [0], [NO_ADAPTER]], np.int32)


class RaggedBatch(NamedTuple):
    """A ragged batch of n tokens on one device, int32. A negative position is padding."""

    addresses: Tensor  # [4, n]: token, position, the slot whose block table it has, the place of its adapter (-1: none)
    tables: Tensor  # [slots, blocks]

    @property
    def tokens(self) -> Tensor:
        return self.addresses[0]

    @property
    def positions(self) -> Tensor:
        return self.addresses[1]

    @property
    def slots(self) -> Tensor:
        return self.addresses[2]

    @property
    def adapters(self) -> Tensor:
        return self.addresses[3]


class BlockTables:
    """The block tables of all slots, int32 [slots, blocks] on `device`; unused entries are 0."""

    def __init__(self, n_slots: int, n_blocks: int, device: str) -> None:
        self.tensor = torch.zeros(n_slots, n_blocks, dtype=torch.int32, device=device)
        self._sent: list[tuple[int, ...]] = [()] * n_slots  # a row keeps its tuple as long as its table stays as it is

    def update(self, rows: Sequence[Row]) -> None:
        """Send those of these rows' tables that are others than before."""
        changed = [row for row in rows if self._sent[row.slot] is not row.block_table]
        if not changed:
            return
        width = self.tensor.shape[1]
        host = np.zeros((len(changed), 1 + width), np.int32)
        for line, row in zip(host, changed, strict=True):
            line[0] = row.slot
            line[1 : 1 + len(row.block_table)] = row.block_table[:width]
            self._sent[row.slot] = row.block_table
        sent = to_device(host, self.tensor.device)
        self.tensor.index_copy_(0, sent[:, 0].long(), sent[:, 1:])


def addresses(rows: Sequence[Row], out: npt.NDArray[np.int32]) -> None:
    """Fill int32 [4, n] (see `RaggedBatch`) with the rows' tokens, and what is left with padding."""
    total = sum(len(row.tokens) for row in rows)
    out[:, total:] = _PADDING
    if total == len(rows):  # decodes: a step of one takes as long as all its arrays take to be made
        out[:, :total] = list(zip(*[(row.tokens[0], row.start, row.slot, _place(row)) for row in rows], strict=True))
        return
    counts = np.array([len(row.tokens) for row in rows])
    first = np.repeat(np.cumsum(counts) - counts, counts)  # of each token: where its row begins
    out[0, :total] = list(chain.from_iterable(row.tokens for row in rows))
    out[1, :total] = np.repeat([row.start for row in rows], counts) + np.arange(total) - first
    out[2, :total] = np.repeat([row.slot for row in rows], counts)
    out[3, :total] = np.repeat([_place(row) for row in rows], counts)


def place_followed(rows: Sequence[Row], tokens: Tensor, sampled: Tensor) -> None:
    """Put what the step before sampled into the batch's `tokens` int32 [n], for the rows that follow it. `sampled` int32
    [slots]: see `CUDAStep`.
    """
    if not any(row.follows for row in rows):
        return
    firsts = accumulate((len(row.tokens) for row in rows), initial=0)
    followed = [(first, row.slot) for first, row in zip(firsts, rows, strict=False) if row.follows]
    at = to_device(np.array(followed, np.int64).T, tokens.device)
    tokens.index_copy_(0, at[0], sampled[at[1]])


def _place(row: Row) -> int:
    return NO_ADAPTER if row.adapter is None else row.adapter
