"""Linear layers on a GPU: bfloat16 by cuBLAS, and quantized ones straight from the file's own codes.

It owns the choice by the number of rows between the kernels, which read the codes, and cuBLAS over bfloat16: a copy where there
is one, else rows that are made of the codes a slice at a time. It knows neither layers nor files.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.kernels import quantized_matmul
from portico_engine.kernels.quantized_layout import TiledMatrix

_KERNEL_ROWS = 192  # up to so many the kernels are faster than slices, although they read the codes anew for each 64
_BESIDE_COPY, _SMALL_BESIDE_COPY = 64, 16  # up to so many they are faster than cuBLAS
_SMALL = 1 << 24  # weights of a matrix that the GPU's cache holds
_SLICE = 1 << 26  # elements in bfloat16 at a time
_SLICE_ROWS = 512  # and a multiple of so many rows: cuBLAS is slow with odd numbers


class CUDALinear:
    """`Linear` with W [out, in] in bfloat16."""

    __slots__ = ("bias", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias

    @property
    def form(self) -> str:
        return "bf16"

    @property
    def n_bytes(self) -> int:
        return self.weight.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """All of them as exact as cuBLAS accumulates, which is in float32."""
        out: Tensor = torch.mm(x, self.weight.T, out_dtype=torch.float32)
        return out if self.bias is None else out.add_(self.bias)

    def rows(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.weight)


class CUDAQuantizedLinear:
    """`Linear` with matrices stacked by rows, each in its own format; with a copy in bfloat16 where memory allows."""

    __slots__ = ("_copy", "_kernel_rows", "_places", "bias", "parts")

    def __init__(self, parts: Sequence[TiledMatrix], bias: Tensor | None = None, *, copy: bool = False) -> None:
        self.parts = tuple(parts)
        self.bias = bias
        ends = [sum(part.n_out for part in parts[: i + 1]) for i in range(len(parts))]
        self._places = [slice(end - part.n_out, end) for part, end in zip(parts, ends, strict=True)]
        self._copy: CUDALinear | None = None
        self._kernel_rows = _KERNEL_ROWS
        if copy:
            small = sum(part.n_out * part.n_in for part in parts) <= _SMALL
            self._kernel_rows = _SMALL_BESIDE_COPY if small else _BESIDE_COPY
            self._copy = CUDALinear(torch.cat([quantized_matmul.dequantize_rows(part, 0, part.n_out) for part in parts]), bias)

    @property
    def form(self) -> str:
        return "codes" if self._copy is None else "copied codes"

    @property
    def n_bytes(self) -> int:
        return self.code_bytes + (0 if self._copy is None else self._copy.n_bytes)

    @property
    def code_bytes(self) -> int:
        return sum(part.n_bytes for part in self.parts)

    def __call__(self, x: Tensor) -> Tensor:
        if self._copy is not None and x.shape[0] > self._kernel_rows:
            return self._copy(x)
        return self._product(x, torch.bfloat16)

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """All of them accumulated and kept in float32."""
        if self._copy is not None and x.shape[0] > self._kernel_rows:
            return self._copy.logits(x)
        return self._product(x, torch.float32)

    def rows(self, indices: Tensor) -> Tensor:
        (part,) = self.parts
        return quantized_matmul.gather_rows(part, indices)

    def _product(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        out = torch.empty(x.shape[0], self._places[-1].stop, dtype=dtype, device=x.device)
        run = quantized_matmul.matmul if x.shape[0] <= self._kernel_rows else _by_slices
        for part, place in zip(self.parts, self._places, strict=True):
            run(x, part, out[:, place], None if self.bias is None else self.bias[place])
        return out


def _by_slices(x: Tensor, matrix: TiledMatrix, out: Tensor, bias: Tensor | None) -> None:
    step = max(1, _SLICE // matrix.n_in // _SLICE_ROWS) * _SLICE_ROWS
    for first in range(0, matrix.n_out, step):
        n = min(step, matrix.n_out - first)
        weight = quantized_matmul.dequantize_rows(matrix, first, n)
        if out.dtype == torch.float32:
            torch.mm(x, weight.T, out_dtype=torch.float32, out=out[:, first : first + n])
        else:
            torch.mm(x, weight.T, out=out[:, first : first + n])
    if bias is not None:
        out += bias
