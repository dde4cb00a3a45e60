"""The shape of a rank's decoder, and which numbers of ranks a model can be split over."""

from __future__ import annotations

from dataclasses import replace

from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig
from portico_engine.parallel.shard import Shard, ShardRules
from portico_engine.parallel.sharded_file import ShardedFile
from portico_engine.weights.model_file import ModelFile

MOST_RANKS = 16


def shard_model(file: ModelFile, config: DecoderConfig, shard: Shard) -> tuple[ShardedFile, DecoderConfig]:
    """A rank's part of the file, and what its decoder is like: the whole one's with fewer heads, a narrower feed-forward, or
    fewer experts. Its vocabulary stays whole: logits of all tokens come together.

    Raises ModelError naming what can't be split, and the numbers of ranks that it can be split over.
    """
    try:
        return _shard_model(file, config, shard)
    except ModelError as error:
        others = [str(n) for n in range(2, MOST_RANKS + 1) if n != shard.world_size and _fits(file, config, n, shard)]
        mend = f"it can be over {' or '.join(others)}" if others else "it fits one device alone"
        raise ModelError(f"{error}; {mend}") from None


def _shard_model(file: ModelFile, config: DecoderConfig, shard: Shard) -> tuple[ShardedFile, DecoderConfig]:
    rules = ShardRules(file, config, shard)
    experts = config.experts
    if experts is not None:
        experts = replace(
            experts,
            feed_forward=len(rules.expert_feed_forward),
            shared_feed_forward=len(rules.shared_feed_forward),
            held=rules.experts,
        )
    own = replace(
        config,
        n_heads=len(rules.heads),
        n_kv_heads=len(rules.kv_heads),
        feed_forward=len(rules.feed_forward),
        experts=experts,
    )
    return ShardedFile(file, rules), own


def _fits(file: ModelFile, config: DecoderConfig, world_size: int, shard: Shard) -> bool:
    try:
        _shard_model(file, config, Shard(0, world_size, shard.expert_parallel))
    except ModelError:
        return False
    return True
