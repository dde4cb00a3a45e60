"""The block formats of GGUF as codes with scales (ggml's `ggml-quants.h` is their specification).

It owns the layouts of formats with codes, in torch on any device; those by codebook are `codebook_formats`'. It knows neither
files nor layers; the other formats are gguf's to dequantize.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from portico_engine.quantization import codebook_formats
from portico_engine.quantization.packed_formats import E2M1
from portico_engine.quantization.packing import Packing
from portico_engine.quantization.quantized_matrix import GROUP_SIZE, QuantizedMatrix


class BlockFormat(NamedTuple):
    """How blocks of a format are read: `read` yields codes and, for each group of columns, scale and offset."""

    read: Callable[[Tensor], _Groups]
    bits: int
    zero_point: int = 0
    has_offsets: bool = False
    group_size: int = GROUP_SIZE
    table: tuple[float, ...] | None = None  # what codes stand for, where that is no number less the zero point


def unpack_blocks(raw: Tensor, kind: Q) -> QuantizedMatrix:
    """Rows of a matrix as they are in the file, uint8 [rows, bytes of a row], of a format in `FORMATS`."""
    form = FORMATS[kind]
    codes, scale, offset = form.read(raw.view(-1, GGML_QUANT_SIZES[kind][1]))
    rows = raw.shape[0]
    return QuantizedMatrix(
        codes.reshape(rows, -1),
        scale.reshape(rows, -1),
        None if offset is None else offset.reshape(rows, -1),
        form.bits,
        form.zero_point,
        None if form.table is None else codebook_formats.table(form.table, raw.device),
    )


def is_quantized(kind: Q | Packing) -> bool:
    """Are its weights codes with scales?"""
    if isinstance(kind, Packing):
        return kind.has_codes
    return kind not in (Q.F64, Q.F32, Q.F16, Q.BF16)


def bits_per_weight(kind: Q | Packing) -> float:
    """What a weight takes where codes are all that is kept, with scales and offsets in float16."""
    if isinstance(kind, Packing):
        return kind.bits_per_weight
    if not is_quantized(kind):
        return 16
    if kind not in FORMATS:
        return 8 + 16 / GROUP_SIZE
    form = FORMATS[kind]
    return form.bits + 16 * (1 + form.has_offsets) / form.group_size


_Groups = tuple[Tensor, Tensor, Tensor | None]  # codes [blocks, (groups,) 32], scale and offset [blocks (, groups)]


def _q4_0(blocks: Tensor) -> _Groups:
    return _nibbles(blocks[:, 2:]), _half(blocks, 0), None


def _q4_1(blocks: Tensor) -> _Groups:
    return _nibbles(blocks[:, 4:]), _half(blocks, 0), _half(blocks, 2)


def _q5_0(blocks: Tensor) -> _Groups:
    return _nibbles(blocks[:, 6:]) | _bits(blocks[:, 2:6]) << 4, _half(blocks, 0), None


def _q5_1(blocks: Tensor) -> _Groups:
    return _nibbles(blocks[:, 8:]) | _bits(blocks[:, 4:8]) << 4, _half(blocks, 0), _half(blocks, 2)


def _q8_0(blocks: Tensor) -> _Groups:
    return blocks[:, 2:] ^ 128, _half(blocks, 0), None


def _q4_k(blocks: Tensor) -> _Groups:
    scale, offset = _k_scales(blocks)
    return _k_nibbles(blocks[:, 16:]), scale, offset


def _q5_k(blocks: Tensor) -> _Groups:
    scale, offset = _k_scales(blocks)
    high = (blocks[:, None, 16:48] >> _shifts(1, 8, blocks).unsqueeze(-1)) & 1
    return _k_nibbles(blocks[:, 48:]) | high << 4, scale, offset


def _q6_k(blocks: Tensor) -> _Groups:
    low = _nibbles(blocks[:, :128].view(-1, 2, 64))
    high = (blocks[:, 128:192].view(-1, 2, 1, 32) >> _shifts(2, 4, blocks).unsqueeze(-1)) & 3
    return low | high.flatten(2) << 4, _half(blocks, 208, 1) * blocks[:, 192:208].contiguous().view(torch.int8), None


def _q2_k(blocks: Tensor) -> _Groups:
    """Two bits in the middle of four: what is added to numbers far from zero would be rounded."""
    scales = blocks[:, :16]
    scale, least = _half(blocks, 80, 1) * (scales & 15), _half(blocks, 82, 1) * (scales >> 4)
    codes = (blocks[:, 16:80].view(-1, 2, 1, 32) >> _shifts(2, 4, blocks).unsqueeze(-1)) & 3
    return codes.flatten(1) + _Q2_SHIFT, scale, -least - _Q2_SHIFT * scale


def _q3_k(blocks: Tensor) -> _Groups:
    low = (blocks[:, 32:96].view(-1, 2, 1, 32) >> _shifts(2, 4, blocks).unsqueeze(-1)) & 3
    high = (blocks[:, None, :32] >> _shifts(1, 8, blocks).unsqueeze(-1)) & 1
    packed = blocks[:, 96:108]
    inner = torch.cat([packed[:, :8] & 15, packed[:, :8] >> 4], 1)
    above = (packed[:, None, 8:] >> _shifts(2, 4, blocks).unsqueeze(-1)) & 3
    scale = _half(blocks, 108, 1) * ((inner | above.flatten(1) << 4).float() - 32)
    return low.flatten(1) + (high.flatten(1) << 2) + 4, scale, None


_Q2_SHIFT = 6
FORMATS: dict[Q, BlockFormat] = {
    Q.Q4_0: BlockFormat(_q4_0, 4, 8),
    Q.Q4_1: BlockFormat(_q4_1, 4, has_offsets=True),
    Q.Q5_0: BlockFormat(_q5_0, 5, 16),
    Q.Q5_1: BlockFormat(_q5_1, 5, has_offsets=True),
    Q.Q8_0: BlockFormat(_q8_0, 8, 128),
    Q.Q4_K: BlockFormat(_q4_k, 4, has_offsets=True),
    Q.Q5_K: BlockFormat(_q5_k, 5, has_offsets=True),
    Q.Q6_K: BlockFormat(_q6_k, 6, 32, group_size=16),
    Q.Q2_K: BlockFormat(_q2_k, 4, has_offsets=True, group_size=16),
    Q.Q3_K: BlockFormat(_q3_k, 4, 8, group_size=16),
    Q.MXFP4: BlockFormat(codebook_formats.mxfp4, 4, table=E2M1),
    Q.IQ4_NL: BlockFormat(codebook_formats.iq4_nl, 4, table=codebook_formats.IQ4_VALUES),
    Q.IQ4_XS: BlockFormat(codebook_formats.iq4_xs, 4, table=codebook_formats.IQ4_VALUES),
    Q.IQ3_XXS: BlockFormat(codebook_formats.iq3_xxs, 4, table=codebook_formats.IQ3_XXS_VALUES),
    Q.IQ3_S: BlockFormat(codebook_formats.iq3_s, 4, table=codebook_formats.IQ3_S_VALUES),
    Q.IQ2_XXS: BlockFormat(codebook_formats.iq2_xxs, 4, table=codebook_formats.IQ2_VALUES),
    Q.IQ2_XS: BlockFormat(codebook_formats.iq2_xs, 4, group_size=16, table=codebook_formats.IQ2_VALUES),
    Q.IQ2_S: BlockFormat(codebook_formats.iq2_s, 4, group_size=16, table=codebook_formats.IQ2_VALUES),
    Q.IQ1_S: BlockFormat(codebook_formats.iq1_s, 4, table=codebook_formats.IQ1_VALUES),
    Q.IQ1_M: BlockFormat(codebook_formats.iq1_m, 4, group_size=16, table=codebook_formats.IQ1_VALUES),
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
