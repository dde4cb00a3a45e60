"""A quantized matrix: integer codes with scales, whatever format they came in.

It owns what codes mean. It knows neither the formats of files nor products.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

GROUP_SIZE = 32  # columns with one scale, in all formats but Q6_K


class QuantizedMatrix(NamedTuple):
    """w = (code - zero_point) scale + offset, with a scale, and an offset in some formats, for each group of columns."""

    codes: Tensor  # uint8 [rows, in], each below 2**bits
    scale: Tensor  # float32 [rows, groups]
    offset: Tensor | None  # like scale
    bits: int  # 4, 5, 6 or 8
    zero_point: int

    @property
    def group_size(self) -> int:
        """Columns with one scale: 16 or 32."""
        return self.codes.shape[1] // self.scale.shape[1]

    def dequantize(self) -> Tensor:
        """float32 [rows, in]."""
        wide = self.codes.view(*self.scale.shape, -1).float().sub_(self.zero_point).mul_(self.scale.unsqueeze(-1))
        if self.offset is not None:
            wide += self.offset.unsqueeze(-1)
        return wide.view(self.codes.shape)


def quantize_8bit(values: Tensor) -> QuantizedMatrix:
    """Any matrix in 8 bits, float32 [rows, in]: off by at most 1/254 of the largest of each 32."""
    groups = values.view(values.shape[0], -1, GROUP_SIZE)
    scale = groups.abs().amax(-1) / 127
    codes = (groups / scale.clamp_min(torch.finfo(torch.float32).tiny).unsqueeze(-1)).round_().add_(128)
    return QuantizedMatrix(codes.to(torch.uint8).view(values.shape), scale, None, 8, 128)
