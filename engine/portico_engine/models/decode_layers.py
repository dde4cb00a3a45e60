"""A decoder's layers for a step of few tokens on a GPU, by the five kernels a layer of `kernels.decode_step`.

It owns which decoders and steps these kernels fit, and their order. What they compute is `Decoder`'s arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from portico_engine.kernels.decode_step import MEASURED, DecodeStep, DecodeTuning, HeadShape, Norm, Places
from portico_engine.kernels.quantized_layout import TILE_ROWS
from portico_engine.linear.cuda_linear import CUDAQuantizedLinear
from portico_engine.linear.protocol import Linear
from portico_engine.models.decoder import Decoder
from portico_engine.models.decoder_weights import GatedWeights, LayerWeights

_HEAD_DIMS = (64, 128)
_CAPABILITY = (9, 0)  # for launches that overlap and bulk copies
_MOST_GROUP = 8  # query heads of a key/value head
_MOST_HIDDEN = 1024  # for wider layers single operations were faster: there reading weights takes longer than launching


class DecodeLayers:
    """Layers of a decoder that `unfit` finds nothing against."""

    def __init__(self, decoder: Decoder, tuning: DecodeTuning = MEASURED) -> None:
        config, weights = decoder.config, decoder.weights
        shape = HeadShape(config.n_heads, config.n_kv_heads, config.head_dim)
        self._config = config
        self._rotary = decoder.rotary
        self._eps = decoder.eps
        self._step = DecodeStep(shape, config.hidden, weights.norm.device, tuning)
        self._layers = [_Layer(layer) for layer in weights.layers]
        self._norm = Norm(weights.norm, decoder.eps)
        self._head = weights.head if isinstance(weights.head, CUDAQuantizedLinear) and config.scales.logits == 1 else None
        self._step.precompile(
            [part for layer in self._layers for part in layer.qkv.parts],
            [part for layer in self._layers for linear in (layer.out, layer.down) for part in linear.parts],
            [part for layer in self._layers for part in layer.gate_up.parts],
            [] if self._head is None else self._head.parts,
        )

    def run(self, x: Tensor, places: Places, kv: Tensor) -> None:
        """x float32 [n, hidden], embedded tokens, becomes the residual stream after the last layer; n <= MOST_TOKENS.

        kv is `CUDAPagedKV`'s tensor.
        """
        step = self._step
        for i, layer in enumerate(self._layers):
            norm = Norm(layer.attention_norm, self._eps)
            rotary = self._rotary if self._config.rotates(i) else None
            queries = step.qkv(x, norm, layer.qkv.parts, layer.qkv.bias, rotary, kv[i], places, first=i == 0)
            step.add_product(step.attention(queries, kv[i], places), layer.out.parts, layer.out.bias, x)
            inner = step.gate_up(x, Norm(layer.ffn_norm, self._eps), layer.gate_up.parts[0], layer.gate_up.bias)
            step.add_product(inner, layer.down.parts, layer.down.bias, x)

    @property
    def has_head(self) -> bool:
        """Does `logits` fit the decoder's head?"""
        return self._head is not None

    def logits(self, hidden: Tensor, wanted: Tensor, out: Tensor) -> None:
        """out float32 [wanted, vocab_size] = the logits of those rows of hidden float32 [n, hidden]; at most MOST_TOKENS."""
        assert self._head is not None
        (part,) = self._head.parts
        self._step.logits(hidden, wanted, self._norm, part, self._head.bias, out)


def unfit(decoder: Decoder) -> str | None:
    """Why these kernels can't compute the decoder's layers; None where they can."""
    return next(_obstacles(decoder), None)


def _obstacles(decoder: Decoder) -> Iterator[str]:
    config = decoder.config
    if torch.cuda.get_device_capability(decoder.weights.norm.device) < _CAPABILITY:
        yield f"the GPU is older than compute capability {'.'.join(map(str, _CAPABILITY))}"
    if config.hidden > _MOST_HIDDEN:
        yield f"layers are {config.hidden} wide, more than {_MOST_HIDDEN}, where single operations are faster"
    if config.head_dim not in _HEAD_DIMS:
        yield f"heads have {config.head_dim} dimensions, not one of {', '.join(map(str, _HEAD_DIMS))}"
    if config.group > _MOST_GROUP:
        yield f"{config.group} query heads share a key/value head, more than {_MOST_GROUP}"
    if config.scales.residual != 1 or config.scales.queries != 1:
        yield "what a layer adds, or its queries, are scaled"
    if config.feed_forward % TILE_ROWS:
        yield f"the feed-forward's {config.feed_forward} rows are no multiple of {TILE_ROWS}"
    if config.conv_layers or any(config.windows) or config.activation != "silu" or config.scales.long_queries is not None:
        yield "it has convolutions, windows of attention, another activation than silu, or scaled queries"
    for layer in decoder.weights.layers:
        yield from _layer_obstacles(layer)


def _layer_obstacles(layer: LayerWeights) -> Iterator[str]:
    if layer.query_norm is not None or layer.key_norm is not None:
        yield "queries and keys have norms"
    if layer.sinks is not None or layer.attention_post_norm is not None or layer.ffn_post_norm is not None:
        yield "attention has sinks, or what a layer adds has norms"
    if not isinstance(layer.feed_forward, GatedWeights):
        yield "the feed-forward is a mixture of experts"
        return
    linears = {"qkv": layer.qkv, "out": layer.out, "gate_up": layer.feed_forward.gate_up, "down": layer.feed_forward.down}
    for name, linear in linears.items():
        if not isinstance(linear, CUDAQuantizedLinear):
            yield f"{name} has no codes, or adapters or other ranks beside them"
        elif any(part.order is not None for part in linear.parts):
            yield f"{name} has its columns in another order"
    gate_up = layer.feed_forward.gate_up
    if isinstance(gate_up, CUDAQuantizedLinear) and len(gate_up.parts) > 1:
        yield "gate and up have different formats"


class _Layer:
    """A layer's weights as the types that `unfit` has found them to be."""

    def __init__(self, layer: LayerWeights) -> None:
        assert isinstance(layer.feed_forward, GatedWeights)
        self.attention_norm, self.ffn_norm = layer.attention_norm, layer.ffn_norm
        self.qkv, self.out = _codes(layer.qkv), _codes(layer.out)
        self.gate_up, self.down = _codes(layer.feed_forward.gate_up), _codes(layer.feed_forward.down)


def _codes(linear: Linear) -> CUDAQuantizedLinear:
    assert isinstance(linear, CUDAQuantizedLinear)
    return linear
