"""GGUF's formats by codebook (IQ1 to IQ4, MXFP4) as 4-bit codes of a table with scales (ggml's `ggml-quants.h` is their
specification).

A codebook's vectors hold at most eight different magnitudes: each number is a code of a table of sixteen, exactly. It owns
these layouts, in torch on any device; the codebooks are gguf's.
"""

from __future__ import annotations

from functools import cache

import gguf
import torch
from torch import Tensor

_TABLE_SIZE = 16
IQ4_VALUES = tuple(float(value) for value in gguf.quants.IQ4_NL.kvalues)
IQ2_VALUES = (-43.0, -25.0, -8.0, 8.0, 25.0, 43.0)
_IQ3_XXS = (4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0)
IQ3_XXS_VALUES = (*(-value for value in reversed(_IQ3_XXS)), *_IQ3_XXS)
IQ3_S_VALUES = tuple(float(value) for value in range(-15, 16, 2))
IQ1_VALUES = (-1.125, -0.875, -0.125, 0.125, 0.875, 1.125)
Groups = tuple[Tensor, Tensor, None]  # codes [blocks, weights of a block], scales [blocks, groups]


def table(values: tuple[float, ...], device: torch.device) -> Tensor:
    """float32 [16]; codes beyond the values don't occur."""
    return torch.tensor(values + (0.0,) * (_TABLE_SIZE - len(values)), device=device)


def mxfp4(blocks: Tensor) -> Groups:
    """Codes of `packed_formats.E2M1`; a scale is a power of two."""
    return _halves(blocks[:, 1:]), torch.exp2(blocks[:, :1].float() - 127), None


def iq4_nl(blocks: Tensor) -> Groups:
    return _halves(blocks[:, 2:]), _half(blocks, 0), None


def iq4_xs(blocks: Tensor) -> Groups:
    low = _fields(blocks[:, 4:8], 4)
    high = _fields(blocks[:, 2:4], 2)
    scale = (low | high << 4).float() - 32
    return _halves(blocks[:, 8:].reshape(-1, 8, 16)).flatten(1), _half(blocks, 0) * scale, None


def iq2_xxs(blocks: Tensor) -> Groups:
    words = blocks[:, 2:].reshape(-1, 8, 8)
    above = _integer(words[..., 4:])  # [blocks, 8]
    scale = _half(blocks, 0) * (0.5 + (above >> 28).float()) * 0.25
    return _signed("IQ2_XXS", words[..., :4].flatten(1), _seven_bits(above), IQ2_VALUES), scale, None


def iq2_xs(blocks: Tensor) -> Groups:
    words = _integer(blocks[:, 2:66].reshape(-1, 32, 2))
    scale = _half(blocks, 0) * (0.5 + _fields(blocks[:, 66:], 4).float()) * 0.25
    return _signed("IQ2_XS", words & 511, _with_parity(words >> 9), IQ2_VALUES), scale, None


def iq2_s(blocks: Tensor) -> Groups:
    at = blocks[:, 2:34].long() | _fields(blocks[:, 66:74], 2).long() << 8
    scale = _half(blocks, 0) * (0.5 + _fields(blocks[:, 74:], 4).float()) * 0.25
    return _signed("IQ2_S", at, blocks[:, 34:66].long(), IQ2_VALUES), scale, None


def iq3_xxs(blocks: Tensor) -> Groups:
    above = _integer(blocks[:, 66:].reshape(-1, 8, 4))
    scale = _half(blocks, 0) * (0.5 + (above >> 28).float()) * 0.5
    return _signed("IQ3_XXS", blocks[:, 2:66].long(), _seven_bits(above), IQ3_XXS_VALUES), scale, None


def iq3_s(blocks: Tensor) -> Groups:
    at = blocks[:, 2:66].long() | _fields(blocks[:, 66:74], 1).long() << 8
    scale = _half(blocks, 0) * (1 + 2 * _fields(blocks[:, 106:], 4).float())
    return _signed("IQ3_S", at, blocks[:, 74:106].long(), IQ3_S_VALUES), scale, None


