"""One Llama-type decoder: norms, projections, rotary embedding, gated feed-forward. Pre-norm, RMS norms, SwiGLU (Touvron et al.
2023).

It owns the arithmetic between tokens in and logits out, over a ragged batch of tokens: position by token, no notion of
sequences. Keys, values and who may look at whom are the caller's: it passes an `Attend`. The residual stream is float32,
products are bfloat16.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.models.config import DecoderConfig
from portico_engine.weights.loader import DecoderWeights, LayerWeights

_EXACT = 32  # likeliest tokens whose logits are exact


class Attend(Protocol):
    """Stores a layer's keys and values and attends over all that a token may see."""

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        """queries [n, heads, head_dim], keys_values [n, 2 kv_heads, head_dim] (keys, then values) -> [n, heads * head_dim]."""
        ...


class Decoder:
    """Weights and their forward pass."""

    def __init__(self, config: DecoderConfig, weights: DecoderWeights, context_length: int) -> None:
        self.config = config
        self.weights = weights
        self._eps = torch.tensor(config.norm_eps)
        self._cos, self._sin = _rotary_tables(config, weights.rope_factors, context_length)

    def hidden(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """tokens, positions int64 [n] -> the residual stream after the last layer, float32 [n, hidden]."""
        x = F.embedding(tokens, self.weights.embedding).float()
        cos, sin = self._cos[positions], self._sin[positions]
        for i, layer in enumerate(self.weights.layers):
            x += self._attention(i, layer, x, cos, sin, attend)
            x += self._feed_forward(layer, x)
        return x

    def logits(self, hidden: Tensor, also: Tensor | None = None) -> Tensor:
        """hidden float32 [n, hidden] -> float32 [n, vocab_size].

        The product is rounded to bfloat16, which is as coarse as 0.06 for usual logits: the likeliest tokens, and those in
        `also` int64 [n, 1], are computed again in float32, so that near ties and scores are not decided by rounding.
        """
        x = self._norm(hidden, self.weights.norm)
        out = self.weights.head(x).float()
        candidates = out.topk(min(_EXACT, out.shape[1])).indices
        if also is not None:
            candidates = torch.cat([candidates, also], dim=1)
        rows = F.embedding(candidates, self.weights.head.weight).float()  # [n, candidates, hidden]
        return out.scatter_(1, candidates, torch.bmm(rows, x.float().unsqueeze(2)).squeeze(2))

    def _attention(self, i: int, layer: LayerWeights, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        config = self.config
        qkv = layer.qkv(self._norm(x, layer.attention_norm)).view(x.shape[0], -1, config.head_dim)
        rotated = config.n_heads + config.n_kv_heads
        qk = qkv[:, :rotated].float()
        if layer.query_norm is not None and layer.key_norm is not None:
            qk = torch.cat(
                [
                    F.rms_norm(qk[:, : config.n_heads], (config.head_dim,), layer.query_norm, config.norm_eps),
                    F.rms_norm(qk[:, config.n_heads :], (config.head_dim,), layer.key_norm, config.norm_eps),
                ],
                dim=1,
            )
        qkv[:, :rotated] = torch.addcmul(qk * cos, qk.roll(config.head_dim // 2, -1), sin)
        return layer.out(attend(i, qkv[:, : config.n_heads], qkv[:, config.n_heads :]))

    def _feed_forward(self, layer: LayerWeights, x: Tensor) -> Tensor:
        gate, up = layer.gate_up(self._norm(x, layer.ffn_norm)).chunk(2, dim=-1)
        return layer.down(F.silu(gate) * up)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMS norm (Zhang & Sennrich 2019) by way of the vector norm: a third faster than torch's own, which is composed."""
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.addcmul(self._eps, length, length, value=1 / x.shape[-1]).rsqrt_()
        return (x * scale).mul_(weight).to(torch.bfloat16)


def _rotary_tables(config: DecoderConfig, factors: Tensor | None, context_length: int) -> tuple[Tensor, Tensor]:
    """cos [context, 1, head_dim] and sin with the sign of the half that it multiplies: x cos + roll(x, head_dim / 2) sin."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    frequencies = config.rope.base**-exponents
    if factors is not None:
        frequencies = frequencies / factors.double()
    positions = torch.arange(context_length, dtype=torch.float64) / config.rope.linear_factor
    angles = torch.outer(positions, frequencies)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], -1).float().unsqueeze(1), torch.cat([-sin, sin], -1).float().unsqueeze(1)
