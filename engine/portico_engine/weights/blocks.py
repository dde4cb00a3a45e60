"""The block formats of GGUF as codes with a scale and an offset a group (ggml's `ggml-quants.h` is their specification).

It owns the layouts whose groups are of 32 weights, in torch on any device, and how codes become passes of the 4-bit product. It
knows neither files nor layers; the other formats are gguf's to dequantize.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from portico_engine.weights.linear import GROUP, Codes


class Affine(NamedTuple):
    """w = code scale + offset, a scale and an offset a group."""

    codes: Tensor  # uint8 [rows, groups, 32]
    scale: Tensor  # float32 [rows, groups]
    offset: Tensor
    bits: int

    def values(self) -> Tensor:
        """float32 [rows, in]."""
        wide = torch.addcmul(self.offset.unsqueeze(-1), self.codes, self.scale.unsqueeze(-1))
        return wide.view(self.codes.shape[0], -1)


def unpack(raw: Tensor, kind: Q) -> Affine:
    """Rows of a matrix as they are in the file, uint8 [rows, bytes of a row], of a format in `FORMATS`."""
    read, bits = FORMATS[kind]
    blocks = raw.view(-1, GGML_QUANT_SIZES[kind][1])
    codes, scale, offset = read(blocks)
    rows = raw.shape[0]
    return Affine(codes.reshape(rows, -1, GROUP), scale.reshape(rows, -1), offset.reshape(rows, -1), bits)


def eight_bit(values: Tensor) -> Affine:
    """Any matrix in 8 bits, float32 [rows, in]: off by at most 1/254 of the largest of each 32."""
    groups = values.view(values.shape[0], -1, GROUP)
    scale = groups.abs().amax(-1) / 127
    codes = (groups / scale.clamp_min(torch.finfo(torch.float32).tiny).unsqueeze(-1)).round_().add_(128)
    return Affine(codes.to(torch.uint8), scale, -128 * scale, 8)


def passes(matrix: Affine) -> Iterator[Codes]:
    """The matrix as a sum of 4-bit ones, exact but for the rounding of scales."""
    codes, scale, offset, bits = matrix
    codes = codes.reshape(codes.shape[0], -1)
    zero = torch.zeros_like(scale)
    if bits == 4:
        yield _pass(codes, scale, offset + 8 * scale)
    elif bits == 5:  # the high bit stands for plus or minus 8
        yield _pass(codes & 15, scale, offset + 16 * scale)
        yield _pass(7 + 2 * (codes >> 4), 8 * scale, zero)
    else:
        yield _pass(codes >> 4, 16 * scale, zero)
        yield _pass(codes & 15, scale, offset + 136 * scale)


def nothing(n_out: int, n_in: int, device: str) -> Codes:
    """A pass that adds zero."""
    codes = torch.full((n_out, n_in), 8, dtype=torch.uint8, device=device)
    return Codes(codes, torch.zeros(n_in // GROUP, n_out, 2, device=device))


def n_passes(kind: Q) -> int:
    """Passes of the 4-bit product that a format takes; 0 where the weights aren't quantized."""
    if kind in (Q.F32, Q.F16, Q.BF16, Q.F64):
        return 0
    return 1 if kind in FORMATS and FORMATS[kind][1] == 4 else 2


def _pass(codes: Tensor, scale: Tensor, offset: Tensor) -> Codes:
    return Codes(codes, torch.stack([scale, offset], -1).transpose(0, 1).contiguous())


_Read = tuple[Tensor, Tensor, Tensor]  # codes [blocks, (groups,) 32], scale and offset [blocks (, groups)]


def _q4_0(blocks: Tensor) -> _Read:
    d = _half(blocks, 0)
    return _nibbles(blocks[:, 2:]), d, -8 * d


def _q4_1(blocks: Tensor) -> _Read:
    return _nibbles(blocks[:, 4:]), _half(blocks, 0), _half(blocks, 2)


def _q5_0(blocks: Tensor) -> _Read:
    d = _half(blocks, 0)
    return _nibbles(blocks[:, 6:]) | _bits(blocks[:, 2:6]) << 4, d, -16 * d


def _q5_1(blocks: Tensor) -> _Read:
    return _nibbles(blocks[:, 8:]) | _bits(blocks[:, 4:8]) << 4, _half(blocks, 0), _half(blocks, 2)


def _q8_0(blocks: Tensor) -> _Read:
    d = _half(blocks, 0)
    return blocks[:, 2:] ^ 128, d, -128 * d


def _q4_k(blocks: Tensor) -> _Read:
    scale, offset = _k_scales(blocks)
    return _k_nibbles(blocks[:, 16:]), scale, offset


def _q5_k(blocks: Tensor) -> _Read:
    scale, offset = _k_scales(blocks)
    high = (blocks[:, None, 16:48] >> _shifts(1, 8, blocks).unsqueeze(-1)) & 1
    return _k_nibbles(blocks[:, 48:]) | high << 4, scale, offset


FORMATS: dict[Q, tuple[Callable[[Tensor], _Read], int]] = {  # how to read it, bits of a code
    Q.Q4_0: (_q4_0, 4),
    Q.Q4_1: (_q4_1, 4),
    Q.Q5_0: (_q5_0, 5),
    Q.Q5_1: (_q5_1, 5),
    Q.Q8_0: (_q8_0, 8),
    Q.Q4_K: (_q4_k, 4),
    Q.Q5_K: (_q5_k, 5),
}


def _half(blocks: Tensor, at: int, trailing: int = 0) -> Tensor:
    """The float16 at this byte of every block, in float32 [blocks] or [blocks, 1]."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float().view(-1, *(1,) * trailing)


def _nibbles(packed: Tensor) -> Tensor:
    """Two codes a byte, the low halves first: [..., n] -> [..., 2 n]."""
    return torch.cat([packed & 15, packed >> 4], dim=-1)


def _bits(packed: Tensor) -> Tensor:
    """[blocks, 4] -> the 32 bits, lowest first."""
    return ((packed.unsqueeze(-1) >> _shifts(1, 8, packed)) & 1).flatten(1)


def _k_nibbles(packed: Tensor) -> Tensor:
    """[blocks, 128] -> [blocks, 8, 32]: each 32 bytes hold two groups."""
    return _nibbles(packed.view(-1, 4, 32)).view(-1, 8, 32)


def _k_scales(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and offsets [blocks, 8] of Q4_K and Q5_K, 6 bits each in 12 bytes."""
    a, b, c = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]
    scales = torch.cat([a & 63, c & 15 | a >> 6 << 4], 1)
    mins = torch.cat([b & 63, c >> 4 | b >> 6 << 4], 1)
    return _half(blocks, 0, 1) * scales, -_half(blocks, 2, 1) * mins


def _shifts(step: int, count: int, like: Tensor) -> Tensor:
    return torch.arange(0, step * count, step, dtype=torch.uint8, device=like.device)
