"""A plan's rows as one ragged batch: where its logits are among all its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

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
    whole = torch.isfinite(hidden).all(-1).tolist()
    out: list[int] = []
    first = 0
    for i, row in enumerate(rows):
        if not all(whole[first : first + len(row.tokens)]):
            out.append(i)
        first += len(row.tokens)
    return out
