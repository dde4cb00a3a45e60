"""CUDA graphs of whole steps: the decoder's layers for each of a few sizes in tokens, and the head for each of a few in logits.

Both read their batch from fixed tensors, so that a step is one transfer and two launches. They are captured apart: a step of
many tokens mostly wants few logits. It owns the graphs and what they read; what is computed is the decoder's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from portico_engine.executors.torch.cuda_attention import PagedAttention
from portico_engine.executors.torch.cuda_batch import ADDRESSES, NO_ADAPTER, RaggedBatch, addresses, place_followed
from portico_engine.executors.torch.lora_places import CUDALoraPlaces
from portico_engine.executors.torch.transfer import copy_into, to_device
from portico_engine.kernels.decode_step import MOST_TOKENS, Places
from portico_engine.models.decode_layers import DecodeLayers
from portico_engine.models.decoder import Decoder
from portico_engine.models.weight_loader import Progress
from portico_engine.plan import Row

# What is captured, in tokens and in logits: a step is padded to the next.
SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)


class StepGraphs:
    """For rows whose tokens each read the cache for themselves, at most `SIZES[-1]` tokens together."""

    def __init__(
        self,
        decoder: Decoder,
        kv: Tensor,
        tables: Tensor,
        max_logits: int,
        progress: Progress | None = None,
        adapters: CUDALoraPlaces | None = None,
        decode_layers: DecodeLayers | None = None,
    ) -> None:
        """`tables`: see `BlockTables`. Captures for up to `max_logits` logits; what wants more gets them without a graph. With
        `adapters` each graph of layers computes them for all its tokens. Steps of few tokens go through `decode_layers` where
        there are such.
        """
        self._decoder = decoder
        self._adapters = adapters
        self._decode_layers = decode_layers
        self._heads_for = [size for size in SIZES if size < max_logits] + [max_logits]
        self._batch = torch.zeros(
            max_logits + ADDRESSES * SIZES[-1], dtype=torch.int32, device=kv.device
        )  # wanted, then addresses
        self._wanted = self._batch[:max_logits]
        self._hidden = torch.zeros(SIZES[-1], decoder.config.hidden, dtype=torch.float32, device=kv.device)
        self._logits = torch.zeros(max_logits, decoder.config.vocab_size, dtype=torch.float32, device=kv.device)
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(kv.device)  # type: ignore[no-untyped-call]
        total = len(SIZES) + len(self._heads_for)
        self._layers: dict[int, Any] = {}
        self._heads: dict[int, Any] = {}
        for done, size in enumerate(reversed(SIZES)):  # the largest first: the others fit into its memory
            if progress:
                progress("graphs", done / total)
            self._layers[size] = self._captured_layers(size, kv, tables)
        for done, size in enumerate(reversed(self._heads_for), len(SIZES)):
            if progress:
                progress("graphs", done / total)
            self._heads[size] = self._captured_head(size)
        if progress:
            progress("graphs", 1.0)

    @property
    def hidden(self) -> Tensor:
        """The states that the last logits were made of, float32 [SIZES[-1], hidden], valid until the next ones."""
        return self._hidden

    def logits(self, rows: Sequence[Row], wanted: Sequence[int], sampled: Tensor) -> Tensor:
        """The logits after the tokens that `wanted` names, float32 [wanted, vocab_size], valid until the next call. The rows'
        block tables are there; `sampled`: see `place_followed`.
        """
        size = SIZES[bisect_left(SIZES, sum(len(row.tokens) for row in rows))]
        n_wanted = len(self._wanted)
        host = np.zeros(n_wanted + ADDRESSES * size, np.int32)
        host[: min(len(wanted), n_wanted)] = wanted[:n_wanted]
        addresses(rows, host[n_wanted:].reshape(ADDRESSES, size))
        copy_into(self._batch[: len(host)], host)
        place_followed(rows, self._batch[n_wanted : n_wanted + size], sampled)
        self._layers[size].replay()
        if len(wanted) > n_wanted:
            return self._decoder.logits(self._hidden[to_device(np.array(wanted, np.int64), self._hidden.device)])
        if wanted:
            self._heads[self._heads_for[bisect_left(self._heads_for, len(wanted))]].replay()
        return self._logits[: len(wanted)]

    def _captured_layers(self, size: int, kv: Tensor, tables: Tensor) -> Any:
        first = len(self._wanted)
        batch = RaggedBatch(self._batch[first : first + ADDRESSES * size].view(ADDRESSES, size), tables)
        batch.addresses.zero_()
        batch.positions.fill_(-1)  # all of it is padding
        batch.adapters.fill_(NO_ADAPTER)
        if self._decode_layers is not None and size <= MOST_TOKENS:
            return self._captured(partial(self._run_decode_layers, self._decode_layers, batch, kv))
        attend = PagedAttention(self._decoder.config, kv, batch)

        def layers() -> None:
            if self._adapters is not None:
                self._adapters.begin(batch.adapters)
            self._hidden[:size].copy_(self._decoder.hidden(batch.tokens, batch.positions, attend))

        return self._captured(layers)

    def _run_decode_layers(self, decode_layers: DecodeLayers, batch: RaggedBatch, kv: Tensor) -> None:
        x = self._hidden[: len(batch.tokens)]
        x.copy_(self._decoder.embedded(batch.tokens))
        decode_layers.run(x, Places(batch.positions, batch.slots, batch.tables), kv)

    def _captured_head(self, size: int) -> Any:
        wanted = self._wanted[:size]
        layers = self._decode_layers
        if layers is not None and layers.has_head and size <= MOST_TOKENS:
            return self._captured(partial(layers.logits, self._hidden, wanted, self._logits[:size]))
        return self._captured(lambda: self._logits[:size].copy_(self._decoder.logits(self._hidden.index_select(0, wanted))))

    def _captured(self, run: Callable[[], object]) -> Any:
        """A graph of what `run` does. What it leaves is in fixed tensors, so that all graphs share one memory."""
        device = self._hidden.device
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):
            run()  # compiles what isn't compiled yet
        torch.cuda.current_stream(device).wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, NCCL's own among them, may ask for events meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            run()
        return graph
