"""Linear layers with float8 weights on a GPU, by the tensor cores' float8 product.

Activations are rounded to float8 too, each token with scales of its own: one, or one for each 128 columns where the weights
have theirs by blocks. It knows neither layers nor files.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.functional import ScalingType, scaled_mm

from portico_engine.kernels.float8 import quantize_float8

_BLOCK = 128
_AGREEMENT = 0.08  # relative; rounding activations makes some 0.03
_TRIED_ROWS = (1, 7, 16)
_ROWS = 4  # by blocks cuBLAS takes rows in fours alone, and reads scales of blocks in fours


class CUDAFloat8Linear:
    """`Linear` with W [out, in] in float8_e4m3fn, times `scale`: float32 [out, 1], or [out / 128, in / 128]."""

    __slots__ = ("_by_blocks", "_scale", "bias", "weight")

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None = None, *, by_blocks: bool = False) -> None:
        """Raises RuntimeError where this GPU, or this torch, has no such product, or another one."""
        n_out, n_in = weight.shape
        self.weight = weight
        self.bias = bias
        self._by_blocks = by_blocks
        if not by_blocks:
            self._scale = scale.reshape(1, n_out).contiguous()
            self._check(scale)
            return
        # the scales of one row of blocks beside each other, the next row's from the next place of four on
        self._scale = F.pad(scale, (0, -scale.shape[1] % _ROWS)).contiguous().T
        self._check(scale.repeat_interleave(_BLOCK, 0).repeat_interleave(_BLOCK, 1)[:n_out, :n_in])

    def _check(self, factors: Tensor) -> None:
        """Raises RuntimeError where products of some numbers of rows can't be, or are others than they should."""
        n_out, n_in = self.weight.shape
        random = torch.Generator(self.weight.device).manual_seed(n_in)
        rows = min(n_out, 4 * _BLOCK)
        wide = self.weight[:rows].float() * factors[:rows]
        for n in _TRIED_ROWS:
            x = torch.randn(n, n_in, generator=random, device=self.weight.device).bfloat16()
            exact = x.float() @ wide.T
            off = (self._product(x)[:, :rows].float() - exact).norm()
            if not bool(off <= _AGREEMENT * exact.norm()):
                raise RuntimeError(f"the float8 product is off by {float(off / exact.norm()):.0%}")

    @property
    def form(self) -> str:
        return "float8"

    @property
    def n_bytes(self) -> int:
        return self.weight.nbytes + self._scale.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        y = self._product(x)
        return y if self.bias is None else y.add_(self.bias)

    def _product(self, x: Tensor) -> Tensor:
        if not self._by_blocks:
            values, scales = quantize_float8(x, x.shape[1])
            out: Tensor = torch._scaled_mm(
                values, self.weight.T, scale_a=scales, scale_b=self._scale, out_dtype=torch.bfloat16, use_fast_accum=True
            )
            return out
        values, scales = quantize_float8(F.pad(x, (0, 0, 0, -len(x) % _ROWS)), _BLOCK)
        out = scaled_mm(
            values,
            self.weight.T,
            scales,
            ScalingType.BlockWise1x128,
            self._scale,
            ScalingType.BlockWise128x128,
            output_dtype=torch.bfloat16,
        )
        return out[: len(x)]

    def logits(self, x: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """Rounded to bfloat16 as all products are here."""
        return self(x).float()

    def rows(self, indices: Tensor) -> Tensor:
        """Without their scales there are none: a decoder's embedding is not float8."""
        raise NotImplementedError("rows of a float8 matrix")
