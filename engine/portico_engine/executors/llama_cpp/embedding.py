"""Embeddings by llama.cpp: a context that pools, for encoders (BERT and the like) and for decoders of its own.

It owns that context, and the executor for models that write no text. Like everything of llama.cpp it runs in a child process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portico_engine.adapters.adapter import Adapter
from portico_engine.errors import AdapterError, ModelError, RequestError
from portico_engine.executors.llama_cpp.library import ALL_LAYERS, LlamaModel, n_threads, version
from portico_engine.executors.protocol import BlockStore, Capabilities, PendingStep
from portico_engine.plan import StepPlan
from portico_engine.request import Pooling

# Architectures of GGUF that are encoders: they have no next token.
ENCODERS = frozenset(
    (
        "bert",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "jina-bert-v2",
        "jina-bert-v3",
        "eurobert",
        "gemma-embedding",
    )
)
_SEQUENCES = 32  # texts of one batch
_TYPES: dict[Pooling, int] = {"mean": 1, "cls": 2, "last": 3}  # llama.cpp's numbers; 0 is none, 4 a score


class LlamaEmbeddings:
    """A context of `longest` tokens that makes one vector a text."""

    def __init__(self, model: LlamaModel, longest: int, pooling: Pooling | None) -> None:
        """`pooling` None is the model's own. Raises ModelError where there is no memory for it, or none of these poolings."""
        llama = self._llama = model.llama
        options = llama.llama_context_default_params()
        options.embeddings = True
        options.pooling_type = -1 if pooling is None else _TYPES[pooling]
        options.n_ctx = options.n_batch = options.n_ubatch = longest  # an encoder sees a text at once
        options.n_seq_max = _SEQUENCES
        options.kv_unified = True
        options.n_threads = options.n_threads_batch = n_threads()
        options.no_perf = True
        self._pointer = llama.llama_init_from_model(model.pointer, options)
        if not self._pointer:
            raise ModelError(f"there is no memory for embeddings of {longest} tokens; give a smaller context")
        kind = int(llama.llama_pooling_type(self._pointer))
        if kind not in _TYPES.values():
            self.close()
            raise ModelError(f"this model's pooling is llama.cpp's type {kind}, which makes no embeddings: give another")
        self.longest = longest
        self.size = int(llama.llama_model_n_embd(model.pointer))
        self._encodes = bool(llama.llama_model_has_encoder(model.pointer)) and not llama.llama_model_has_decoder(model.pointer)
        self._batch = llama.llama_batch_init(longest, 0, 1)

    def embed(self, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """texts as tokens -> float32 [len(texts), size], not normalized. Raises MemoryError, RuntimeError."""
        out = np.empty((len(texts), self.size), np.float32)
        at = 0
        for batch in self._batches(texts):
            self._run(batch)
            for i in range(len(batch)):
                found = self._llama.llama_get_embeddings_seq(self._pointer, i)
                if not found:
                    raise RuntimeError("llama.cpp made no embedding of a text")
                out[at + i] = np.ctypeslib.as_array(ctypes.cast(found, ctypes.POINTER(ctypes.c_float)), shape=(self.size,))
            at += len(batch)
        return out

    def close(self) -> None:
        self._llama.llama_free(self._pointer)

    def _batches(self, texts: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
        batch: list[Sequence[int]] = []
        tokens = 0
        for text in texts:
            if batch and (len(batch) == _SEQUENCES or tokens + len(text) > self.longest):
                yield batch
                batch, tokens = [], 0
            batch.append(text)
            tokens += len(text)
        if batch:
            yield batch

    def _run(self, texts: Sequence[Sequence[int]]) -> None:
        llama, batch = self._llama, self._batch
        llama.llama_memory_clear(llama.llama_get_memory(self._pointer), True)
        at = 0
        for sequence, text in enumerate(texts):
            for position, token in enumerate(text):
                batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, position, 1
                batch.seq_id[at][0], batch.logits[at] = sequence, 1
                at += 1
        batch.n_tokens = at
        code = (llama.llama_encode if self._encodes else llama.llama_decode)(self._pointer, batch)
        if code != 0:
            raise RuntimeError(f"llama.cpp could not embed {at} tokens (code {code})")


class LlamaEmbeddingExecutor:
    """`executors.protocol.Executor` of a model that makes embeddings and no text."""

    def __init__(self, model: LlamaModel, context: int, *, pooling: Pooling | None, vocab_size: int) -> None:
        self._model = model
        self._embeddings = LlamaEmbeddings(model, context, pooling)
        self.caps = Capabilities(
            blocks=1,
            rows=1,
            step_tokens=1,
            vocab_size=vocab_size,
            context_length=context,
            numerics_id=f"llama.cpp-{version()}-embeddings",
            generates=False,
            embedding_size=self._embeddings.size,
        )

    @classmethod
    def load(
        cls,
        path: Path,
        context: int,
        *,
        pooling: Pooling | None,
        vocab_size: int,
        progress: Callable[[str, float], None] | None = None,
    ) -> LlamaEmbeddingExecutor:
        """Read a model. Raises ModelError where llama.cpp can't."""
        model = LlamaModel(path, lambda fraction: progress("weights", fraction) if progress else None, gpu_layers=ALL_LAYERS)
        try:
            return cls(model, context, pooling=pooling, vocab_size=vocab_size)
        except BaseException:
            model.close()
            raise

    def embed(self, texts: Sequence[Sequence[int]], pooling: Pooling | None = None) -> npt.NDArray[np.float32]:
        """See `Executor.embed`. The pooling was chosen when the model was loaded."""
        if pooling is not None:
            raise RequestError("pooling: this model has its own; another one is given in its configuration (pooling)")
        return self._embeddings.embed(texts)

    def attach(self, store: BlockStore) -> None:
        """It has no blocks."""

    def submit(self, plan: StepPlan) -> PendingStep:
        """Requests for text are refused before they get here."""
        raise AssertionError("a model without a next token was asked for one")

    def load_adapter(self, place: int, adapter: Adapter) -> None:
        """It takes none."""
        raise AdapterError("executor llama_cpp takes no adapters; executor torch does")

    def unload_adapter(self, place: int) -> None:
        """It holds none."""
        raise AdapterError("executor llama_cpp holds no adapters")

    def expert_tokens(self) -> Mapping[int, Sequence[int]]:
        """None are told."""
        return {}

    def close(self) -> None:
        self._embeddings.close()
        self._model.close()
