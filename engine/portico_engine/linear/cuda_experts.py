"""The matrices of a mixture's experts on a GPU, each pair of a token and one of its experts with that expert's.

It owns the two forms: codes, by the kernels, which may lie in this machine's memory and are read from there; and bfloat16, by
torch's grouped product. Only experts that a token has are read. It knows neither routing nor files.
"""

from __future__ import annotations

import torch
from torch import Tensor

from portico_engine.kernels.quantized_layout import TiledMatrix
from portico_engine.kernels.quantized_matmul import ExpertGroups, expert_matmul


class QuantizedExperts:
    """`ExpertsLinear` from codes. `matrix` has all experts' rows; bias is bf16 [experts, out]."""

    def __init__(self, matrix: TiledMatrix, n_experts: int, bias: Tensor | None = None) -> None:
        self.matrix = matrix
        self.n_experts = n_experts
        self.bias = bias

    @property
    def form(self) -> str:
        return "codes"

    @property
    def n_bytes(self) -> int:
        return self.matrix.n_bytes

    def __call__(self, x: Tensor, groups: ExpertGroups, used: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
        if self.matrix.order is not None:
            x = x.index_select(1, self.matrix.order)
        out = torch.empty(len(groups.pairs), self.matrix.n_out // self.n_experts, dtype=dtype, device=x.device)
        expert_matmul(x, self.matrix, self.n_experts, groups, used, out, self.bias)
        return out


class WideExperts:
    """`ExpertsLinear` in bfloat16: weight [experts, out, in], bias [experts, out]."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias

    @property
    def form(self) -> str:
        return "bf16"

    @property
    def n_bytes(self) -> int:
        return self.weight.nbytes

    def __call__(self, x: Tensor, groups: ExpertGroups, used: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
        together = x[groups.pairs // used]
        said = torch._grouped_mm(together, self.weight.transpose(1, 2), offs=groups.ends)
        if self.bias is not None:
            row = torch.arange(len(groups.pairs), dtype=torch.int32, device=x.device)
            said = said + self.bias[torch.searchsorted(groups.ends, row, right=True).clamp_(max=len(self.weight) - 1)]
        return torch.empty(len(groups.pairs), said.shape[1], dtype=dtype, device=x.device).index_copy_(
            0, groups.pairs.long(), said.to(dtype)
        )
