"""llama.cpp through llama-cpp-python's low-level API: the reference that benchmarks and tests compare the engine with.

Its weights' repacked buffers are switched off: with them it crashes on CPUs with AMX.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import llama_cpp
import numpy as np
import numpy.typing as npt

from portico_engine.executors.llama_cpp.library import library


class Token(NamedTuple):
    """One of a batch of several sequences."""

    sequence: int
    token: int
    position: int


class LlamaCpp:
    """One model and one context."""

    def __init__(
        self,
        path: Path,
        *,
        context: int = 1024,
        threads: int = 2,
        vocab_only: bool = False,
        batch: int = 512,
        sequences: int = 1,
    ) -> None:
        """`context` is each of the `sequences`' own."""
        library()  # its log goes where the product's does: it has one callback for the whole process
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = False
        params.vocab_only = vocab_only
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        assert self._model is not None
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.vocab_size: int = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._batch_tokens = batch
        self._context = None
        if not vocab_only:
            options = llama_cpp.llama_context_default_params()
            options.n_ctx = context * sequences
            options.n_seq_max = sequences
            options.n_batch = options.n_ubatch = batch
            options.n_threads = options.n_threads_batch = threads
            self._context = llama_cpp.llama_init_from_model(self._model, options)
            self._batch = llama_cpp.llama_batch_init(batch, 0, 1)

    def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """llama.cpp's own tokenization."""
        data = text.encode()
        out = (llama_cpp.llama_token * (len(data) + 16))()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), out, len(out), bos, special)
        assert count >= 0
        return list(out[:count])

    def eval(self, tokens: Sequence[int], start: int, *, want_all: bool = False) -> npt.NDArray[np.float32]:
        """Run tokens at positions from `start` on; logits [all or 1, vocab_size]."""
        out: list[npt.NDArray[np.float32]] = []
        for at in range(0, len(tokens), self._batch_tokens):
            piece = tokens[at : at + self._batch_tokens]
            batch = self._batch
            batch.n_tokens = len(piece)
            for i, token in enumerate(piece):
                batch.token[i] = token
                batch.pos[i] = start + at + i
                batch.n_seq_id[i] = 1
                batch.seq_id[i][0] = 0
                batch.logits[i] = want_all or at + i == len(tokens) - 1
            assert llama_cpp.llama_decode(self._context, batch) == 0
            for i in range(len(piece)):
                if batch.logits[i]:
                    row = llama_cpp.llama_get_logits_ith(self._context, i)
                    out.append(np.ctypeslib.as_array(row, shape=(self.vocab_size,)).copy())
        return np.stack(out)

    def eval_batch(self, tokens: Sequence[Token]) -> npt.NDArray[np.float32]:
        """Run tokens of several sequences in one batch; logits of each [tokens, vocab_size]."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, (sequence, token, position) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, True
            batch.seq_id[i][0] = sequence
        assert llama_cpp.llama_decode(self._context, batch) == 0
        rows = [llama_cpp.llama_get_logits_ith(self._context, i) for i in range(len(tokens))]
        return np.stack([np.ctypeslib.as_array(row, shape=(self.vocab_size,)) for row in rows])

    def copy_sequence(self, target: int) -> None:
        """Give another sequence all that the first one has."""
        llama_cpp.llama_memory_seq_cp(llama_cpp.llama_get_memory(self._context), 0, target, -1, -1)

    def clear(self) -> None:
        """Forget all positions."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def forget_from(self, position: int, sequence: int = 0) -> None:
        """Forget a sequence's positions from here on."""
        llama_cpp.llama_memory_seq_rm(llama_cpp.llama_get_memory(self._context), sequence, position, -1)

    def greedy(self, prompt: Sequence[int], count: int, end: frozenset[int] = frozenset()) -> list[int]:
        """Greedy continuation, up to an end token (included)."""
        self.clear()
        logits = self.eval(prompt, 0)[0]
        out = [int(logits.argmax())]
        while len(out) < count and out[-1] not in end:
            logits = self.eval(out[-1:], len(prompt) + len(out) - 1)[0]
            out.append(int(logits.argmax()))
        return out

    def close(self) -> None:
        """Free native memory."""
        if self._context is not None:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._context)
            self._context = None
        if self._model is not None:
            llama_cpp.llama_model_free(self._model)
            self._model = None
