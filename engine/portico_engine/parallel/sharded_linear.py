"""Linear layers of which each rank has a part, and what it takes to have their whole results everywhere.

It owns the sums and the gathering; products are the part's own. Layers that are split by rows need nothing: their results stay
where they are, and are what a layer that is split by columns reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.linear.protocol import Linear
from portico_engine.parallel.rank_group import RankGroup


class RowParallelLinear:
    """`Linear` whose columns lie on several ranks, as do the inputs that they multiply: y = sum of all ranks' x W^T (+ b), the
    same on all. (The field calls it by W^T.)
    """

    __slots__ = ("_group", "part")

    def __init__(self, part: Linear, group: RankGroup) -> None:
        self.part = part
        self._group = group

    @property
    def form(self) -> str:
        return self.part.form

    @property
    def n_bytes(self) -> int:
        return self.part.n_bytes

    def __call__(self, x: Tensor) -> Tensor:
        return self._group.sum(self.part(x))

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        return self._group.sum(self.part.logits(x, targets))

    def rows(self, indices: Tensor) -> Tensor:
        """No rank has whole rows."""
        raise NotImplementedError("rows of a matrix whose columns lie on several ranks")


class VocabularyParallelLinear:
    """`Linear` with a row a token, of which each rank has a run: an embedding, a head, or both."""

    __slots__ = ("_group", "_shares", "part")

    def __init__(self, part: Linear, shares: Sequence[range], group: RankGroup) -> None:
        """`shares` of all ranks follow each other; `part` has this one's rows."""
        self.part = part
        self._shares = tuple(shares)
        self._group = group

    @property
    def form(self) -> str:
        return self.part.form

    @property
    def n_bytes(self) -> int:
        return self.part.n_bytes

    def __call__(self, x: Tensor) -> Tensor:
        return self._gathered(self.part(x))

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """Of all tokens, on all ranks."""
        own = self._shares[self._group.rank]
        if targets is not None:
            targets = (targets - own.start).clamp(0, len(own) - 1)
        return self._gathered(self.part.logits(x, targets))

    def rows(self, indices: Tensor) -> Tensor:
        own = self._shares[self._group.rank]
        local = indices - own.start
        here = (local >= 0) & (local < len(own))
        found = self.part.rows(local.clamp(0, len(own) - 1))
        return self._group.sum(found.masked_fill(~here.unsqueeze(-1), 0.0))

    def _gathered(self, part: Tensor) -> Tensor:
        """Each rank's [n, own tokens] -> [n, all tokens]."""
        widest = max(map(len, self._shares))
        parts = self._group.gather(F.pad(part, (0, widest - part.shape[1])) if part.shape[1] < widest else part)
        return torch.cat([values[:, : len(share)] for values, share in zip(parts, self._shares, strict=True)], dim=1)
