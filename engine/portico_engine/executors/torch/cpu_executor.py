"""The torch executor on a CPU: plans in, sampled tokens out. Correctness first: the oracle of every other executor.

It owns a decoder, its paged KV and the sampling of its logits. It knows neither requests nor grammars beyond their bitmasks. It
runs a plan when it is submitted; nothing is asynchronous here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from portico_engine.adapters.adapter import Adapter, AdapterLimits
from portico_engine.executors.host_step import HostStep
from portico_engine.executors.kv_ops import run_ops
from portico_engine.executors.protocol import AS_COMPUTED, BlockStore, Capabilities, Offloading, Sizes
from portico_engine.executors.torch.batch import damaged_rows, logits_indices, target_tokens
from portico_engine.executors.torch.cpu_attention import CPUKernelAttention, CPUPagedKV
from portico_engine.executors.torch.device_faults import named_faults
from portico_engine.executors.torch.embedding import embed_texts
from portico_engine.executors.torch.freed_memory import release_freed_memory
from portico_engine.executors.torch.host_kv import open_host_kv
from portico_engine.executors.torch.kv_codec import kv_codec
from portico_engine.executors.torch.lora_places import CPULoraPlaces
from portico_engine.fallbacks import Fallbacks
from portico_engine.kernels import reference
from portico_engine.kernels.cpu.build import KernelsUnavailable
from portico_engine.kernels.cpu.library import KernelLibrary, load_kernels
from portico_engine.kernels.cpu.operations import CPUOperations
from portico_engine.linear.dense_product import multiplies_bf16
from portico_engine.linear.int4 import cpu_capability, int4_supported
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.models.cpu_layers import fit_layers
from portico_engine.models.cpu_weight_loader import CPUWeightLoader
from portico_engine.models.decoder import Decoder
from portico_engine.models.weight_loader import Progress
from portico_engine.parallel.expert_parallel import AUTO, Exchange
from portico_engine.parallel.rank_group import RankGroup
from portico_engine.parallel.sharded_weights import with_ranks
from portico_engine.plan import Row, StepPlan
from portico_engine.request import Pooling
from portico_engine.weights.model_file import ModelFile

STEP_TOKENS = 256  # of one plan: a long prompt takes as long as with 512 (3.3 s for 2,048 tokens), who comes waits half
LIGHT_TOKENS = 6  # see `Capabilities`; SmolLM2-135M: 1 row 10 ms, 3 rows 14, 4 rows 17, 16 rows 48; 8 tokens 18, 64 tokens 56
WIDE_LIGHT_TOKENS = 3  # where bfloat16 is multiplied as float32; 1 row 15 ms, 17 tokens 42, 45 tokens 105


class TorchCPUExecutor:
    """`executors.protocol.Executor`."""

    def __init__(
        self,
        decoder: Decoder,
        sizes: Sizes,
        *,
        vocab_size: int | None = None,
        adapters: CPULoraPlaces | None = None,
        kernels: KernelLibrary | None = None,
        offloading: Offloading = AS_COMPUTED,
        alone: bool = True,
    ) -> None:
        """`vocab_size` is the tokenizer's where the embeddings are padded beyond it. `adapters` are beside the decoder's
        weights; None takes none. `kernels` are those that the decoder has; None is plain torch. This machine is its own host:
        `offloading` has no bytes, except to try what a GPU does. Not `alone`: other ranks compute logits beside this one,
        whatever becomes of them here."""
        self._decoder = decoder
        self._adapters = adapters
        self._alone = alone
        codec = kv_codec(offloading.dtype, decoder.config)
        self._kv = CPUPagedKV(decoder.config, sizes.blocks, codec, kernels)
        self._layers = None if kernels is None else fit_layers(kernels, decoder, self._kv.tensor)
        self._host = open_host_kv(self._kv.tensor, codec, offloading.host_bytes)
        self._store: BlockStore | None = None
        own = cpu_capability().lower() if kernels is None else kernels.numerics
        own += "" if multiplies_bf16() else "-wide"
        own += "" if self._layers is None else "-layers"  # they round less
        self.caps = Capabilities(
            blocks=sizes.blocks,
            rows=sizes.max_rows,
            step_tokens=STEP_TOKENS,
            light_tokens=LIGHT_TOKENS if multiplies_bf16() else WIDE_LIGHT_TOKENS,
            alike_tokens=self._layers.max_rows if self._layers else 1,
            vocab_size=vocab_size or decoder.config.vocab_size,
            context_length=sizes.context_length,
            numerics_id=f"torch-{torch.__version__}-cpu-{own}-{decoder.numerics}-{codec.numerics}",
            block_bytes=codec.block_bytes,
            host_blocks=self._host.n_slots if self._host else 0,
            swap_seconds=self._host.measure() if self._host else 0.0,
            window=decoder.config.widest_window,
            adapters=adapters.limits.count if adapters else 0,
            adapter_rank=adapters.limits.rank if adapters else 0,
            embedding_size=decoder.config.hidden,
            rewrites=True,
        )

    @classmethod
    def load(
        cls,
        file: ModelFile,
        sizes: Sizes,
        *,
        codes: bool | None = None,
        config: DecoderConfig | None = None,
        vocab_size: int | None = None,
        adapters: AdapterLimits | None = None,
        offloading: Offloading = AS_COMPUTED,
        progress: Progress | None = None,
        fallbacks: Fallbacks | None = None,
        kernels: bool = True,
        group: RankGroup | None = None,
        exchange: Exchange = AUTO,
    ) -> TorchCPUExecutor:
        """Read a model. `codes` None computes few rows from the file's codes where this machine has a fast product for them.
        `adapters` is the room for them. `kernels` takes this machine's compiled ones, or tells `fallbacks` why there are none.
        With `group`, `file` and `config` are this rank's (`parallel.sharded_config`).
        """
        config = config or read_config(file)
        library = _kernels(fallbacks or Fallbacks()) if kernels else None
        use_codes = (library is not None or int4_supported()) if codes is None else codes
        with torch.inference_mode():
            weights = CPUWeightLoader(file, config, codes=use_codes, kernels=library).weights(progress)
            places = CPULoraPlaces(weights, config, adapters) if adapters else None
            weights = places.weights if places else weights
            if group is not None:
                weights = with_ranks(weights, config, group, exchange)
            operations = reference if library is None else CPUOperations(library)
            decoder = Decoder(config, weights, sizes.context_length, operations)
        release_freed_memory()
        return cls(
            decoder, sizes, vocab_size=vocab_size, adapters=places, kernels=library, offloading=offloading, alone=group is None
        )

    def attach(self, store: BlockStore) -> None:
        """See `Executor.attach`."""
        self._store = store

    @named_faults()
    @torch.inference_mode()
    def submit(self, plan: StepPlan) -> HostStep:
        """Run a plan."""
        run_ops(plan.kv_ops, self._kv, self._store, self._host)
        if not plan.rows:
            return HostStep(plan, np.zeros((0, self.caps.vocab_size), np.float32))
        if self._adapters is not None:
            self._adapters.begin(plan.rows)
        hidden = self._hidden(plan.rows)
        damaged = damaged_rows(hidden, plan.rows)
        at = logits_indices(plan.rows)
        if not at:
            return HostStep(plan, np.zeros((0, self.caps.vocab_size), np.float32), damaged)
        head = partial(self._logits, hidden[at], target_tokens(plan.rows))
        return HostStep(plan, head if self._alone else head(None), damaged)

    def _hidden(self, rows: Sequence[Row]) -> torch.Tensor:
        """The rows' tokens after the last layer, float32 [n, hidden]."""
        tokens = torch.tensor([token for row in rows for token in row.tokens])
        positions = torch.tensor([p for row in rows for p in range(row.start, row.start + len(row.tokens))])
        attention = self._kv.batch(rows)
        if self._layers is None or len(tokens) > self._layers.max_rows or not isinstance(attention, CPUKernelAttention):
            return self._decoder.hidden(tokens, positions, attention)
        return self._layers.hidden(tokens, positions, attention.batch)

    @named_faults()
    @torch.inference_mode()
    def _logits(
        self, hidden: torch.Tensor, targets: torch.Tensor | None, tokens: npt.NDArray[np.int64] | None
    ) -> npt.NDArray[np.float32]:
        """hidden float32 [n, hidden] -> [n, vocab_size]; see `host_step.Head`."""
        logits = self._decoder.logits(hidden, targets, None if tokens is None else torch.from_numpy(tokens))
        out: npt.NDArray[np.float32] = logits.numpy()[:, : self.caps.vocab_size]
        return out

    @named_faults()
    @torch.inference_mode()
    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        """See `Executor.embed`."""
        if self._adapters is not None:
            self._adapters.begin(())
        return embed_texts(self._decoder, texts, pooling or "mean")

    @named_faults()
    def load_adapter(self, place: int, adapter: Adapter) -> None:
        """See `Executor.load_adapter`."""
        assert self._adapters is not None, "an executor without room for adapters is asked for none"
        self._adapters.load(place, adapter)

    def unload_adapter(self, place: int) -> None:
        """See `Executor.unload_adapter`."""
        assert self._adapters is not None
        self._adapters.unload(place)

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        """See `Executor.expert_tokens`."""
        return self._decoder.weights.expert_tokens()

    def close(self) -> None:
        """Nothing to end: memory goes with the object."""


def _kernels(fallbacks: Fallbacks) -> KernelLibrary | None:
    try:
        return load_kernels()
    except KernelsUnavailable as missing:
        fallbacks.record("kernels", str(missing), expected=missing.building)
        return None
