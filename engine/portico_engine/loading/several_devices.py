"""A model over several devices: what one of them has of it, and the executor over all.

It owns the reading of `LoadOptions.devices` and `expert_parallel`. How a model is split is `parallel`'s, processes are
`executors.ranks`'.
"""

from __future__ import annotations

from typing import Any

from portico_engine.adapters.adapter import AdapterLimits
from portico_engine.executors.protocol import Executor, Sizes, SizesFor
from portico_engine.fallbacks import Fallbacks
from portico_engine.loading.device import Device
from portico_engine.loading.memory_plan import Placement
from portico_engine.loading.options import LoadOptions, LoadProgress
from portico_engine.models.config import DecoderConfig
from portico_engine.weights.model_file import ModelFile


def one_share(file: ModelFile, config: DecoderConfig, options: LoadOptions) -> tuple[ModelFile, DecoderConfig]:
    """What one device has of the model: all of it, or the first rank's part, than which no other's is much larger.

    Raises ModelError where the model can't be split over so many.
    """
    if options.devices == 1:
        return file, config
    from portico_engine.parallel.shard import Shard
    from portico_engine.parallel.sharded_config import shard_model

    return shard_model(file, config, Shard(0, options.devices, _deals_experts_out(config, options)))


def load_ranks(
    file: ModelFile,
    config: DecoderConfig,
    options: LoadOptions,
    device: Device,
    placed: Placement,
    sizes: Sizes | SizesFor,
    *,
    vocab_size: int,
    progress: LoadProgress,
    fallbacks: Fallbacks,
) -> Executor:
    """The executor over `options.devices` of them. `config` is the whole model's, or a share's."""
    from portico_engine.executors.ranks.rank_executor import RankExecutor
    from portico_engine.executors.ranks.rank_model import RankModel

    form: dict[str, Any] = {"codes": None if placed.second else False}
    if device.cuda:
        form = {"copies": placed.second, "host_layers": placed.host_layers}
    form["offloading"] = options.offloading(to_host=device.cuda)
    model = RankModel(
        file.path.absolute(),
        options.devices,
        device.cuda,
        _deals_experts_out(config, options),
        vocab_size=vocab_size,
        adapters=AdapterLimits(options.adapters, options.adapter_rank) if options.adapters else None,
        options=form,
    )
    return RankExecutor.load(model, sizes, progress=progress, fallbacks=fallbacks)


def of_each(plan: str, options: LoadOptions) -> str:
    """A plan of one device's memory, as one of all of them."""
    return plan if options.devices == 1 else f"on each of {options.devices} devices: {plan}"


def _deals_experts_out(config: DecoderConfig, options: LoadOptions) -> bool:
    """Where there are experts: the option may be meant for several models."""
    return options.expert_parallel and config.experts is not None
