"""What a decoder asks of each of its matrices, in whatever form and on whatever device it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from portico_engine.kernels.quantized_matmul import ExpertGroups


class Linear(Protocol):
    """y = x W^T (+ b), with W [out, in]."""

    @property
    def form(self) -> str:
        """What its products are computed from, for whatever numbers of rows: "bf16", codes, or both. Other forms round
        otherwise."""
        ...

    @property
    def n_bytes(self) -> int:
        """Memory of all copies."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """x [rows, in] bf16 -> [rows, out] bf16."""
        ...

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """x [rows, in] bf16 -> [rows, out] in float32: for W as a decoder's head. Where only `tokens` int64 [any number] are
        wanted, those of others may be minus infinity.

        The largest of a row, and those at `targets` int64 [rows, 1], are not rounded to bfloat16, which is as coarse as 0.06
        for usual logits: neither near ties nor scores are decided by rounding.
        """
        ...

    def rows(self, indices: Tensor) -> Tensor:
        """Rows of W, bf16 [*indices.shape, in]."""
        ...


class ExpertsLinear(Protocol):
    """y = x W^T (+ b), with W [out, in] of each row's own expert."""

    @property
    def form(self) -> str: ...

    @property
    def n_bytes(self) -> int: ...

    def __call__(self, x: Tensor, groups: ExpertGroups, used: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
        """x bf16 [pairs / used, in] -> [pairs, out] of the dtype; rows of padding hold anything."""
        ...
