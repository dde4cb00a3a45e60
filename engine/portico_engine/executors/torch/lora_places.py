"""The adapters that a torch executor holds: their memory beside the decoder's weights, and which tokens of a step have which.

It owns the two forms, on a CPU and on a GPU. What is computed is `linear.lora`'s, names are `adapters`'.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from portico_engine.adapters.adapter import Adapter, AdapterLimits
from portico_engine.linear.lora import MaskedBatch, MaskedProduct, Segment, SegmentBatch, SegmentProduct
from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder_weights import DecoderWeights
from portico_engine.models.lora_weights import LoraWeights
from portico_engine.plan import Row


class CPULoraPlaces:
    """`weights` are what the decoder computes with; `begin` comes before each batch."""

    def __init__(self, weights: DecoderWeights, config: DecoderConfig, limits: AdapterLimits) -> None:
        self.limits = limits
        self._batch = SegmentBatch()
        self._lora = LoraWeights(weights, config, lambda _n_in, parts: SegmentProduct(self._batch, parts))
        self.weights = self._lora.weights

    @torch.inference_mode()
    def load(self, place: int, adapter: Adapter) -> None:
        """Put an adapter in an empty place."""
        self._lora.load(place, adapter.matrices)

    def unload(self, place: int) -> None:
        """Empty a place."""
        self._lora.unload(place)

    def begin(self, rows: Sequence[Row]) -> None:
        """These rows' tokens, one row behind the other, are what is computed next."""
        self._batch.segments = segments(rows)


class CUDALoraPlaces:
    """The same in fixed buffers of `limits` on the weights' device."""

    def __init__(self, weights: DecoderWeights, config: DecoderConfig, limits: AdapterLimits) -> None:
        self.limits = limits
        device = weights.norm.device
        self._batch = MaskedBatch(limits.count, limits.rank, device)
        self._lora = LoraWeights(weights, config, lambda n_in, parts: MaskedProduct(self._batch, n_in, parts, device))
        self.weights = self._lora.weights

    @torch.inference_mode()
    def load(self, place: int, adapter: Adapter) -> None:
        """Put an adapter in an empty place."""
        self._lora.load(place, adapter.matrices)

    @torch.inference_mode()
    def unload(self, place: int) -> None:
        """Empty a place."""
        self._lora.unload(place)

    def begin(self, index: Tensor | None) -> None:
        """`index` [tokens] is the place of each token's adapter, -1 for none; None where no token has one."""
        self._batch.begin(index)


def segments(rows: Sequence[Row]) -> list[Segment]:
    """The batch's tokens that have an adapter; neighbours with the same one are one segment."""
    out: list[Segment] = []
    first = 0
    for row in rows:
        last = first + len(row.tokens)
        if row.adapter is not None:
            if out and out[-1].place == row.adapter and out[-1].tokens.stop == first:
                out[-1] = Segment(row.adapter, slice(out[-1].tokens.start, last))
            else:
                out.append(Segment(row.adapter, slice(first, last)))
        first = last
    return out
