"""A plan's rows as one ragged batch: where its logits are among all its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from portico_engine.executors.torch.transfer import Readback
from portico_engine.plan import Row


def logits_indices(rows: Sequence[Row]) -> list[int]:
    """Indices of the batch's tokens after which logits are needed."""
    out: list[int] = []
    first = 0
    for row in rows:
        out += [first + i for i in row.logits_indices]
        first += len(row.tokens)
    return out


def target_tokens(rows: Sequence[Row]) -> torch.Tensor | None:
    """The token that each row of the logits is scored for, int64 [logits, 1], 0 where one is sampled; None where all are."""
    if not any(row.targets for row in rows):
        return None
    return torch.tensor([[token] for row in rows for token in (row.targets or (0,) * len(row.logits_indices))])


def damaged_rows(hidden: torch.Tensor, rows: Sequence[Row]) -> list[int]:
    """Rows of which some token's state, in hidden [tokens, hidden], is no number: nor may be the keys and values made of it."""
    if math.isfinite(float(hidden.sum())):  # one pass for what always is so; opposite infinities make NaN
        return []
    return _not_whole(torch.isfinite(hidden).all(-1).tolist(), rows)


class StatesUnderWay:
    """The same of what a device is computing, in parts, without waiting for it. A part whose rows all have logits is left out:
    those tell.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Sequence[Row], Readback]] = []

    def add(self, rows: Sequence[Row], hidden: torch.Tensor) -> None:
        """The states of these rows, hidden [tokens or more, hidden]."""
        if not all(row.logits_indices for row in rows):
            n_tokens = sum(len(row.tokens) for row in rows)
            self._parts.append((rows, Readback(torch.isfinite(hidden[:n_tokens]).all(-1))))

    def damaged_slots(self) -> set[int]:
        """Whose states are no numbers; waits for them."""
        return {rows[i].slot for rows, whole in self._parts for i in _not_whole(whole.tolist(), rows)}


def _not_whole(whole: Sequence[bool], rows: Sequence[Row]) -> list[int]:
    """Rows of which not every token is whole."""
    out: list[int] = []
    first = 0
    for i, row in enumerate(rows):
        if not all(whole[first : first + len(row.tokens)]):
            out.append(i)
        first += len(row.tokens)
    return out
