"""A decoder's weights with room for adapters beside its matrices.

It owns which adapter matrix goes to which linear layer, and where in its stacked rows. The products are `linear.lora`'s; which
tokens have which adapter, the executor's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch

from portico_engine.linear.lora import LoraLinear, LoraProduct
from portico_engine.linear.protocol import Linear
from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder_weights import DecoderWeights, GatedWeights, LayerWeights

MakeProduct: TypeAlias = Callable[[int, Sequence[slice]], LoraProduct]  # from n_in and the places of the stacked parts


class _Target(NamedTuple):
    """A matrix that an adapter may change: one part of a layer's product."""

    product: LoraProduct
    part: int


class LoraWeights:
    """`weights` is the decoder's, each attention and feed-forward matrix with a product beside it. Experts have none."""

    def __init__(self, weights: DecoderWeights, config: DecoderConfig, make: MakeProduct) -> None:
        self._config = config
        self._make = make
        self._products: list[LoraProduct] = []
        self._targets: dict[str, _Target] = {}
        self.weights = replace(weights, layers=tuple(self._layer(i, layer) for i, layer in enumerate(weights.layers)))

    def load(self, place: int, matrices: Mapping[str, tuple[object, object]]) -> None:
        """Put an adapter's (A, B), arrays by GGUF's names, in a place that holds none. All of them are names of targets."""
        for name, (a, b) in matrices.items():
            product, part = self._targets[name]
            product.load(place, part, torch.as_tensor(a), torch.as_tensor(b))

    def unload(self, place: int) -> None:
        """Empty a place."""
        for product in self._products:
            product.unload(place)

    def _layer(self, i: int, layer: LayerWeights) -> LayerWeights:
        if layer.latent is not None or layer.kernel is not None:
            return layer  # whose matrices have other names
        config, at = self._config, f"blk.{i}"
        queries, values = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        gated = layer.feed_forward
        if isinstance(gated, GatedWeights):
            size = config.feed_forward
            both = {f"{at}.ffn_gate": size, f"{at}.ffn_up": size}
            gated = GatedWeights(
                self._linear(gated.gate_up, config.hidden, both),
                self._linear(gated.down, size, {f"{at}.ffn_down": config.hidden}),
            )
        stacked = {f"{at}.attn_q": queries, f"{at}.attn_k": values, f"{at}.attn_v": values}
        return replace(
            layer,
            qkv=self._linear(layer.qkv, config.hidden, stacked),
            out=self._linear(layer.out, queries, {f"{at}.attn_output": config.hidden}),
            feed_forward=gated,
        )

    def _linear(self, base: Linear, n_in: int, parts: Mapping[str, int]) -> Linear:
        """`parts`: rows by name."""
        places: list[slice] = []
        for n_out in parts.values():
            first = places[-1].stop if places else 0
            places.append(slice(first, first + n_out))
        product = self._make(n_in, places)
        self._products.append(product)
        self._targets |= {name: _Target(product, part) for part, name in enumerate(parts)}
        return LoraLinear(base, product)
