"""A quantized matrix: integer codes with scales, whatever format they came in.

It owns what codes mean. It knows neither the formats of files nor products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

GROUP_SIZE = 32  # columns with one scale, in most formats of GGUF
_UNITS = (1.0, 0.5, 0.125)  # of which the numbers of tables are multiples


class QuantizedMatrix(NamedTuple):
    """w = (code - zero_point) scale + offset, or table[code] scale, with a scale, and an offset in some formats, for each group
    of columns.
    """

    codes: Tensor  # uint8 [rows, in], each below 2**bits
    scale: Tensor  # float32 [rows, groups]
    offset: Tensor | None  # like scale
    bits: int  # 4, 5, 6 or 8
    zero_point: int
    table: Tensor | None = None  # float32 [16], of 4 bits
    order: Tensor | None = None  # int64 [in]: the input that each column multiplies; None: the one in its place

    @property
    def group_size(self) -> int:
        """Columns with one scale."""
        return self.codes.shape[1] // self.scale.shape[1]

    def dequantize(self) -> Tensor:
        """float32 [rows, in], columns in the inputs' order."""
        if self.table is None:
            wide = self.codes.float().sub_(self.zero_point)
        else:
            wide = self.table[self.codes.int()]
        wide = wide.view(*self.scale.shape, -1).mul_(self.scale.unsqueeze(-1))
        if self.offset is not None:
            wide += self.offset.unsqueeze(-1)
        wide = wide.view(self.codes.shape)
        return wide if self.order is None else torch.empty_like(wide).index_copy_(1, self.order, wide)

    def in_8bit(self) -> QuantizedMatrix:
        """Codes of a table as numbers of 8 bits: exact where the table's are multiples of some unit, else off by 1/254 of the
        largest at most.
        """
        assert self.table is not None
        largest = float(self.table.abs().max())
        unit = next((unit for unit in _UNITS if _whole(self.table / unit)), largest / 127)
        values = (self.table / unit).round() + 128
        return QuantizedMatrix(values.to(torch.uint8)[self.codes.int()], self.scale * unit, None, 8, 128, order=self.order)

    def with_rows(self, rows: Tensor) -> QuantizedMatrix:
        """These of its rows, int64 [n], in this order."""
        return self._replace(
            codes=self.codes[rows], scale=self.scale[rows], offset=None if self.offset is None else self.offset[rows]
        )

    def stacks_with(self, other: QuantizedMatrix) -> bool:
        """Have both one form, so that their rows can be one matrix's?"""
        mine, theirs = ((m.bits, m.zero_point, m.group_size, m.codes.shape[1], m.offset is None) for m in (self, other))
        tensors = ((self.table, other.table), (self.order, other.order))
        return mine == theirs and all(a is b or (a is not None and b is not None and torch.equal(a, b)) for a, b in tensors)

    def regrouped(self, group_size: int) -> QuantizedMatrix:
        """The same with a scale for each `group_size` columns, of which its own groups are multiples."""
        times = self.group_size // group_size
        if times == 1:
            return self
        offset = None if self.offset is None else self.offset.repeat_interleave(times, 1)
        return self._replace(scale=self.scale.repeat_interleave(times, 1), offset=offset)


def stack_rows(matrices: Sequence[QuantizedMatrix]) -> list[QuantizedMatrix]:
    """The same rows in as few matrices as their forms allow."""
    out: list[QuantizedMatrix] = []
    for matrix in matrices:
        if out and out[-1].stacks_with(matrix):
            above = out.pop()
            offset = None
            if above.offset is not None and matrix.offset is not None:
                offset = torch.cat([above.offset, matrix.offset])
            matrix = above._replace(
                codes=torch.cat([above.codes, matrix.codes]), scale=torch.cat([above.scale, matrix.scale]), offset=offset
            )
        out.append(matrix)
    return out


def _whole(values: Tensor) -> bool:
    return bool((values == values.round()).all()) and float(values.abs().max()) <= 127


def quantize_8bit(values: Tensor) -> QuantizedMatrix:
    """Any matrix in 8 bits, float32 [rows, in]: off by at most 1/254 of the largest of each 32."""
    groups = values.view(values.shape[0], -1, GROUP_SIZE)
    scale = groups.abs().amax(-1) / 127
    codes = (groups / scale.clamp_min(torch.finfo(torch.float32).tiny).unsqueeze(-1)).round_().add_(128)
    return QuantizedMatrix(codes.to(torch.uint8).view(values.shape), scale, None, 8, 128)
