"""A plan's rows as one ragged batch: where its answers are among all its tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from portico_engine.plan import Row


def wanted(rows: Sequence[Row]) -> list[int]:
    """Indices of the tokens after which an answer is needed."""
    out: list[int] = []
    first = 0
    for row in rows:
        out += [first + w for w in row.want]
        first += len(row.tokens)
    return out


def targets(rows: Sequence[Row]) -> torch.Tensor | None:
    """The token that each wanted position is scored for, [wanted, 1]; None where none is."""
    if not any(row.targets for row in rows):
        return None
    return torch.tensor([[token] for row in rows for token in (row.targets or (0,) * len(row.want))])
