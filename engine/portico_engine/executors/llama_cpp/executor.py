"""llama.cpp as an executor: plans in, sampled tokens out, over models that torch has no decoder for.

It owns the order of a step: operations on blocks, then rows in batches of which none depends on itself.
Blocks are `sequences`', C is `library`'s. A crash in there ends the process, so it runs in a child process
(`portico_engine.process`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portico_engine.adapters.adapter import Adapter
from portico_engine.errors import AdapterError, RequestError
from portico_engine.executors.host_step import HostStep
from portico_engine.executors.kv_ops import run_ops
from portico_engine.executors.llama_cpp.attention import Attention, choose_attention
from portico_engine.executors.llama_cpp.batches import independent_batches
from portico_engine.executors.llama_cpp.embedding import LlamaEmbeddings
from portico_engine.executors.llama_cpp.library import MAX_SEQUENCES, LlamaContext, LlamaModel, version
from portico_engine.executors.llama_cpp.sequences import PASSING_SEQUENCES, SequenceBlocks
from portico_engine.executors.llama_cpp.states import SequenceStates
from portico_engine.executors.protocol import BlockStore, Capabilities, Sizes
from portico_engine.plan import BLOCK_TOKENS, Row, StepPlan
from portico_engine.request import Pooling

MAX_ROWS = MAX_SEQUENCES - PASSING_SEQUENCES
FEWEST_STATES, MOST_STATES = 4, 64
STATE_BYTES = 1 << 30
DEFAULT_ATTENTION = choose_attention("f16", on_gpu=False, head_sizes=())
STEP_TOKENS = 512  # of one plan
LIGHT_TOKENS = 6  # on a CPU; see `Capabilities`


class LlamaCppExecutor:
    """`executors.protocol.Executor`."""

    def __init__(
        self,
        model: LlamaModel,
        sizes: Sizes,
        attention: Attention = DEFAULT_ATTENTION,
        *,
        vocab_size: int | None = None,
        long_rope: bool = False,
        pooling: Pooling | None = None,
        state_bytes: int = STATE_BYTES,
    ) -> None:
        """`vocab_size` is the tokenizer's where the embeddings are padded beyond it. `long_rope`: the model's rotary embedding
        (LongRoPE) depends on the size of the cache, by which llama.cpp chooses its factors. `state_bytes` are this machine's
        memory for whole states that no sequence runs on, of models that have such.

        Raises ModelError where there is no memory for the KV, RequestError for too many rows.
        """
        if sizes.max_rows > MAX_ROWS:
            raise RequestError(f"max_rows is {sizes.max_rows}; executor llama_cpp takes at most {MAX_ROWS}")
        self._model = model
        self._own_pooling: Pooling = pooling or "mean"  # of embeddings, where a request says nothing
        self._embeddings: dict[Pooling | None, LlamaEmbeddings] = {}
        n_cells = (sizes.blocks + 1) * BLOCK_TOKENS
        self._context = LlamaContext(model, n_cells, sizes.max_rows + PASSING_SEQUENCES, attention)
        self._store: BlockStore | None = None
        block_bytes, more_bytes = self._measure()
        longest_state = block_bytes + more_bytes * (sizes.context_length // BLOCK_TOKENS)
        self._blocks: SequenceBlocks | SequenceStates
        if model.is_recurrent:
            self._blocks = SequenceStates(self._context, sizes.max_rows)
        else:
            self._blocks = SequenceBlocks(self._context, sizes.max_rows, sizes.blocks)
        states = min(max(state_bytes // longest_state, FEWEST_STATES), MOST_STATES) if model.is_recurrent else 0
        flash = "" if attention.flash == "off" else f"-flash-{attention.flash}"
        self.caps = Capabilities(
            blocks=sizes.blocks + sizes.saved_blocks + states,
            rows=sizes.max_rows,
            step_tokens=STEP_TOKENS,
            light_tokens=STEP_TOKENS if model.on_gpu else LIGHT_TOKENS,
            vocab_size=vocab_size or model.vocab_size,
            context_length=sizes.context_length,
            numerics_id=f"llama.cpp-{version()}-{model.place}{flash}"
            + ("" if attention.kv_type == "f16" else f"-{attention.kv_type}")
            + (f"-longrope-{self._context.n_cells}" if long_rope else ""),
            block_bytes=0 if model.is_recurrent else block_bytes,
            running_blocks=sizes.blocks,
            cut="whole" if model.is_recurrent else "token",
            states=states,
            embedding_size=int(model.llama.llama_model_n_embd(model.pointer)),
        )

    @classmethod
    def load(
        cls,
        path: Path,
        sizes: Sizes,
        attention: Attention = DEFAULT_ATTENTION,
        *,
        gpu_layers: int = 0,
        host_tensors: str | None = None,
        vocab_size: int | None = None,
        long_rope: bool = False,
        pooling: Pooling | None = None,
        state_bytes: int = STATE_BYTES,
        progress: Callable[[str, float], None] | None = None,
    ) -> LlamaCppExecutor:
        """Read a model; `gpu_layers` and `host_tensors` see `LlamaModel`. Raises ModelError where llama.cpp can't."""
        model = LlamaModel(
            path,
            lambda fraction: progress("weights", fraction) if progress else None,
            gpu_layers=gpu_layers,
            host_tensors=host_tensors,
        )
        try:
            return cls(
                model,
                sizes,
                attention,
                vocab_size=vocab_size,
                long_rope=long_rope,
                pooling=pooling,
                state_bytes=state_bytes,
            )
        except BaseException:
            model.close()
            raise

    def attach(self, store: BlockStore) -> None:
        """See `Executor.attach`."""
        self._store = store

    def submit(self, plan: StepPlan) -> HostStep:
        """Run a plan."""
        self._blocks.next_step()
        run_ops(plan.kv_ops, self._blocks, self._store)
        logits: dict[int, np.ndarray] = {}
        running = {*plan.skipped_slots, *(row.slot for row in plan.rows)}
        for batch in independent_batches(plan.rows):
            try:
                self._blocks.prepare(batch, running)
                self._read(batch, logits)
                self._blocks.commit(batch)
            except BaseException:
                self._blocks.abandon(batch)
                raise
        damaged = [i for i, row in enumerate(plan.rows) if not (logits[row.slot] < np.inf).all()]
        found = [logits[row.slot] for row in plan.rows if row.logits_indices]
        every = np.concatenate(found) if found else np.zeros((0, self._model.vocab_size), np.float32)
        return HostStep(plan, every[:, : self.caps.vocab_size], damaged)

    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        """See `Executor.embed`. The context for it is made when it is first asked for."""
        if pooling not in self._embeddings:
            self._embeddings[pooling] = LlamaEmbeddings(self._model, self.caps.context_length, pooling or self._own_pooling)
        return self._embeddings[pooling].embed(texts)

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        """Always raises AdapterError: a context of llama.cpp computes all rows with the same adapters."""
        raise AdapterError("executor llama_cpp takes no adapters; executor torch does")

    def unload_adapter(self, place: int) -> None:
        """None was loaded."""
        raise AdapterError("executor llama_cpp holds no adapters")

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        """None are told."""
        return {}

    def close(self) -> None:
        """Let go of caches and weights."""
        for embeddings in self._embeddings.values():
            embeddings.close()
        self._context.close()
        self._model.close()

    def _read(self, rows: list[Row], logits: dict[int, np.ndarray]) -> None:
        """The logits behind a part of a prompt, which nobody asks for, say whether its keys and values are numbers."""
        needs_logits: list[bool] = []
        for row in rows:
            indices = set(row.logits_indices or (len(row.tokens) - 1,))
            needs_logits += [i in indices for i in range(len(row.tokens))]
        found = self._context.decode(
            [token for row in rows for token in row.tokens],
            [position for row in rows for position in range(row.start, row.start + len(row.tokens))],
            [row.slot for row in rows for _ in row.tokens],
            needs_logits,
        )
        at = 0
        for row in rows:
            order = sorted(row.logits_indices) or [len(row.tokens) - 1]
            of_row = found[at : at + len(order)]
            if row.logits_indices and order != list(row.logits_indices):
                of_row = of_row[[order.index(i) for i in row.logits_indices]]
            logits[row.slot] = of_row
            at += len(order)

    def _measure(self) -> tuple[int, int]:
        """Bytes of what a sequence of one block's length holds, and of what each further block adds, after reading two: which
        also warms up what llama.cpp makes at first use.
        """
        sizes = []
        for start in (0, BLOCK_TOKENS):
            positions = range(start, start + BLOCK_TOKENS)
            self._context.decode([0] * BLOCK_TOKENS, positions, [0] * BLOCK_TOKENS, [False] * BLOCK_TOKENS)
            sizes.append(len(self._context.seq_get_state(0)))
        self._context.seq_rm(0, 0, -1)
        return sizes[0], sizes[1] - sizes[0]
