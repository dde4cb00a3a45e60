"""The torch executor on a GPU: plans in, sampled tokens out.

It owns a decoder on the device, its paged KV, and the CUDA graphs of steps without prefills, one for each of a few padded
sizes. A step is under way when `submit` returns; grammars fill their masks meanwhile. It knows neither requests nor grammars
beyond their bitmasks. One step at a time: its logits are overwritten by the next.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.executors.kv_ops import run_ops
from portico_engine.executors.protocol import BlockStore, Capabilities, Sizes
from portico_engine.executors.torch.batch import logits_indices
from portico_engine.executors.torch.cuda_attention import SHORT, CUDAPagedKV, MixedAttention, PagedAttention, RaggedBatch
from portico_engine.executors.torch.cuda_step import CUDAStep
from portico_engine.executors.torch.device_faults import named_faults
from portico_engine.kernels import fused
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.models.cuda_weight_loader import CUDAWeightLoader
from portico_engine.models.decoder import Decoder
from portico_engine.models.weight_loader import Progress
from portico_engine.plan import BLOCK_TOKENS, Row, StepPlan, blocks_for
from portico_engine.weights.model_file import ModelFile

_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # tokens of a step that graphs are captured for
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
        progress: Progress | None = None,
    ) -> None:
        """`vocab_size` is the tokenizer's where the embeddings are padded beyond it."""
        self._decoder = decoder
        self._device = device
        self._kv = CUDAPagedKV(decoder.config, sizes.blocks, device)
        self._store: BlockStore | None = None
        codes = "-codes" if decoder.weights.has_codes else ""
        card = re.sub(r"\W+", "-", torch.cuda.get_device_name(device)).lower()
        self.caps = Capabilities(
            blocks=sizes.blocks,
            rows=sizes.max_rows,
            step_tokens=STEP_TOKENS,
            vocab_size=vocab_size or decoder.config.vocab_size,
            context_length=sizes.context_length,
            numerics_id=f"torch-{torch.__version__}-cuda-{card}-bf16{codes}{decoder.numerics}",
            block_bytes=decoder.config.kv_bytes_per_token * BLOCK_TOKENS,
        )
        self._graphs: dict[int, _Graph] = {}
        if graphs:
            self._capture(sizes, progress)

    @classmethod
    def load(
        cls,
        file: ModelFile,
        sizes: Sizes,
        *,
        codes: bool = True,
        copies: bool = False,
        graphs: bool = True,
        config: DecoderConfig | None = None,
        vocab_size: int | None = None,
        device: str = "cuda",
        progress: Progress | None = None,
    ) -> TorchCUDAExecutor:
        """Read a model onto the GPU: quantized matrices as codes unless told otherwise, with copies in bfloat16 if asked for.

        Raises ModelError where it doesn't fit.
        """
        config = config or read_config(file)
        try:
            with torch.inference_mode():
                weights = CUDAWeightLoader(file, config, codes=codes, copies=copies, device=device).weights(progress)
                torch.cuda.empty_cache()  # what reading took
                decoder = Decoder(config, weights, sizes.context_length, fused)
            return cls(
                decoder,
                sizes,
                vocab_size=vocab_size,
                device=device,
                graphs=graphs,
                progress=progress,
            )
        except torch.OutOfMemoryError:
            free, total = torch.cuda.mem_get_info(device)
            raise ModelError(
                f"{file.path} doesn't fit the GPU with {sizes.kv_tokens} tokens of KV: {free / 2**30:.1f} of "
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
            run_ops(plan.kv_ops, self._kv, self._store)
            if not plan.rows:
                return CUDAStep(plan, torch.empty(0, self.caps.vocab_size, device=self._device))
            at = logits_indices(plan.rows)
            logits = self._replay(plan, at) if self._fits_a_graph(plan) else self._run(plan, at)
            return CUDAStep(plan, logits[:, : self.caps.vocab_size])

    def close(self) -> None:
        """Let go of graphs and memory that torch keeps for itself."""
        self._graphs.clear()
        torch.cuda.empty_cache()

    def _fits_a_graph(self, plan: StepPlan) -> bool:
        return bool(self._graphs) and plan.n_tokens <= max(self._graphs) and all(map(_is_short, plan.rows))

    def _replay(self, plan: StepPlan, at: list[int]) -> Tensor:
        size = next(size for size in self._graphs if size >= plan.n_tokens)
        logits = self._graphs[size].replay(RaggedBatch.of(plan.rows, self._device, pad_to=size))
        return logits[: len(at)] if at == list(range(len(at))) else logits[torch.tensor(at, device=self._device)]

    def _run(self, plan: StepPlan, at: list[int]) -> Tensor:
        batch = RaggedBatch.of(plan.rows, self._device)
        kv = self._kv.tensor
        prefills = any(len(row.tokens) > SHORT for row in plan.rows)
        attend = MixedAttention(kv, batch, plan.rows) if prefills else PagedAttention(kv, batch)
        hidden = self._decoder.hidden(batch.tokens, batch.positions, attend)
        return self._decoder.logits(hidden[torch.tensor(at, dtype=torch.int64, device=self._device)])

    @torch.inference_mode()
    def _capture(self, sizes: Sizes, progress: Progress | None) -> None:
        """Graphs for up to four tokens a row, largest first: the smaller ones fit into its memory."""
        limit = next((size for size in _SIZES if size >= 4 * sizes.max_rows), _SIZES[-1])
        captured = [size for size in _SIZES if size <= limit]
        tables = torch.zeros(sizes.max_rows, blocks_for(sizes.context_length), dtype=torch.int32, device=self._device)
        addresses = torch.zeros(3, limit, dtype=torch.int32, device=self._device)
        addresses[1] = -1
        pool = torch.cuda.graph_pool_handle()
        for done, size in enumerate(reversed(captured)):
            if progress:
                progress("graphs", done / len(captured))
            self._graphs[size] = _Graph(self._decoder, self._kv.tensor, RaggedBatch(addresses[:, :size], tables), pool)
        self._graphs = dict(sorted(self._graphs.items()))
        if progress:
            progress("graphs", 1.0)


def _is_short(row: Row) -> bool:
    """Is each of its tokens to read the cache for itself?"""
    count = len(row.tokens)
    return count <= SHORT or count * (row.start + count) <= _PAIRS


class _Graph:
    """A captured step of one size; it reads its batch from fixed tensors."""

    def __init__(self, decoder: Decoder, kv: Tensor, batch: RaggedBatch, pool: Any) -> None:
        self._batch = batch
        attend = PagedAttention(kv, batch)
        stream = torch.cuda.Stream(kv.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(kv.device))
        with torch.cuda.stream(stream):
            decoder.logits(decoder.hidden(batch.tokens, batch.positions, attend))  # compiles what isn't compiled yet
        torch.cuda.current_stream(kv.device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool, stream=stream):
            self._logits = decoder.logits(decoder.hidden(batch.tokens, batch.positions, attend))

    def replay(self, batch: RaggedBatch) -> Tensor:
        """Logits of all tokens, float32 [size, vocab_size], valid until any graph's next replay."""
        n_rows, width = batch.tables.shape
        self._batch.addresses.copy_(batch.addresses)
        self._batch.tables[:n_rows, :width] = batch.tables
        self._graph.replay()
        return self._logits
