"""What each rank loads, and how: the same on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.executors.protocol import Executor, Sizes, SizesFor
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.models.weight_loader import Progress
from portico_engine.parallel.expert_parallel import AUTO, Exchange
from portico_engine.parallel.rank_group import RankGroup
from portico_engine.parallel.shard import Shard
from portico_engine.parallel.sharded_config import shard_model
from portico_engine.parallel.sharded_file import ShardedFile
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder


class OpenedRank(NamedTuple):
    """One rank's part of a model's file, and the shape of its decoder."""

    file: ShardedFile
    config: DecoderConfig


class LoadedRank(NamedTuple):
    """One rank's executor, and the part of the file that it was read from."""

    executor: Executor
    file: ShardedFile


def free_memory(model: RankModel) -> int:
    """Bytes of this rank's GPU that nobody has taken; 0 on a CPU, whose memory is all ranks'."""
    if not model.cuda:
        return 0
    import torch

    return torch.cuda.mem_get_info()[0]


def _computes_with_kernels(group: RankGroup) -> bool:
    """Not where another rank has none (they may be compiled just then): all ranks round alike, or experts are chosen by few of
    them. Who has none asks for them still, and is told why not.
    """
    from portico_engine.kernels.cpu.build import KernelsUnavailable
    from portico_engine.kernels.cpu.library import load_kernels

    try:
        load_kernels()
        own = 1
    except KernelsUnavailable:
        own = 0
    (fewest,) = group.largest(-own)
    return fewest == -1 or not own


@dataclass(frozen=True, slots=True)
class RankModel:
    """It can be pickled. `options` are further ones of the executor's `load`."""

    path: Path
    world_size: int
    cuda: bool
    expert_parallel: bool = False
    exchange: Exchange = AUTO
    vocab_size: int | None = None
    adapters: AdapterLimits | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def open(self, rank: int) -> OpenedRank:
        """A rank's part of the file, of which nothing is read yet. Raises ModelError where the model can't be split so."""
        whole = HuggingFaceFolder(self.path) if self.path.is_dir() else GGUFFile(self.path)
        return OpenedRank(*shard_model(whole, read_config(whole), Shard(rank, self.world_size, self.expert_parallel)))

    def load(
        self,
        opened: OpenedRank,
        group: RankGroup,
        sizes: Sizes | SizesFor,
        progress: Progress | None = None,
        **options: Any,
    ) -> LoadedRank:
        """This rank's part, on the current GPU or the CPU; `options` are this rank's alone. Raises ModelError."""
        file, config = opened
        load: Any
        if self.cuda:
            from portico_engine.executors.torch.cuda_executor import TorchCUDAExecutor

            load = TorchCUDAExecutor.load
        else:
            from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor

            load = TorchCPUExecutor.load
            options = {"kernels": _computes_with_kernels(group), **options}
            sizes = sizes if isinstance(sizes, Sizes) else sizes(0)
        executor: Executor = load(
            file,
            sizes,
            config=config,
            group=group,
            exchange=self.exchange,
            vocab_size=self.vocab_size,
            adapters=self.adapters,
            progress=progress,
            **self.options,
            **options,
        )
        return LoadedRank(executor, file)
