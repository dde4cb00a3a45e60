"""What a decoder multiplies with, layer by layer, on its device.

It owns shapes and types. `weight_loader` reads them from a file, `decoder` computes with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from portico_engine.linear.protocol import ExpertsLinear, Linear


@dataclass(frozen=True, slots=True)
class GatedWeights:
    """A gated feed-forward; gate and up are fused along their rows."""

    gate_up: Linear
    down: Linear

    def linears(self) -> Iterator[Linear]:
        yield from (self.gate_up, self.down)


@dataclass(frozen=True, slots=True)
class StackedExperts:
    """All experts of a mixture in one form, on a GPU."""

    gate_up: ExpertsLinear
    down: ExpertsLinear


class ExpertPeers(Protocol):
    """The other ranks that have parts of a mixture."""

    def sum(self, partial: Tensor) -> Tensor:
        """Of all ranks' [n, hidden], on each of them; may be the same tensor."""
        ...

    def exchanges(self, n: int) -> bool:
        """Is each rank to choose for its share of n tokens, and their vectors to go to their experts' ranks and back?"""
        ...

    def exchange(self, x: Tensor, chosen: Tensor, shares: Tensor, compute: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """x [n, hidden], the same on all ranks, with experts `chosen` int64 [n, used] and their `shares` -> what those say
        together, [n, hidden], the same on all ranks. `compute(rows [m, hidden], experts int64 [m])` is a rank's own experts'
        word, [m, hidden].
        """
        ...


@dataclass(frozen=True, slots=True)
class ExpertsWeights:
    """A mixture of experts. The router is float32 [experts, hidden], the shared expert's gate [hidden]; `tokens` int64
    [experts] counts those that each expert took. `experts` are those that are here, in order.
    """

    router: Tensor
    experts: tuple[GatedWeights, ...] | StackedExperts
    tokens: Tensor
    shared: GatedWeights | None = None
    shared_gate: Tensor | None = None
    router_bias: Tensor | None = None  # [experts]
    correction: Tensor | None = None  # [experts], of scores where experts are chosen, not of their shares
    peers: ExpertPeers | None = None

    def linears(self) -> Iterator[Linear]:
        """Those that stand alone."""
        alone = self.experts if isinstance(self.experts, tuple) else ()
        for expert in (*alone, *([self.shared] if self.shared else [])):
            yield from expert.linears()


@dataclass(frozen=True, slots=True)
class LatentWeights:
    """Of latent attention; the layer's qkv is the queries, or their latent vector, and the keys' and values'."""

    kv_norm: Tensor  # float32 [kv_rank]
    keys: Tensor  # [heads, plain, kv_rank], as products take them
    values: Tensor  # [heads, value, kv_rank]
    query_norm: Tensor | None = None  # float32 [query_rank]
    query_b: Linear | None = None


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer. Norms are float32 [hidden]; qkv is fused along its rows."""

    attention_norm: Tensor
    qkv: Linear
    out: Linear
    ffn_norm: Tensor
    feed_forward: GatedWeights | ExpertsWeights
    query_norm: Tensor | None = None  # [head_dim], Qwen3
    key_norm: Tensor | None = None
    sinks: Tensor | None = None  # float32 [heads]: a score beside those of all positions that says nothing, gpt-oss
    attention_post_norm: Tensor | None = None  # of what attention adds, Gemma
    ffn_post_norm: Tensor | None = None
    latent: LatentWeights | None = None
    kernel: Tensor | None = None  # float32 [hidden, length]: a short convolution in place of attention, LFM2; qkv is its gates'


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    """All of a decoder. `embedding` and `head` are [vocab_size, hidden], the same where tied."""

    embedding: Linear
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Linear
    rope_factors: Tensor | None  # float32 [rotary_dim / 2], divides the frequencies
    long_rope_factors: Tensor | None = None  # the same for long contexts

    @property
    def forms(self) -> str:
        """What products are computed from (`Linear.form`), each form once."""
        mixtures = (layer.feed_forward for layer in self.layers if isinstance(layer.feed_forward, ExpertsWeights))
        stacked = [mixture.experts for mixture in mixtures if isinstance(mixture.experts, StackedExperts)]
        found = {linear.form for linear in self.linears()}
        found |= {matrix.form for experts in stacked for matrix in (experts.gate_up, experts.down)}
        return "+".join(sorted(found)).replace(" ", "-")

    def expert_tokens(self) -> dict[int, list[int]]:
        """How many tokens each expert took, by layer."""
        mixtures = {i: layer.feed_forward for i, layer in enumerate(self.layers)}
        return {i: mixture.tokens.tolist() for i, mixture in mixtures.items() if isinstance(mixture, ExpertsWeights)}

    def linears(self) -> Iterator[Linear]:
        """Every matrix that a token may be multiplied with."""
        for layer in self.layers:
            yield from (layer.qkv, layer.out, *layer.feed_forward.linears())
            if layer.latent is not None and layer.latent.query_b is not None:
                yield layer.latent.query_b
        yield self.head
