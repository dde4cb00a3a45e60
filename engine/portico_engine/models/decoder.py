"""One Llama-type decoder: norms, projections, rotary embedding, gated feed-forward. Pre-norm, RMS norms, SwiGLU (Touvron et al.
2023).

It owns the arithmetic between tokens in and logits out, over a ragged batch of tokens: position by token, no notion of
sequences. Keys, values and who may look at whom are the caller's: it passes an `Attend`. The residual stream is float32,
products are bfloat16. Its elementwise operations come as `Ops`: plain torch, or fused kernels.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.kernels import reference
from portico_engine.models.config import DecoderConfig
from portico_engine.weights.linear import Product
from portico_engine.weights.loader import DecoderWeights, LayerWeights


class Attend(Protocol):
    """Stores a layer's keys and values and attends over all that a token may see."""

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor) -> Tensor:
        """queries [n, heads, head_dim], keys_values [n, 2 kv_heads, head_dim] (keys, then values) -> [n, heads * head_dim]."""
        ...


class Ops(Protocol):
    """What is done between products; `kernels.reference` says each function's contract."""

    def add_norm(self, x: Tensor, delta: Tensor | None, weight: Tensor, eps: Tensor) -> Tensor: ...

    def rotate(self, qk: Tensor, cos: Tensor, sin: Tensor) -> None: ...

    def swiglu(self, gate_up: Tensor) -> Tensor: ...

    def logits(self, x: Tensor, head: Product, also: Tensor | None = None) -> Tensor: ...


class Decoder:
    """Weights and their forward pass, on the weights' device."""

    def __init__(self, config: DecoderConfig, weights: DecoderWeights, context_length: int, ops: Ops = reference) -> None:
        self.config = config
        self.weights = weights
        self._ops = ops
        device = weights.norm.device
        self._eps = torch.tensor(config.norm_eps, device=device)
        cos, sin = _rotary_tables(config, weights.rope_factors, context_length)
        self._cos, self._sin = cos.to(device), sin.to(device)

    def hidden(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """tokens, positions int64 [n] -> the residual stream after the last layer, float32 [n, hidden]."""
        x = self.weights.embedding.rows(tokens).float()
        cos, sin = self._cos[positions], self._sin[positions]
        delta: Tensor | None = None
        for i, layer in enumerate(self.weights.layers):
            delta = self._attention(i, layer, self._ops.add_norm(x, delta, layer.attention_norm, self._eps), cos, sin, attend)
            delta = layer.down(self._ops.swiglu(layer.gate_up(self._ops.add_norm(x, delta, layer.ffn_norm, self._eps))))
        return x if delta is None else x.add_(delta)

    def logits(self, hidden: Tensor, also: Tensor | None = None) -> Tensor:
        """hidden float32 [n, hidden] -> float32 [n, vocab_size], exact for the likeliest tokens and those in `also` int64
        [n, 1]."""
        x = self._ops.add_norm(hidden, None, self.weights.norm, self._eps)
        return self._ops.logits(x, self.weights.head, also)

    def _attention(self, i: int, layer: LayerWeights, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        config = self.config
        qkv = layer.qkv(x).view(x.shape[0], -1, config.head_dim)
        queries, keys = qkv[:, : config.n_heads], qkv[:, config.n_heads : config.n_heads + config.n_kv_heads]
        if layer.query_norm is not None and layer.key_norm is not None:
            queries.copy_(F.rms_norm(queries.float(), (config.head_dim,), layer.query_norm, config.norm_eps))
            keys.copy_(F.rms_norm(keys.float(), (config.head_dim,), layer.key_norm, config.norm_eps))
        self._ops.rotate(qkv[:, : config.n_heads + config.n_kv_heads], cos, sin)
        return layer.out(attend(i, queries, qkv[:, config.n_heads :]))


def _rotary_tables(config: DecoderConfig, factors: Tensor | None, context_length: int) -> tuple[Tensor, Tensor]:
    """cos [context, 1, head_dim] and sin with the sign of the half that it multiplies: x cos + roll(x, head_dim / 2) sin."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    frequencies = config.rope.base**-exponents
    if factors is not None:
        frequencies = frequencies / factors.double().cpu()
    positions = torch.arange(context_length, dtype=torch.float64) / config.rope.linear_factor
    angles = torch.outer(positions, frequencies)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], -1).float().unsqueeze(1), torch.cat([-sin, sin], -1).float().unsqueeze(1)
