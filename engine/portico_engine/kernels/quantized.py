"""Products with quantized matrices, and their rows in bfloat16, by the kernels of quantized.cu.

It owns the choice of a variant for the number of tokens, and launches. `quantized_layout` says how a matrix lies in memory and
has the plain torch twin: `unpack(matrix).values()`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from portico_engine.kernels.cuda_source import Module
from portico_engine.kernels.quantized_layout import TILE_COLUMNS, TILE_ROWS, Packed

_SOURCE = Path(__file__).with_name("quantized.cu")
_THREADS = 256


class Variant(NamedTuple):
    """How the work is cut; quantized.cu says what the words mean."""

    tokens: int
    rows: int
    warps: int
    scale_first: bool


# Up to so many tokens.
_VARIANTS = {8: Variant(1, 1, 8, False), 16: Variant(2, 1, 8, True), 32: Variant(4, 2, 8, True), 64: Variant(8, 2, 4, True)}


def product(x: Tensor, matrix: Packed, out: Tensor, bias: Tensor | None = None) -> None:
    """out = x W^T (+ bias): x bf16 [n, in]; out bf16 or float32 [n, out], whose rows may be part of wider ones."""
    run(variant_for(x.shape[0]), x, matrix, out, bias)


def variant_for(n: int) -> Variant:
    """The fastest for so many tokens."""
    return next((variant for most, variant in _VARIANTS.items() if n <= most), _VARIANTS[64])


def run(variant: Variant, x: Tensor, matrix: Packed, out: Tensor, bias: Tensor | None = None) -> None:
    """`product` by this variant."""
    n, n_in = x.shape
    assert x.is_contiguous()
    assert (n, n_in, out.stride(1)) == (out.shape[0], matrix.n_in, 1)
    if n == 0:
        return
    blocks = -(-matrix.n_out // (TILE_ROWS * variant.rows)), -(-n // (8 * variant.tokens))
    _module(_format(matrix), variant, out.dtype == torch.float32, x.device).launch(
        "product", blocks, 32 * variant.warps,
        x, matrix.low, matrix.high, matrix.scales, bias, out, n, n_in, matrix.n_out, out.stride(0),
    )  # fmt: skip


def rows(matrix: Packed, indices: Tensor) -> Tensor:
    """Rows of the matrix, in bf16 [n, in]; indices int32 [n]."""
    return _rows(matrix, indices, 0, len(indices))


def slice_of(matrix: Packed, first: int, n: int) -> Tensor:
    """Consecutive rows, in bf16 [n, in]."""
    return _rows(matrix, None, first, n)


def _rows(matrix: Packed, indices: Tensor | None, first: int, n: int) -> Tensor:
    out = torch.empty(n, matrix.n_in, dtype=torch.bfloat16, device=matrix.low.device)
    threads = n * -(-matrix.n_in // TILE_COLUMNS) * 16
    _module(_format(matrix), _VARIANTS[8], False, out.device).launch(
        "rows", (-(-threads // _THREADS), 1), _THREADS,
        matrix.low, matrix.high, matrix.scales, indices, out, first, n, matrix.n_in,
    )  # fmt: skip
    return out


class _Format(NamedTuple):
    high: int
    zero: int
    offset: bool
    group: int
    ragged: bool


def _format(matrix: Packed) -> _Format:
    return _Format(matrix.bits - 4, matrix.zero, matrix.has_offsets, matrix.group, matrix.n_in % TILE_COLUMNS != 0)


@cache
def _module(format_: _Format, variant: Variant, wide: bool, device: torch.device) -> Module:
    defines = {name.upper(): int(value) for name, value in {**format_._asdict(), **variant._asdict(), "wide": wide}.items()}
    return Module(_SOURCE, defines, device)
