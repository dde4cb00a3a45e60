"""A rank's weights with sums over all ranks where a decoder needs them: behind attention's output, behind each feed-forward or
mixture, at the embedding and the head.

It owns where those are. Short convolutions every rank computes whole.
"""

from __future__ import annotations

from dataclasses import replace

from portico_engine.models.config import DecoderConfig
from portico_engine.models.decoder_weights import DecoderWeights, ExpertsWeights, GatedWeights, LayerWeights
from portico_engine.parallel.expert_parallel import AUTO, Exchange, ExpertRanks
from portico_engine.parallel.rank_group import RankGroup
from portico_engine.parallel.shard import vocabulary_shares
from portico_engine.parallel.sharded_linear import RowParallelLinear, VocabularyParallelLinear


def with_ranks(weights: DecoderWeights, config: DecoderConfig, group: RankGroup, exchange: Exchange = AUTO) -> DecoderWeights:
    """`weights` of a sharded file, and the `config` of `shard_model`."""
    shares = vocabulary_shares(config.vocab_size, group.world_size)
    head = VocabularyParallelLinear(weights.head, shares, group)
    tied = weights.embedding is weights.head
    return replace(
        weights,
        embedding=head if tied else VocabularyParallelLinear(weights.embedding, shares, group),
        layers=tuple(_layer(layer, config, group, exchange) for layer in weights.layers),
        head=head,
    )


def _layer(layer: LayerWeights, config: DecoderConfig, group: RankGroup, exchange: Exchange) -> LayerWeights:
    feed_forward: GatedWeights | ExpertsWeights
    if isinstance(layer.feed_forward, GatedWeights):
        feed_forward = replace(layer.feed_forward, down=RowParallelLinear(layer.feed_forward.down, group))
    else:
        assert config.experts is not None
        feed_forward = replace(layer.feed_forward, peers=ExpertRanks(group, config.experts, exchange))
    out = layer.out if layer.kernel is not None else RowParallelLinear(layer.out, group)
    return replace(layer, out=out, feed_forward=feed_forward)
