"""A decoder's layers for a step of few tokens on a CPU, in one call (`kernels.cpu.layers`).

It owns which decoders that fits; others are computed operation by operation.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from portico_engine.kernels.cpu.attention import PagedBatch, takes_heads
from portico_engine.kernels.cpu.layers import DecoderLayers, DecoderSizes, LayerParts
from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.kernels.cpu.product import PackedMatrix
from portico_engine.linear.cpu_codes import KernelProduct
from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.linear.protocol import Linear
from portico_engine.models.decoder import Decoder
from portico_engine.models.decoder_weights import GatedWeights, LayerWeights


class CPULayers:
    """Layers of a decoder that `fit_layers` has found to fit."""

    def __init__(self, library: KernelLibrary, decoder: Decoder, kv: Tensor, max_rows: int) -> None:
        self.max_rows = max_rows
        self._decoder = decoder
        config, parts = decoder.config, [_parts(decoder, i, kv) for i in range(len(decoder.weights.layers))]
        width = sum(part.n_out for part in parts[0].gate_up) // 2
        sizes = DecoderSizes(config.hidden, width, config.n_heads, config.n_kv_heads, config.head_dim)
        self._layers = DecoderLayers(library, sizes, decoder.eps, parts)

    def hidden(self, tokens: Tensor, positions: Tensor, batch: PagedBatch) -> Tensor:
        """See `Decoder.hidden`; at most `max_rows` tokens."""
        x = self._decoder.embedded(tokens)
        rotary = self._decoder.rotary_at(positions)
        self._layers.run(x, (*rotary.whole, *rotary.local), batch)
        return x


def fit_layers(library: KernelLibrary, decoder: Decoder, kv: Tensor) -> CPULayers | None:
    """The decoder's layers over paged keys and values bf16 [places, 2 kv_heads, slots, head_dim]; None where they don't fit."""
    config, scales = decoder.config, decoder.config.scales
    scaled = scales.residual != 1 or scales.queries != 1 or scales.long_queries is not None
    if scaled or config.activation != "silu" or not takes_heads(config.head_dim) or not decoder.weights.layers:
        return None
    rows = [_rows(layer) for layer in decoder.weights.layers]
    return CPULayers(library, decoder, kv, min(rows)) if all(rows) else None


def _rows(layer: LayerWeights) -> int:
    """Up to so many tokens its matrices are multiplied from codes; 0 where it has something that the kernel doesn't know."""
    norms = layer.query_norm, layer.key_norm, layer.attention_post_norm, layer.ffn_post_norm
    others = layer.latent, layer.kernel
    if any(part is not None for part in (*norms, *others)) or not isinstance(layer.feed_forward, GatedWeights):
        return 0
    matrices = layer.qkv, layer.out, layer.feed_forward.gate_up, layer.feed_forward.down
    return min(_codes(matrix).max_rows if _in_order(matrix) else 0 for matrix in matrices)


def _in_order(linear: Linear) -> bool:
    """Has it codes for the kernels, with columns in the order of their inputs?"""
    if not isinstance(linear, CPULinear) or not isinstance(linear.codes, KernelProduct):
        return False
    return all(part.in_order for part in linear.codes.parts)


def _codes(linear: Linear) -> KernelProduct:
    assert isinstance(linear, CPULinear)
    assert isinstance(linear.codes, KernelProduct)
    return linear.codes


def _parts(decoder: Decoder, i: int, kv: Tensor) -> LayerParts:
    layer, config = decoder.weights.layers[i], decoder.config
    assert isinstance(layer.feed_forward, GatedWeights)

    def parts(linear: Linear) -> Sequence[PackedMatrix]:
        return _codes(linear).parts

    return LayerParts(
        layer.attention_norm, parts(layer.qkv), parts(layer.out), layer.ffn_norm, parts(layer.feed_forward.gate_up),
        parts(layer.feed_forward.down), kv[config.kv_places[i]], layer.sinks, config.window(i), config.rotates(i),
    )  # fmt: skip
