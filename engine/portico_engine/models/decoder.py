"""One Llama-type decoder: norms, projections, rotary embedding, gated feed-forward or a mixture of them (Touvron et al. 2023).

It owns the arithmetic between tokens in and logits out, over a ragged batch of tokens: position by token, no notion of
sequences. Keys, values and who may look at whom are the caller's: it passes an `Attention`. The residual stream is float32,
products are bfloat16. Its elementwise operations come as `FusedOps`: plain torch, or fused kernels.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.kernels import reference
from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder_weights import DecoderWeights, ExpertsWeights, GatedWeights, LayerWeights
from portico_engine.models.experts import mixture_of_experts
from portico_engine.models.latent_attention import latent_attention
from portico_engine.models.rotary import rotary_tables


class Attention(Protocol):
    """Stores a layer's keys and values and attends over all that a token may see."""

    def __call__(self, layer: int, queries: Tensor, keys_values: Tensor, sinks: Tensor | None = None) -> Tensor:
        """queries [n, heads, head_dim], keys_values [n, 2 kv_heads, head_dim] (keys, then values) -> [n, heads * head_dim].

        `sinks` float32 [heads] are a score each beside those of the positions.
        """
        ...

    def recent(self, layer: int, values: Tensor, count: int) -> Tensor:
        """Stores values [n, hidden] of a layer without keys, and returns those of each token's last `count` positions, the
        oldest first, zeros before the first: [n, count, hidden].
        """
        ...


class FusedOps(Protocol):
    """What is done between linear layers; `kernels.reference` says each function's contract."""

    def add_norm(self, x: Tensor, delta: Tensor | None, weight: Tensor, eps: Tensor) -> Tensor: ...

    def rotate(self, qk: Tensor, cos: Tensor, sin: Tensor) -> None: ...

    def swiglu(self, gate_up: Tensor) -> Tensor: ...

    def geglu(self, gate_up: Tensor) -> Tensor: ...

    def clamped_swiglu(self, gate_up: Tensor) -> Tensor: ...


class Rotary(NamedTuple):
    """What positions come to: cosines and sines [n, 1, head_dim] of most layers and of those with a window, and what queries
    are multiplied with beside it.
    """

    whole: tuple[Tensor, Tensor]
    local: tuple[Tensor, Tensor]
    query_scale: Tensor | None


