"""Products with a model's matrices on a CPU: bfloat16, and 4-bit straight from the file's own codes for a few rows at a time.

It owns the choice between the two by the number of rows, which is a matter of memory bandwidth: a decode step reads every
weight once for little work. It knows neither layers nor files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32
# Up to so many rows the product over 4-bit codes is faster than the bfloat16 one, by the number of passes over them.
_INT4_ROWS = {1: 12, 2: 4}
_AGREEMENT = 0.03  # relative; rounding alone makes some 0.005


class Codes(NamedTuple):
    """4-bit codes with a scale and an offset a group of 32: w = (code - 8) scale + offset."""

    codes: Tensor  # uint8 [out, in], 0..15
    scales: Tensor  # [in / 32, out, 2]: scale, offset


class Product(Protocol):
    """y = x W^T (+ b), with W [out, in] in whatever form."""

    @property
    def has_codes(self) -> bool:
        """Is it taken, for some numbers of rows at least, straight from quantized codes?"""
        ...

    @property
    def n_bytes(self) -> int:
        """Memory of all copies."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """x [rows, in] bf16 -> [rows, out] bf16."""
        ...

    def wide(self, x: Tensor) -> Tensor:
        """The same as exactly as it comes, in float32."""
        ...

    def rows(self, indices: Tensor) -> Tensor:
        """Rows of W, bf16 [*indices.shape, in]."""
        ...


class Linear:
    """y = x W^T (+ b) with W [out, in] in bfloat16, and, where given, the same matrix as a sum of 4-bit ones.

    One pass holds a 4-bit format exactly; two hold an 8-bit one (its high and its low half), which still reads half of what
    bfloat16 does.
    """

    __slots__ = ("_passes", "_rows", "bias", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None, int4: Iterable[Codes] = ()) -> None:
        """`int4` is packed one pass after another: let it be an iterator where memory counts."""
        self.weight = weight
        self.bias = bias
        pack = torch.ops.aten._convert_weight_to_int4pack_for_cpu
        self._passes = tuple((pack(codes.to(torch.int32), 1), scales.to(torch.bfloat16)) for codes, scales in int4)
        self._rows = _INT4_ROWS.get(len(self._passes), 0)
        if self._passes and not self._agrees():
            self._passes, self._rows = (), 0

    def _agrees(self) -> bool:
        """Does the 4-bit product say what the bfloat16 one says? Its packing is a private matter of torch and this CPU."""
        n_in = self.weight.shape[1]
        x = torch.randn(1, n_in, generator=torch.Generator().manual_seed(n_in)).to(torch.bfloat16)
        exact = F.linear(x, self.weight, self.bias).float()
        return bool((self(x).float() - exact).norm() <= _AGREEMENT * exact.norm())

    @property
    def has_codes(self) -> bool:
        return bool(self._passes)

    @property
    def n_bytes(self) -> int:
        tensors = [self.weight, *(tensor for part in self._passes for tensor in part)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[0] > self._rows:
            return F.linear(x, self.weight, self.bias)
        y: Tensor | None = self.bias
        for packed, scales in self._passes:
            part: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, GROUP, scales)
            y = part if y is None else part + y
        assert y is not None
        return y

    def wide(self, x: Tensor) -> Tensor:
        """Rounded to bfloat16 on the way."""
        return self(x).float()

    def rows(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.weight)


def int4_supported() -> bool:
    """Has this CPU (and this torch) a fast 4-bit product?"""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu")
