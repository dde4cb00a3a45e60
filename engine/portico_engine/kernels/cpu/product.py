"""Quantized matrices in the form that the CPU's products of a few rows read, and those products.

It owns packing: 4-bit planes with a table each, scales and offsets in float16 (source/product.cpp draws it). A row's bits do
not depend on how many rows there are.
"""

from __future__ import annotations

import ctypes
import math

import torch
from torch import Tensor

from portico_engine.kernels.cpu.library import KernelLibrary, Numbers
from portico_engine.quantization.quantized_matrix import QuantizedMatrix

PRODUCT_GROUPS = (256, 128, 64, 32, 16)  # columns with one scale that a product takes
PRODUCT_ROWS = 16  # of a matrix there must be a multiple of
PANEL_ROWS = 64  # of a matrix that are computed together
# Up to so many rows bfloat16's product is slower, by the planes of a code. One core of a Zen 5, the layers of SmolLM2-135M: one
# row takes 3.4 and 4.5 ms (bfloat16: 18), 16 rows 11 and 18 (23), 24 rows 16 and 26 (27), 64 rows 43 and 66 (45). A Zen 3 has
# no product of bfloat16, and its float32 one takes 1.9 ms for 24 rows of a matrix of 1,536 x 576 (from codes 0.6 and 0.7),
# 10.3 for 256. From codes in float32: estimated.
_FAST_ROWS: dict[Numbers, dict[int, int]] = {"bf16 pairs": {1: 48, 2: 24}, "int16": {1: 256, 2: 256}, "float32": {1: 12, 2: 6}}
_LARGEST = 14  # exponent of the largest scale or offset, of 15 that float16 has


class MatrixForm(ctypes.Structure):
    """`Matrix` in product_kernels.h."""

    _fields_ = (
        ("tiles", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("unit", ctypes.c_float),
        ("n_out", ctypes.c_int32),
        ("n_in", ctypes.c_int32),
        ("group", ctypes.c_int32),
        ("planes", ctypes.c_int32),
        ("has_offsets", ctypes.c_int32),
        ("tables", ctypes.c_uint16 * 64),
    )


class PackedMatrix:
    """A quantized matrix W [out, in] as products read it."""

    def __init__(self, library: KernelLibrary, matrix: QuantizedMatrix, bias: Tensor | None = None) -> None:
        """`bias` bf16 [out]. Sizes are those that PRODUCT_GROUPS and PRODUCT_ROWS allow."""
        if matrix.table is not None and not library.takes_tables:
            matrix = matrix.in_8bit()
        n_out, n_in = matrix.codes.shape
        assert n_out % PRODUCT_ROWS == 0
        assert matrix.group_size in PRODUCT_GROUPS
        self._product = library.product
        self._bias = bias  # held for its address
        self.n_out, self._order = n_out, matrix.order
        planes = 1 if matrix.bits == 4 else 2
        self.max_rows = _FAST_ROWS[library.numbers][planes]
        unit = _unit(matrix)
        halves = [
            (values / unit).half().contiguous() for values in (matrix.scale, matrix.offset) if values is not None
        ]  # scales, and offsets where there are any
        self._tiles = torch.empty(n_out * (n_in // 2 * planes + sum(2 * half.shape[1] for half in halves)), dtype=torch.uint8)
        tables = _tables(matrix).view(torch.uint16).flatten().tolist()
        address = None if bias is None else bias.data_ptr()
        self.form = MatrixForm(
            self._tiles.data_ptr(), address, unit, n_out, n_in, matrix.group_size, planes, len(halves) - 1,
            (ctypes.c_uint16 * 64)(*tables),
        )  # fmt: skip
        self._address = ctypes.addressof(self.form)
        addresses = [half.data_ptr() for half in halves] + [None] * (2 - len(halves))
        library.pack(self._address, matrix.codes.contiguous().data_ptr(), *addresses, self._tiles.data_ptr())

    @property
    def in_order(self) -> bool:
        """Do its columns multiply inputs in the order in which they come?"""
        return self._order is None

    @property
    def n_bytes(self) -> int:
        """Of the packed form."""
        return self._tiles.nbytes

    def multiply(self, x: Tensor, out: Tensor, wanted: Tensor | None = None) -> None:
        """x bf16 [rows, in] -> out [rows, out], bf16 or float32: columns of a wider matrix's rows. Where only some of them,
        int64 [any number], are `wanted`, their panels alone are computed, to the same bits, and the rest is left as it is.
        """
        if self._order is not None:
            x = x[:, self._order]
        stride, step = x.stride()
        if step != 1:
            x, stride = x.contiguous(), x.shape[1]
        wide = out.dtype == torch.float32
        panels = None if wanted is None else torch.unique(wanted // PANEL_ROWS).to(torch.int32)
        chosen = (None, 0) if panels is None else (panels.data_ptr(), len(panels))
        self._product(self._address, x.data_ptr(), stride, x.shape[0], out.data_ptr(), out.stride(0), wide, *chosen)


def _unit(matrix: QuantizedMatrix) -> float:
    """A power of two that brings scales and offsets into float16's range: what was float16 stays exact."""
    largest = max(float(values.abs().max()) for values in (matrix.scale, matrix.offset) if values is not None)
    return 2.0 ** (math.frexp(largest)[1] - 1 - _LARGEST) if largest > 0 else 1.0


def _tables(matrix: QuantizedMatrix) -> Tensor:
    """What each plane's 16 codes stand for, twice: bf16 [2, 32]. Whole numbers up to 256 are exact."""
    numbers = torch.arange(16, dtype=torch.float32)
    if matrix.bits == 4:
        low = numbers - matrix.zero_point if matrix.table is None else matrix.table.float()
        high = torch.zeros(16)
    else:
        low, high = numbers, 16 * numbers - matrix.zero_point
    return torch.stack([low, high]).repeat(1, 2).to(torch.bfloat16)
