"""One step's work as values: what an executor is asked for, and what it answers.

The scheduler and the engine loop see tokens and block numbers, never logits; an executor sees neither requests nor queues. A
plan's `kv_ops` run in order before any row; all rows of a step write their keys and values before any of them is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from portico_engine.sampling import SamplingState, TopLogprobs

BLOCK_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy the first `n_tokens` positions of a block into another."""

    source: int
    target: int
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The block's content is dead."""

    block: int


@dataclass(frozen=True, slots=True)
class Save:
    """Put the whole content of a block, keys and values of all layers, into the block store under `key`."""

    block: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """Fill a block with what the block store holds under `key`."""

    key: bytes
    block: int


@dataclass(frozen=True, slots=True)
class Offload:
    """Copy the whole content of a block into a slot of the host's memory."""

    block: int
    slot: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fill a block with what a slot of the host's memory holds."""

    slot: int
    block: int


KVOp = Copy | Drop | Save | Load | Offload | Fetch


class Row(NamedTuple):
    """One sequence's part in a step: `tokens` at positions `start`, `start + 1`, ... over `block_table`.

    `logits_indices` are indices into `tokens` after which logits are needed: for the next token, sampled by `sampling`, or,
    with `targets` (one an index), for the log-probability of that token. `adapter` is the place of the one that its tokens are
    computed with. The last `drafts` of `tokens` are guesses: masks and biases count for the first of the `logits_indices`
    alone, and keys and values of guesses that were wrong are written over by a later step. A row that `follows` has one token,
    the one that the step before samples for its slot: what `tokens` says in its place is not it. A named tuple, because every
    step makes one a row and a frozen dataclass takes longer to make.
    """

    slot: int
    tokens: tuple[int, ...]
    start: int
    block_table: tuple[int, ...]
    logits_indices: tuple[int, ...] = ()
    sampling: SamplingState | None = None
    targets: tuple[int, ...] = ()
    adapter: int | None = None
    drafts: int = 0
    follows: bool = False


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One batch. Row i's mask is row i of the bitmask. `skipped_slots` are those of sequences that run and have no row in this
    step, but will have one: what they have read is worth keeping at hand.
    """

    rows: tuple[Row, ...]
    kv_ops: tuple[KVOp, ...] = ()
    skipped_slots: tuple[int, ...] = ()

    @property
    def n_tokens(self) -> int:
        return sum(len(row.tokens) for row in self.rows)


class StepResult(NamedTuple):
    """What a step yields, a tuple a row and in it an entry for each of its `logits_indices`."""

    tokens: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]
    top_logprobs: tuple[tuple[TopLogprobs, ...], ...]
    failed_rows: tuple[int, ...]  # rows whose states or logits were no numbers, or whose mask allowed nothing


Bias = Mapping[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]  # row -> (tokens, what to add to their logits)


def blocks_for(n_tokens: int) -> int:
    """Blocks that hold this many positions."""
    return -(-n_tokens // BLOCK_TOKENS)