class Decoder:
    """Weights and their forward pass, on the weights' device."""

    def __init__(self, config: DecoderConfig, weights: DecoderWeights, context_length: int, ops: FusedOps = reference) -> None:
        self.config = config
        self.weights = weights
        self._ops = ops
        device = weights.norm.device
        self.eps = torch.tensor(config.norm_eps, device=device)
        long = config.rope.long_beyond is not None and context_length > config.rope.long_beyond
        # What of a load's options and of a device keys and values depend on: part of every executor's numerics id.
        self.numerics = weights.forms + ("-longrope" if long else "")
        cos, sin = rotary_tables(config, weights.long_rope_factors if long else weights.rope_factors, context_length)
        self.rotary = cos.to(device), sin.to(device)  # of all positions
        self._local_rotary: tuple[Tensor, Tensor] | None = None  # of layers with a window
        if config.local_rope is not None and any(config.windows):
            cos, sin = rotary_tables(config, None, context_length, config.local_rope)
            self._local_rotary = cos.to(device), sin.to(device)
        self._activate = {"silu": ops.swiglu, "gelu": ops.geglu, "clamped": ops.clamped_swiglu}[config.activation]

    def hidden(self, tokens: Tensor, positions: Tensor, attend: Attention) -> Tensor:
        """tokens, positions int64 [n] -> the residual stream after the last layer, float32 [n, hidden]."""
        x = self.embedded(tokens)
        rotary = self.rotary_at(positions)
        delta: Tensor | None = None
        for i, layer in enumerate(self.weights.layers):
            delta = self._attention(i, layer, self._ops.add_norm(x, delta, layer.attention_norm, self.eps), rotary, attend)
            delta = self._residual(delta, layer.attention_post_norm)
            delta = self._feed_forward(layer.feed_forward, self._ops.add_norm(x, delta, layer.ffn_norm, self.eps), positions)
            delta = self._residual(delta, layer.ffn_post_norm)
        return x if delta is None else x.add_(delta)

    def rotary_at(self, positions: Tensor) -> Rotary:
        """What layers make of positions."""
        cos, sin = (table[positions] for table in self.rotary)
        local = (cos, sin) if self._local_rotary is None else tuple(table[positions] for table in self._local_rotary)
        scale: Tensor | None = None
        if self.config.scales.long_queries is not None:
            beta, original = self.config.scales.long_queries
            scale = 1 + beta * (positions // original).float().log1p().view(-1, 1, 1)
        return Rotary((cos, sin), (local[0], local[1]), scale)

    def embedded(self, tokens: Tensor) -> Tensor:
        """What the first layer takes: float32 [n, hidden]."""
        x = self.weights.embedding.rows(tokens).float()
        return x if self.config.scales.embedding == 1 else x.mul_(self.config.scales.embedding)

    def logits(self, hidden: Tensor, targets: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """hidden float32 [n, hidden] -> float32 [n, vocab_size], exact for the likeliest tokens and `targets` int64 [n, 1].
        Where only `tokens` int64 are wanted, others' may be minus infinity.
        """
        x = self._ops.add_norm(hidden, None, self.weights.norm, self.eps)
        logits = self.weights.head.logits(x, targets, tokens)
        return logits if self.config.scales.logits == 1 else logits.mul_(self.config.scales.logits)

    def _residual(self, delta: Tensor, norm: Tensor | None) -> Tensor:
        if norm is not None:
            delta = self._ops.add_norm(delta.float(), None, norm, self.eps)
        return delta if self.config.scales.residual == 1 else delta.mul_(self.config.scales.residual)

    def _feed_forward(self, weights: GatedWeights | ExpertsWeights, x: Tensor, positions: Tensor) -> Tensor:
        if isinstance(weights, GatedWeights):
            return self._gated(weights, x)
        assert self.config.experts is not None
        return mixture_of_experts(x, weights, self.config.experts, self._gated, self._activate, positions)

    def _gated(self, weights: GatedWeights, x: Tensor) -> Tensor:
        return weights.down(self._activate(weights.gate_up(x)))

    def _attention(self, i: int, layer: LayerWeights, x: Tensor, rotary: Rotary, attend: Attention) -> Tensor:
        config = self.config
        if layer.kernel is not None:
            before, after, values = layer.qkv(x).chunk(3, -1)
            seen = attend.recent(i, before * values, config.conv_length)
            mixed = torch.einsum("nlh,hl->nh", seen.float(), layer.kernel)
            return layer.out((after * mixed).to(x.dtype))
        if layer.latent is not None and config.latent is not None:

            def rotate(heads: Tensor) -> None:
                self._ops.rotate(heads, *rotary.whole)

            said = latent_attention(
                layer.qkv(x),
                layer.latent,
                config.latent,
                lambda values, weight: self._ops.add_norm(values.float(), None, weight, self.eps),
                rotate,
                lambda queries, keys_values: attend(i, queries, keys_values),
                config.scales.queries,
            )
            return layer.out(said)
        qkv = layer.qkv(x).view(x.shape[0], -1, config.head_dim)
        queries, keys = qkv[:, : config.n_heads], qkv[:, config.n_heads : config.n_heads + config.n_kv_heads]
        if layer.query_norm is not None and layer.key_norm is not None:
            queries.copy_(F.rms_norm(queries.float(), (config.head_dim,), layer.query_norm, config.norm_eps))
            keys.copy_(F.rms_norm(keys.float(), (config.head_dim,), layer.key_norm, config.norm_eps))
        if config.rotates(i):
            cos, sin = rotary.local if config.window(i) else rotary.whole
            self._ops.rotate(qkv[:, : config.n_heads + config.n_kv_heads], cos, sin)
        if config.scales.queries != 1:
            queries *= config.scales.queries
        if rotary.query_scale is not None:
            queries *= rotary.query_scale
        return layer.out(attend(i, queries, qkv[:, config.n_heads :], layer.sinks))
