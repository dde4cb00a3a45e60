"""A quantized matrix as a sum of 4-bit ones, in the form that torch's 4-bit product on CPUs takes.

It owns that form and the splitting. Packing and products are `cpu_linear`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from portico_engine.quantization.quantized_matrix import QuantizedMatrix

INT4_GROUPS = (32, 64, 128, 256)  # columns with one scale that torch's product takes


class Int4Matrix(NamedTuple):
    """4-bit codes with a scale and an offset a group, of a size in INT4_GROUPS: w = (code - 8) scale + offset."""

    codes: Tensor  # uint8 [out, in], 0..15
    scales: Tensor  # [groups, out, 2]: scale, offset

    @property
    def group_size(self) -> int:
        return self.codes.shape[1] // self.scales.shape[0]

    @classmethod
    def zeros(cls, n_out: int, n_in: int, n_groups: int, device: str) -> Int4Matrix:
        codes = torch.full((n_out, n_in), 8, dtype=torch.uint8, device=device)
        return cls(codes, torch.zeros(n_groups, n_out, 2, device=device))


def cpu_capability() -> str:
    """The vector instructions that torch uses here, by its name for them."""
    return str(torch.backends.cpu.get_cpu_capability())


def int4_supported() -> bool:
    """Has this CPU (and this torch) a fast 4-bit product?"""
    return cpu_capability() == "AVX512" and hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu")


def int4_terms(matrix: QuantizedMatrix) -> Iterator[Int4Matrix]:
    """The matrix as a sum of 4-bit ones, exact but for the rounding of scales. Its table, if it has one, is rounded to 8 bits,
    and its columns stay in their order.
    """
    if matrix.table is not None:
        matrix = matrix.in_8bit()
    codes, scale, offset, bits, zero_point = matrix[:5]
    assert matrix.group_size in INT4_GROUPS
    none = torch.zeros_like(scale)
    offset = (none if offset is None else offset) - zero_point * scale
    if bits == 4:
        yield _term(codes, scale, offset + 8 * scale)
    elif bits == 5:  # the high bit stands for plus or minus 8
        yield _term(codes & 15, scale, offset + 16 * scale)
        yield _term(7 + 2 * (codes >> 4), 8 * scale, none)
    else:
        yield _term(codes >> 4, 16 * scale, none)
        yield _term(codes & 15, scale, offset + 136 * scale)


def _term(codes: Tensor, scale: Tensor, offset: Tensor) -> Int4Matrix:
    return Int4Matrix(codes, torch.stack([scale, offset], -1).transpose(0, 1).contiguous())
