"""The torch executor on a GPU: plans in, sampled tokens out.

It owns a decoder on the device, its paged KV, and which of a step's rows go through CUDA graphs: all but long prefills. A step
is under way when `submit` returns; grammars fill their masks meanwhile. It knows neither requests nor grammars
beyond their bitmasks. The next plan may come once a step samples: its logits are overwritten by that, behind the sampling, and
the tokens stay on the device for rows that follow.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from portico_engine.adapters.adapter import Adapter, AdapterLimits
from portico_engine.errors import ModelError
from portico_engine.executors.kv_ops import run_ops
from portico_engine.executors.protocol import AS_COMPUTED, BlockStore, Capabilities, Offloading, Sizes, SizesFor
from portico_engine.executors.torch.batch import StatesUnderWay, logits_indices
from portico_engine.executors.torch.cuda_attention import SHORT, CUDAPagedKV, MixedAttention, PagedAttention
from portico_engine.executors.torch.cuda_batch import ADDRESSES, BlockTables, RaggedBatch, addresses, place_followed
from portico_engine.executors.torch.cuda_graphs import SIZES, StepGraphs
from portico_engine.executors.torch.cuda_step import CUDAStep
from portico_engine.executors.torch.device_faults import named_faults
from portico_engine.executors.torch.embedding import embed_texts
from portico_engine.executors.torch.host_kv import HostKV, open_host_kv
from portico_engine.executors.torch.kv_codec import KVCodec, kv_codec
from portico_engine.executors.torch.lora_places import CUDALoraPlaces
from portico_engine.executors.torch.transfer import to_device
from portico_engine.fallbacks import Fallbacks
from portico_engine.kernels import fused
from portico_engine.kernels.decode_step import MEASURED, DecodeTuning
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.models.cuda_weight_loader import CUDAWeightLoader
from portico_engine.models.decode_layers import DecodeLayers, unfit
from portico_engine.models.decoder import Decoder
from portico_engine.models.weight_loader import Progress
from portico_engine.parallel.expert_parallel import AUTO, Exchange
from portico_engine.parallel.rank_group import RankGroup
from portico_engine.parallel.sharded_weights import with_ranks
from portico_engine.plan import Row, StepPlan, blocks_for
from portico_engine.request import Pooling
from portico_engine.weights.model_file import ModelFile

_log = logging.getLogger(__name__)
_PAIRS = 1 << 17  # of a row's tokens and those that they read: up to so many a graph is faster than launching a prefill

STEP_TOKENS = 8192  # of one plan


class TorchCUDAExecutor:
    """`executors.protocol.Executor`."""

    def __init__(
        self,
        decoder: Decoder,
        sizes: Sizes,
        *,
        vocab_size: int | None = None,
        device: str = "cuda",
        graphs: bool = True,
        adapters: CUDALoraPlaces | None = None,
        progress: Progress | None = None,
        fallbacks: Fallbacks | None = None,
        tuning: DecodeTuning | None = MEASURED,
        offloading: Offloading = AS_COMPUTED,
    ) -> None:
        """`vocab_size` is the tokenizer's where the embeddings are padded beyond it. Without graphs where none can be captured,
        which `fallbacks` hears. `adapters` are beside the decoder's weights; None takes none.
        """
        self._decoder = decoder
        self._adapters = adapters
        self._device = device
        codec = kv_codec(offloading.dtype, decoder.config)
        self._kv = CUDAPagedKV(decoder.config, sizes.blocks, device, codec)
        self._host, swap_seconds = _host_kv(self._kv.tensor, codec, offloading.host_bytes)
        self._store: BlockStore | None = None
        card = re.sub(r"\W+", "-", torch.cuda.get_device_name(device)).lower()
        self.caps = Capabilities(
            blocks=sizes.blocks,
            rows=sizes.max_rows,
            step_tokens=STEP_TOKENS,
            vocab_size=vocab_size or decoder.config.vocab_size,
            context_length=sizes.context_length,
            numerics_id=f"torch-{torch.__version__}-cuda-{card}-{decoder.numerics}-{codec.numerics}",
            block_bytes=codec.block_bytes,
            host_blocks=self._host.n_slots if self._host else 0,
            swap_seconds=swap_seconds,
            window=decoder.config.widest_window,
            adapters=adapters.limits.count if adapters else 0,
            adapter_rank=adapters.limits.rank if adapters else 0,
            embedding_size=decoder.config.hidden,
            rewrites=True,
            runs_ahead=True,
        )
        self._sampled = torch.zeros(sizes.max_rows, dtype=torch.int32, device=device)  # in the last step, by slot
        self._tables = BlockTables(sizes.max_rows, blocks_for(sizes.context_length), device)
        self._graphs: StepGraphs | None = None
        if graphs:
            with torch.inference_mode():
                self._graphs = self._captured(sizes.max_rows, progress, fallbacks or Fallbacks(), tuning)

    @classmethod
    def load(
        cls,
        file: ModelFile,
        sizes: Sizes | SizesFor,
        *,
        codes: bool = True,
        copies: bool = False,
        graphs: bool = True,
        config: DecoderConfig | None = None,
        vocab_size: int | None = None,
        device: str = "cuda",
        adapters: AdapterLimits | None = None,
        progress: Progress | None = None,
        fallbacks: Fallbacks | None = None,
        host_layers: int = 0,
        offloading: Offloading = AS_COMPUTED,
        group: RankGroup | None = None,
        exchange: Exchange = AUTO,
    ) -> TorchCUDAExecutor:
        """Read a model onto the GPU: quantized matrices as codes unless told otherwise, with copies in bfloat16 if asked for.
        The memory of `adapters` is taken before KV gets the rest. Experts of the last `host_layers` stay in this machine's
        memory. With `group`, `file` and `config` are this rank's (`parallel.sharded_config`).

        Raises ModelError where it doesn't fit.
        """
        config = config or read_config(file)
        free, _ = torch.cuda.mem_get_info(device)
        try:
            with torch.inference_mode():
                loader = CUDAWeightLoader(
                    file, config, codes=codes, copies=copies, device=device, fallbacks=fallbacks, host_layers=host_layers
                )
                weights = loader.weights(progress)
                places = CUDALoraPlaces(weights, config, adapters) if adapters else None
                weights = places.weights if places else weights
                if group is not None:
                    weights = with_ranks(weights, config, group, exchange._replace(least=max(exchange.least, SIZES[-1] + 1)))
                torch.cuda.empty_cache()  # what reading took
                if not isinstance(sizes, Sizes):
                    sizes = sizes(free - torch.cuda.mem_get_info(device)[0])
                decoder = Decoder(config, weights, sizes.context_length, fused)
            return cls(
                decoder,
                sizes,
                vocab_size=vocab_size,
                device=device,
                graphs=graphs,
                adapters=places,
                progress=progress,
                fallbacks=fallbacks,
                offloading=offloading,
            )
        except torch.OutOfMemoryError:
            free, total = torch.cuda.mem_get_info(device)
            kv = f" with {sizes.kv_tokens} tokens of KV" if isinstance(sizes, Sizes) else ""
            raise ModelError(
                f"{file.path} doesn't fit the GPU{kv}: {free / 2**30:.1f} of "
                f"{total / 2**30:.1f} GiB were left when it ran out; "
                "give a smaller context or kv_tokens, or take a smaller model"
            ) from None

    def attach(self, store: BlockStore) -> None:
        """See `Executor.attach`."""
        self._store = store

    @torch.inference_mode()
    def submit(self, plan: StepPlan) -> CUDAStep:
        """Start a plan."""
        with named_faults(self._device):
            run_ops(plan.kv_ops, self._kv, self._store, self._host)
            if not plan.rows:
                return CUDAStep(plan, torch.empty(0, self.caps.vocab_size, device=self._device))
            if self._host is not None:
                self._host.settle(block for row in plan.rows for block in row.block_table)
            self._tables.update(plan.rows)
            states = StatesUnderWay()
            return CUDAStep(plan, self._logits(plan.rows, states)[:, : self.caps.vocab_size], self._sampled, states)

    @torch.inference_mode()
    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        """See `Executor.embed`."""
        with named_faults(self._device):
            if self._adapters is not None:
                self._adapters.begin(None)
            return embed_texts(self._decoder, texts, pooling or "mean")

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        """See `Executor.load_adapter`."""
        assert self._adapters is not None, "an executor without room for adapters is asked for none"
        with named_faults(self._device):
            self._adapters.load(place, adapter)

    def unload_adapter(self, place: int) -> None:
        """See `Executor.unload_adapter`."""
        assert self._adapters is not None
        with named_faults(self._device):
            self._adapters.unload(place)

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        """See `Executor.expert_tokens`."""
        return self._decoder.weights.expert_tokens()

    def close(self) -> None:
        """Let go of graphs and memory that torch keeps for itself."""
        self._graphs = None
        torch.cuda.empty_cache()

    def _captured(
        self, max_rows: int, progress: Progress | None, fallbacks: Fallbacks, tuning: DecodeTuning | None
    ) -> StepGraphs | None:
        """None where a step can't be captured and the device is well otherwise. Raises where memory did not suffice."""
        layers = self._decode_layers(fallbacks, tuning)
        try:
            return StepGraphs(self._decoder, self._kv.tensor, self._tables.tensor, max_rows, progress, self._adapters, layers)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            torch.cuda.synchronize(self._device)
            reason = f"a step can't be captured ({str(error).splitlines()[0]})"
        if layers is not None:
            fallbacks.record("layers", reason)
            return self._captured(max_rows, progress, fallbacks, None)
        fallbacks.record("graphs", reason)
        return None

    def _decode_layers(self, fallbacks: Fallbacks, tuning: DecodeTuning | None) -> DecodeLayers | None:
        if tuning is None:
            return None
        reason = unfit(self._decoder)
        if reason is None:
            try:
                return DecodeLayers(self._decoder, tuning)
            except RuntimeError as error:
                reason = f"their kernels can't be compiled ({str(error).splitlines()[0]})"
        fallbacks.record("layers", reason)
        return None

    def _logits(self, rows: Sequence[Row], states: StatesUnderWay) -> Tensor:
        """In the rows' order, whatever the parts that they are computed in."""
        parts: list[tuple[list[Row], Tensor]] = []
        for part, fits in self._parts(rows):
            if parts:
                parts[-1] = parts[-1][0], parts[-1][1].clone()  # before the next replay overwrites it
            at = logits_indices(part)
            graphs = self._graphs if fits else None
            if graphs is None:
                parts.append((part, self._run(part, at, states)))
            else:
                parts.append((part, graphs.logits(part, at, self._sampled)))
                states.add(part, graphs.hidden)
        if len(parts) == 1:
            return parts[0][1]
        places: dict[int, range] = {}  # by slot: where its logits are
        total = 0
        for row in (row for part, _ in parts for row in part):
            places[row.slot] = range(total, total := total + len(row.logits_indices))
        order = to_device(np.array([at for row in rows for at in places[row.slot]], np.int64), self._device)
        return torch.cat([logits for _, logits in parts])[order]

    def _parts(self, rows: Sequence[Row]) -> Iterator[tuple[list[Row], bool]]:
        """The rows that fit graphs, in as many as it takes, then the others together; whether each part fits one. So a prefill
        costs the decodes beside it nothing but its own time.
        """
        short = [row for row in rows if self._graphs is not None and _is_short(row)]
        part: list[Row] = []
        n_tokens = 0
        for row in short:
            if part and n_tokens + len(row.tokens) > SIZES[-1]:
                yield part, True
                part, n_tokens = [], 0
            part.append(row)
            n_tokens += len(row.tokens)
        if part:
            yield part, True
        if len(short) < len(rows):
            yield [row for row in rows if self._graphs is None or not _is_short(row)], False

    def _run(self, rows: Sequence[Row], at: Sequence[int], states: StatesUnderWay) -> Tensor:
        """Logits of rows that fit no graph."""
        host = np.empty((ADDRESSES, sum(len(row.tokens) for row in rows)), np.int32)
        addresses(rows, host)
        batch = RaggedBatch(to_device(host, self._device), self._tables.tensor)
        place_followed(rows, batch.tokens, self._sampled)
        kv = self._kv.tensor
        prefills = any(len(row.tokens) > SHORT for row in rows)
        config = self._decoder.config
        attend = MixedAttention(config, kv, batch, rows) if prefills else PagedAttention(config, kv, batch)
        if self._adapters is not None:
            self._adapters.begin(batch.adapters if any(row.adapter is not None for row in rows) else None)
        hidden = self._decoder.hidden(batch.tokens, batch.positions, attend)
        states.add(rows, hidden)
        return self._decoder.logits(hidden[to_device(np.array(at, np.int64), self._device)])


def _host_kv(kv: Tensor, codec: KVCodec, n_bytes: int) -> tuple[HostKV | None, float]:
    """It, and the seconds that a block takes there and back. None, and a warning, where this machine can't pin so much memory,
    or blocks come back otherwise.
    """
    try:
        host = open_host_kv(kv, codec, n_bytes)
        return host, host.measure() if host else 0.0
    except RuntimeError as error:
        _log.warning("no keys and values are kept in this machine's memory: %s", str(error).splitlines()[0])
        return None, 0.0


def _is_short(row: Row) -> bool:
    """Is each of its tokens to read the cache for itself?"""
    count = len(row.tokens)
    return count <= SIZES[-1] and (count <= SHORT or count * (row.start + count) <= _PAIRS)