def iq1_s(blocks: Tensor) -> Groups:
    above = _integer(blocks[:, 34:].reshape(-1, 8, 2))
    at = blocks[:, 2:34].long() | (above.unsqueeze(-1) >> _shifts(3, 4, blocks) & 7).flatten(1) << 8
    up = ((above & 0x8000) == 0).repeat_interleave(4, 1)
    return _ternary("IQ1_S", at, up), _half(blocks, 0) * (2 * (above >> 12 & 7) + 1).float(), None


def iq1_m(blocks: Tensor) -> Groups:
    words = _integer(blocks[:, 48:].reshape(-1, 4, 2))
    half = words[:, 0] >> 12 | (words[:, 1] >> 12) << 4 | (words[:, 2] >> 12) << 8 | (words[:, 3] >> 12) << 12
    scale = torch.where(half > 0x7FFF, half - 0x10000, half).to(torch.int16).view(torch.float16).float().unsqueeze(1)
    inner = (words.unsqueeze(-1) >> _shifts(3, 4, blocks) & 7).flatten(1)
    nibbles = _fields(blocks[:, 32:48], 4).long()
    at = blocks[:, :32].long() | (nibbles & 7) << 8
    return _ternary("IQ1_M", at, (nibbles & 8) == 0), scale * (2 * inner + 1).float(), None


@cache
def _codebook(name: str, device: torch.device) -> Tensor:
    """gguf's vectors, float32 [vectors, 4 or 8]."""
    kind = getattr(gguf.quants, name)
    kind.init_grid()
    return torch.from_numpy(kind.grid.reshape(-1, kind.grid.shape[-1]).copy()).to(device)


def _signed(name: str, at: Tensor, signs: Tensor, values: tuple[float, ...]) -> Tensor:
    """Codes uint8 [blocks, weights] of the codebook's vectors `at`, whose numbers are negative where the bits of `signs` are 1:
    a byte for each eight of them.
    """
    book = _codebook(name, at.device)
    positive = torch.searchsorted(torch.tensor(values, device=at.device), book)
    codes = positive[at.long()].flatten(1)
    negative = ((signs.unsqueeze(-1) >> _shifts(1, 8, at)) & 1).flatten(1).bool()
    return torch.where(negative, len(values) - 1 - codes, codes).to(torch.uint8)


def _ternary(name: str, at: Tensor, up: Tensor) -> Tensor:
    """Codes uint8 [blocks, weights] of vectors of -1, 0 and 1, an eighth above or below."""
    book = (_codebook(name, at.device).long() + 1) * 2
    return (book[at] + up.unsqueeze(-1)).flatten(1).to(torch.uint8)


def _seven_bits(words: Tensor) -> Tensor:
    """The four signs of seven bits in each word, as bytes."""
    return _with_parity((words.unsqueeze(-1) >> _shifts(7, 4, words) & 127).flatten(1))


def _with_parity(signs: Tensor) -> Tensor:
    """Seven bits and an eighth, so that their number is even."""
    parity = signs ^ signs >> 4
    parity = parity ^ parity >> 2
    return signs | ((parity ^ parity >> 1) & 1) << 7


def _integer(octets: Tensor) -> Tensor:
    """[..., n] little-endian -> int64 [...]."""
    return (octets.long() << _shifts(8, octets.shape[-1], octets)).sum(-1)


def _fields(packed: Tensor, bits: int) -> Tensor:
    """[blocks, n] -> uint8 [blocks, 8 n / bits], the lowest first."""
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device)
    return ((packed.unsqueeze(-1) >> shifts) & ((1 << bits) - 1)).flatten(1)


def _halves(packed: Tensor) -> Tensor:
    """Two codes a byte, the low halves first: [..., n] -> [..., 2 n]."""
    return torch.cat([packed & 15, packed >> 4], dim=-1)


def _half(blocks: Tensor, at: int) -> Tensor:
    """The float16 at this byte of every block, float32 [blocks, 1]."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float()


def _shifts(step: int, count: int, like: Tensor) -> Tensor:
    return torch.arange(0, step * count, step, dtype=torch.int64, device=like.device)
