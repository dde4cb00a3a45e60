"""GGUF's quantized blocks as codes and scales, in torch on any device.

It owns the formats' bit layouts (ggml-common.h and gguf-py are the specification). It knows neither files nor products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from portico_engine.kernels.quantized_layout import Codes


class _Parts(NamedTuple):
    codes: Tensor  # uint8 [rows, blocks, columns of a block]
    scales: Tensor  # float32 [rows, blocks, groups of a block]
    offsets: Tensor | None = None


def read_blocks(raw: Tensor, kind: Q) -> Codes:
    """uint8 [rows, bytes of a row] of one of FORMATS."""
    bits, zero, read = FORMATS[kind]
    parts = read(raw.view(raw.shape[0], -1, GGML_QUANT_SIZES[kind][1]))
    codes, scales, offsets = (None if part is None else part.reshape(raw.shape[0], -1) for part in parts)
    assert codes is not None
    assert scales is not None
    return Codes(codes, scales, offsets, bits, zero)


def _nibbles(packed: Tensor, together: int = 16) -> Tensor:
    """Two codes a byte: the low halves of so many bytes, then their high halves. [..., n] -> [..., 2 n]"""
    split = packed.unflatten(-1, (-1, together))
    return torch.cat([split & 15, split >> 4], dim=-1).flatten(-2)


def _half(blocks: Tensor, at: int) -> Tensor:
    """The float16 at this byte of every block, in float32 [rows, blocks, 1]."""
    return blocks[..., at : at + 2].contiguous().view(torch.float16).float()


def _bits(packed: Tensor) -> Tensor:
    """Bits of bytes, the lowest first: [..., n] -> [..., 8 n]"""
    return (packed.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8, device=packed.device) & 1).flatten(-2)


def _q4_0(b: Tensor) -> _Parts:
    return _Parts(_nibbles(b[..., 2:]), _half(b, 0))


def _q4_1(b: Tensor) -> _Parts:
    return _Parts(_nibbles(b[..., 4:]), _half(b, 0), _half(b, 2))


def _q5_0(b: Tensor) -> _Parts:
    return _Parts(_nibbles(b[..., 6:]) | _bits(b[..., 2:6]) << 4, _half(b, 0))


def _q5_1(b: Tensor) -> _Parts:
    return _Parts(_nibbles(b[..., 8:]) | _bits(b[..., 4:8]) << 4, _half(b, 0), _half(b, 2))


def _q8_0(b: Tensor) -> _Parts:
    return _Parts(b[..., 2:] ^ 128, _half(b, 0))


def _k_scales(b: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and offsets of the 8 groups of a block of Q4_K or Q5_K: 6 bits each in 12 bytes, times two float16."""
    low, middle, high = b[..., 4:16].split(4, dim=-1)
    scales = torch.cat([low & 63, high & 15 | low >> 6 << 4], dim=-1)
    minima = torch.cat([middle & 63, high >> 4 | middle >> 6 << 4], dim=-1)
    return scales * _half(b, 0), minima * -_half(b, 2)


def _q4_k(b: Tensor) -> _Parts:
    return _Parts(_nibbles(b[..., 16:], 32), *_k_scales(b))


def _q5_k(b: Tensor) -> _Parts:
    above = _bits(b[..., 16:48]).unflatten(-1, (32, 8)).transpose(-1, -2).flatten(-2)
    return _Parts(_nibbles(b[..., 48:], 32) | above << 4, *_k_scales(b))


def _q6_k(b: Tensor) -> _Parts:
    low = _nibbles(b[..., :128], 64)
    two = b[..., 128:192].unflatten(-1, (2, 1, 32)) >> torch.tensor([0, 2, 4, 6], dtype=torch.uint8, device=b.device).view(4, 1)
    return _Parts(low | (two & 3).flatten(-3) << 4, b[..., 192:208].contiguous().view(torch.int8) * _half(b, 208))


FORMATS: dict[Q, tuple[int, int, Callable[[Tensor], _Parts]]] = {  # bits, zero, reader
    Q.Q4_0: (4, 8, _q4_0),
    Q.Q4_1: (4, 0, _q4_1),
    Q.Q5_0: (5, 16, _q5_0),
    Q.Q5_1: (5, 0, _q5_1),
    Q.Q8_0: (8, 128, _q8_0),
    Q.Q4_K: (4, 0, _q4_k),
    Q.Q5_K: (5, 0, _q5_k),
    Q.Q6_K: (6, 32, _q6_k),
}
