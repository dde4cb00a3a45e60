"""Products of a few rows straight from a matrix's codes, on a CPU: by kernels of our own, or by torch's 4-bit product.

It owns both forms, each with the number of rows up to which it is faster than bfloat16. `CPULinear` has one of them, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from portico_engine.kernels.cpu.build import KernelsUnavailable, find_library
from portico_engine.kernels.cpu.product import PackedMatrix
from portico_engine.linear.int4 import Int4Matrix, int4_supported

_INT4_ROWS = {1: 12, 2: 4}  # by the number of terms


def codes_supported() -> bool:
    """Has this machine a fast product from codes, by kernels or by torch?"""
    try:
        find_library()
    except KernelsUnavailable:
        return int4_supported()
    return True


class CodesProduct(Protocol):
    """y = x W^T (+ b) from the codes of W [out, in]."""

    @property
    def max_rows(self) -> int:
        """Up to so many it is faster than the product in bfloat16."""
        ...

    @property
    def n_bytes(self) -> int: ...

    @property
    def form(self) -> str:
        """See `Linear.form`."""
        ...

    @property
    def rounds(self) -> bool:
        """Does even a float32 result come by way of bfloat16?"""
        ...

    def __call__(self, x: Tensor, dtype: torch.dtype, wanted: Tensor | None = None) -> Tensor:
        """x bf16 [rows, in] -> [rows, out] of the dtype. Where only some of the outputs, int64 [any number], are wanted, others
        may be minus infinity.
        """
        ...


class KernelProduct:
    """`CodesProduct` of matrices stacked by rows, each in its own format, by the CPU's kernels."""

    rounds = False
    form = "codes"

    def __init__(self, parts: Sequence[PackedMatrix]) -> None:
        self.parts = tuple(parts)
        self._n_out = sum(part.n_out for part in parts)
        self.max_rows = min(part.max_rows for part in parts)

    @property
    def n_bytes(self) -> int:
        return sum(part.n_bytes for part in self.parts)

    def __call__(self, x: Tensor, dtype: torch.dtype, wanted: Tensor | None = None) -> Tensor:
        shape = x.shape[0], self._n_out
        out = torch.empty(shape, dtype=dtype) if wanted is None else torch.full(shape, float("-inf"), dtype=dtype)
        first = 0
        for part in self.parts:
            own = None if wanted is None else wanted[(wanted >= first) & (wanted < first + part.n_out)] - first
            part.multiply(x, out[:, first:] if first else out, own)
            first += part.n_out
        return out


class Int4Product:
    """`CodesProduct` of a sum of 4-bit matrices, by torch. One term holds a 4-bit format exactly; two hold an 8-bit one (its
    high and its low half), which still reads half of what bfloat16 does.
    """

    rounds = True

    def __init__(self, terms: Iterable[Int4Matrix], bias: Tensor | None = None, order: Tensor | None = None) -> None:
        """`terms` are packed one after another: let it be an iterator where memory counts. `order` int64 [in]: the inputs that
        the columns multiply, where they are not in their places.
        """
        pack = torch.ops.aten._convert_weight_to_int4pack_for_cpu
        self._terms = tuple(
            (pack(term.codes.to(torch.int32), 1), term.scales.to(torch.bfloat16), term.group_size) for term in terms
        )
        self._bias, self._order = bias, order
        self.max_rows = _INT4_ROWS[len(self._terms)]
        self.form = f"int4x{len(self._terms)}"

    @property
    def n_bytes(self) -> int:
        return sum(tensor.nbytes for packed, scales, _ in self._terms for tensor in (packed, scales))

    def __call__(self, x: Tensor, dtype: torch.dtype, wanted: Tensor | None = None) -> Tensor:
        y: Tensor | None = self._bias
        if self._order is not None:
            x = x[:, self._order]
        for packed, scales, group_size in self._terms:
            part: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, group_size, scales)
            y = part if y is None else part + y
        assert y is not None
        return y.to(dtype)
