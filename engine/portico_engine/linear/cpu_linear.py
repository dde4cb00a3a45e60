"""Linear layers on a CPU: bfloat16, and straight from the file's own codes for a few rows at a time.

It owns the choice between the two by the number of rows, which is a matter of memory bandwidth: a decode step reads every
weight once for little work. It knows neither layers nor files.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.linear.cpu_codes import CodesProduct
from portico_engine.linear.dense_product import dense_product

_AGREEMENT = 0.03  # relative; rounding alone makes some 0.005
_EXACT = 32  # likeliest tokens whose logits are exact


class CPULinear:
    """`Linear` with W [out, in] in bfloat16, and, where given, a product from the codes of the same matrix, bias included."""

    __slots__ = ("_codes_rows", "bias", "codes", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None, codes: CodesProduct | None = None) -> None:
        self.weight = weight
        self.bias = bias
        self.codes = codes if codes is None or self._agrees(codes) else None
        self._codes_rows = 0 if self.codes is None else self.codes.max_rows

    def _agrees(self, codes: CodesProduct) -> bool:
        """Does the product from codes say what the bfloat16 one says? Packing is a private matter of torch, or of a compiled
        library, and this CPU.
        """
        n_in = self.weight.shape[1]
        x = torch.randn(1, n_in, generator=torch.Generator().manual_seed(n_in)).to(torch.bfloat16)
        exact = F.linear(x, self.weight, self.bias).float()
        return bool((codes(x, torch.float32) - exact).norm() <= _AGREEMENT * exact.norm())

    @property
    def form(self) -> str:
        return "bf16" if self.codes is None else self.codes.form

    @property
    def n_bytes(self) -> int:
        return self.weight.nbytes + (0 if self.codes is None else self.codes.n_bytes)

    def __call__(self, x: Tensor) -> Tensor:
        if self.codes is None or x.shape[0] > self._codes_rows:
            return dense_product(x, self.weight, self.bias)
        return self.codes(x, torch.bfloat16)

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """Where the product is rounded to bfloat16, the likeliest tokens and the targets are computed again in float32."""
        codes = self.codes if x.shape[0] <= self._codes_rows else None
        if codes is not None and not codes.rounds:
            return codes(x, torch.float32, tokens)
        if codes is None:
            out = dense_product(x, self.weight, self.bias, torch.float32)
        else:
            out = codes(x, torch.bfloat16).float()
        candidates = out.topk(min(_EXACT, out.shape[1])).indices
        if targets is not None:
            candidates = torch.cat([candidates, targets], dim=1)
        rows = self.rows(candidates).float()  # [n, candidates, in]
        return out.scatter_(1, candidates, torch.bmm(rows, x.float().unsqueeze(2)).squeeze(2))

    def rows(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.weight)
