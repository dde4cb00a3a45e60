"""Low-rank adapters beside a linear layer: y = x W^T + x A^T B^T, each token with its own adapter or none.

It owns both forms of that product and who of a batch has which adapter. On a CPU each adapter's tokens are computed by
themselves. On a GPU all adapters are computed for all tokens, and what isn't a token's own is zero before B: the same work
whatever the batch holds, as a captured graph needs it, without a copy of A and B for every token, which a prefill has no memory
for. It knows neither adapters' files nor their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from portico_engine.linear.protocol import Linear

_FEW = 16  # SmolLM2-135M at rank 16, all its matrices: 4 rows 4 ms in float32 and 9 in bfloat16, 64 rows 50 and 15


class Segment(NamedTuple):
    """Tokens of a batch, one after another, that have one adapter."""

    place: int
    tokens: slice


class LoraProduct(Protocol):
    """What the loaded adapters add to one linear layer, whose rows are `parts` stacked matrices."""

    def load(self, place: int, part: int, a: Tensor, b: Tensor) -> None:
        """a [rank, in], b [out of the part, rank], the scale in it."""
        ...

    def unload(self, place: int) -> None: ...

    def add(self, x: Tensor, y: Tensor) -> None:
        """y [tokens, out] += what the tokens' adapters make of x [tokens, in]."""
        ...


class LoraLinear:
    """`Linear` with adapters beside it."""

    __slots__ = ("base", "product")

    def __init__(self, base: Linear, product: LoraProduct) -> None:
        self.base = base
        self.product = product

    @property
    def form(self) -> str:
        return self.base.form

    @property
    def n_bytes(self) -> int:
        return self.base.n_bytes

    def __call__(self, x: Tensor) -> Tensor:
        y = self.base(x)
        self.product.add(x, y)
        return y

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        return self.base.logits(x, targets, tokens)

    def rows(self, indices: Tensor) -> Tensor:
        return self.base.rows(indices)


class SegmentBatch:
    """Which tokens of the batch under way have which adapter; the executor says it before each."""

    def __init__(self) -> None:
        self.segments: Sequence[Segment] = ()


class _Stacked(NamedTuple):
    """An adapter's parts as one A and one B, with zeros where a part has no say: y += x down up."""

    down: Tensor  # [in, ranks]
    up: Tensor  # [ranks, out]


class SegmentProduct:
    """`LoraProduct` by segments. Few rows are multiplied in float32, for which a CPU has no start to make; many in bfloat16."""

    def __init__(self, batch: SegmentBatch, parts: Sequence[slice]) -> None:
        self._batch = batch
        self._parts = tuple(parts)
        self._matrices: dict[int, tuple[_Stacked, _Stacked]] = {}  # by place: float32, bfloat16

    def load(self, place: int, part: int, a: Tensor, b: Tensor) -> None:
        """See `LoraProduct`."""
        down, up = a.float().T, torch.zeros(b.shape[1], self._parts[-1].stop)
        up[:, self._parts[part]] = b.T
        if place in self._matrices:
            before, _ = self._matrices[place]
            down, up = torch.cat([before.down, down], 1), torch.cat([before.up, up])
        self._matrices[place] = _Stacked(down.contiguous(), up), _Stacked(down.bfloat16(), up.bfloat16())

    def unload(self, place: int) -> None:
        """See `LoraProduct`."""
        self._matrices.pop(place, None)

    def add(self, x: Tensor, y: Tensor) -> None:
        """See `LoraProduct`."""
        for place, tokens in self._batch.segments:
            matrices = self._matrices.get(place)
            if matrices is not None:
                own, (exact, fast) = x[tokens], matrices
                down, up = fast if own.dtype == torch.bfloat16 and own.shape[0] > _FEW else exact
                y[tokens] += own.to(down.dtype) @ down @ up


class MaskedBatch:
    """Which adapter each token of the batch under way has, for places of `rank` columns each."""

    def __init__(self, places: int, rank: int, device: str | torch.device) -> None:
        self.places, self.rank = places, rank
        self._owner = torch.arange(places, device=device).repeat_interleave(rank)  # of each column
        self.others: Tensor | None = None  # bool [tokens, places * rank]: columns that aren't the token's; None: nobody has any

    def begin(self, index: Tensor | None) -> None:
        """`index` [tokens]: each one's place, -1 for none. Part of what a graph captures."""
        self.others = None if index is None else index.unsqueeze(1) != self._owner


class MaskedProduct:
    """`LoraProduct` over fixed buffers in bfloat16, which graphs may have captured."""

    def __init__(self, batch: MaskedBatch, n_in: int, parts: Sequence[slice], device: str | torch.device) -> None:
        self._batch = batch
        self._parts = tuple(parts)
        columns = batch.places * batch.rank
        kind = {"dtype": torch.bfloat16, "device": device}
        self._a = torch.zeros(len(parts) * columns, n_in, **kind)  # type: ignore[call-overload]
        self._b = [torch.zeros(columns, part.stop - part.start, **kind) for part in parts]  # type: ignore[call-overload]

    def load(self, place: int, part: int, a: Tensor, b: Tensor) -> None:
        """See `LoraProduct`. What an adapter has in no column is zero."""
        first, rank = place * self._batch.rank, a.shape[0]
        at = part * self._batch.places * self._batch.rank + first
        self._a[at : at + rank] = a.to(self._a)
        self._b[part][first : first + rank] = b.T.to(self._b[part])

    def unload(self, place: int) -> None:
        """See `LoraProduct`."""
        columns = self._batch.places * self._batch.rank
        own = slice(place * self._batch.rank, (place + 1) * self._batch.rank)
        self._a.view(len(self._parts), columns, -1)[:, own] = 0
        for b in self._b:
            b[own] = 0

    def add(self, x: Tensor, y: Tensor) -> None:
        """See `LoraProduct`."""
        if self._batch.others is None:
            return
        others = self._batch.others
        low = (x @ self._a.T).view(x.shape[0], len(self._parts), -1)
        for i, part in enumerate(self._parts):
            y[:, part].addmm_(low[:, i].masked_fill(others, 0), self._b[i])
