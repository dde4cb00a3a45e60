"""Linear layers on a CPU: bfloat16, and 4-bit straight from the file's own codes for a few rows at a time.

It owns the choice between the two by the number of rows, which is a matter of memory bandwidth: a decode step reads every
weight once for little work. It knows neither layers nor files.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.linear.int4 import Int4Matrix

# Up to so many rows the product over 4-bit codes is faster than the bfloat16 one, by the number of terms.
_INT4_ROWS = {1: 12, 2: 4}
_AGREEMENT = 0.03  # relative; rounding alone makes some 0.005
_EXACT = 32  # likeliest tokens whose logits are exact


class CPULinear:
    """`Linear` with W [out, in] in bfloat16, and, where given, the same matrix as a sum of 4-bit ones.

    One term holds a 4-bit format exactly; two hold an 8-bit one (its high and its low half), which still reads half of what
    bfloat16 does.
    """

    __slots__ = ("_int4_rows", "_int4_terms", "_order", "bias", "weight")

    def __init__(
        self, weight: Tensor, bias: Tensor | None = None, int4: Iterable[Int4Matrix] = (), order: Tensor | None = None
    ) -> None:
        """`int4` is packed one term after another: let it be an iterator where memory counts. `order` int64 [in]: the inputs
        that its columns multiply, where they are not in the weight's order.
        """
        self.weight = weight
        self.bias = bias
        self._order = order
        pack = torch.ops.aten._convert_weight_to_int4pack_for_cpu
        self._int4_terms = tuple(
            (pack(term.codes.to(torch.int32), 1), term.scales.to(torch.bfloat16), term.group_size) for term in int4
        )
        self._int4_rows = _INT4_ROWS.get(len(self._int4_terms), 0)
        if self._int4_terms and not self._agrees():
            self._int4_terms, self._int4_rows = (), 0

    def _agrees(self) -> bool:
        """Does the 4-bit product say what the bfloat16 one says? Its packing is a private matter of torch and this CPU."""
        n_in = self.weight.shape[1]
        x = torch.randn(1, n_in, generator=torch.Generator().manual_seed(n_in)).to(torch.bfloat16)
        exact = F.linear(x, self.weight, self.bias).float()
        return bool((self(x).float() - exact).norm() <= _AGREEMENT * exact.norm())

    @property
    def form(self) -> str:
        return f"int4x{len(self._int4_terms)}" if self._int4_terms else "bf16"

    @property
    def n_bytes(self) -> int:
        tensors = [self.weight, *(tensor for packed, scales, _ in self._int4_terms for tensor in (packed, scales))]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[0] > self._int4_rows:
            return F.linear(x, self.weight, self.bias)
        y: Tensor | None = self.bias
        if self._order is not None:
            x = x[:, self._order]
        for packed, scales, group_size in self._int4_terms:
            part: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, group_size, scales)
            y = part if y is None else part + y
        assert y is not None
        return y

    def logits(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        """The product is rounded to bfloat16: the likeliest tokens, and the targets, are computed again in float32."""
        out = self(x).float()
        candidates = out.topk(min(_EXACT, out.shape[1])).indices
        if targets is not None:
            candidates = torch.cat([candidates, targets], dim=1)
        rows = self.rows(candidates).float()  # [n, candidates, in]
        return out.scatter_(1, candidates, torch.bmm(rows, x.float().unsqueeze(2)).squeeze(2))

    def rows(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.weight)
