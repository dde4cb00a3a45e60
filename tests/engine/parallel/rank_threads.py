"""Ranks as threads of one process, over gloo: what processes do is `executors.ranks`' to test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
from tests.engine.models.wide import WideAttention, WideLoader, WideOps
from torch import Tensor

from portico_engine.models.config import read_config
from portico_engine.models.decoder import Decoder
from portico_engine.parallel.expert_parallel import AUTO, Exchange
from portico_engine.parallel.rank_group import RankGroup
from portico_engine.parallel.shard import Shard
from portico_engine.parallel.sharded_config import shard_model
from portico_engine.parallel.sharded_weights import with_ranks
from portico_engine.weights.model_file import ModelFile

T = TypeVar("T")
PATIENCE = timedelta(seconds=20)


def on_ranks(world_size: int, run: Callable[[RankGroup], T]) -> list[T]:
    """What it returns on each rank; raises what it raised on one."""
    found: dict[int, T] = {}
    failed: list[BaseException] = []

    def run_rank(rank: int, folder: Path) -> None:
        try:
            with torch.inference_mode():
                found[rank] = run(RankGroup.join(rank, world_size, folder, cuda=False, patience=PATIENCE))
        except BaseException as error:  # noqa: BLE001 - the test's, which waits for it
            failed.append(error)

    with TemporaryDirectory() as folder:
        threads = [threading.Thread(target=run_rank, args=(rank, Path(folder))) for rank in range(world_size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]
    return [found[rank] for rank in range(world_size)]


def logits_of_ranks(
    file: ModelFile,
    tokens: Sequence[int],
    world_size: int,
    *,
    expert_parallel: bool = False,
    exchange: Exchange = AUTO,
    context: int = 256,
) -> list[Tensor]:
    """What `wide_logits` computes, by each of several ranks, in float32."""

    def run(group: RankGroup) -> Tensor:
        own, config = shard_model(file, read_config(file), Shard(group.rank, world_size, expert_parallel))
        weights = with_ranks(WideLoader(own, config, codes=False).weights(), config, group, exchange)
        decoder = Decoder(config, weights, context, WideOps())
        hidden = decoder.hidden(torch.tensor(tokens), torch.arange(len(tokens)), WideAttention(config))
        return decoder.logits(hidden)

    return on_ranks(world_size, run)
