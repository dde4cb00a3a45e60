"""Rotary embedding as tables of cosines and sines: plain, scaled linearly, by factors (Llama 3, LongRoPE) and by YaRN.

It owns frequencies. Who rotates with them, and in which order a head's dimensions are, is the decoder's and the loader's.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.models.config import DecoderConfig, RopeConfig, YarnConfig


def rotary_tables(
    config: DecoderConfig, factors: Tensor | None, context_length: int, rope: RopeConfig | None = None
) -> tuple[Tensor, Tensor]:
    """cos [context, 1, head_dim] and sin with the sign of the half that it multiplies: x cos + roll(x, head_dim / 2) sin.

    `rope` is the config's own unless given; `factors` [rotary_dim / 2] divide the frequencies. Dimensions that aren't rotated
    are the last of each half.
    """
    rope = rope or config.rope
    head_dim = config.latent.rope if config.latent else config.head_dim
    angles = torch.outer(torch.arange(context_length, dtype=torch.float64), _frequencies(rope, config.rotary_dim, factors))
    still = (0, (head_dim - config.rotary_dim) // 2)
    cos = F.pad(angles.cos() * rope.magnitude, still, value=1.0)
    sin = F.pad(angles.sin() * rope.magnitude, still)
    return torch.cat([cos, cos], -1).float().unsqueeze(1), torch.cat([-sin, sin], -1).float().unsqueeze(1)


def _frequencies(rope: RopeConfig, dim: int, factors: Tensor | None) -> Tensor:
    """float64 [dim / 2], radians a position."""
    frequencies = rope.base ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    if factors is not None:
        frequencies = frequencies / factors.double().cpu()
    if rope.yarn is None:
        return frequencies / rope.linear_factor
    stretched = _stretched(rope.base, dim, rope.yarn)
    return frequencies / rope.yarn.factor * stretched + frequencies * (1 - stretched)


def _stretched(base: float, dim: int, yarn: YarnConfig) -> Tensor:
    """How far each frequency is divided by the factor, float64 [dim / 2]: not at all where training saw it turn more than
    beta_fast times, wholly where less than beta_slow times."""

    def pair(turns: float) -> float:
        return dim * math.log(yarn.original_context / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = pair(yarn.beta_fast), pair(yarn.beta_slow)
    if yarn.whole:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    return ((torch.arange(dim // 2, dtype=torch.float64) - low) / max(high - low, 0.001)).clamp(0, 1)
