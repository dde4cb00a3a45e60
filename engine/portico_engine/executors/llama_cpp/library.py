"""llama.cpp through llama-cpp-python's low-level API: a model, a context, its cache by sequence, and batches.

It owns what is C: parameters, pointers, return codes, and where llama.cpp's own words go (this program's log). It knows neither
blocks nor plans. The weights' repacked buffers are switched off: with them 0.3.36 crashes on CPUs with AMX.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portico_engine.errors import ModelError
from portico_engine.weights.model_file import ModelFile

MAX_SEQUENCES = 256  # llama.cpp's own bound
_BATCH = 512  # tokens of one call
_ALL_LAYERS = 999
_LEVELS = {2: logging.DEBUG, 3: logging.INFO, 4: logging.INFO}  # ggml's: 1 debug, 2 info, 3 warning, 4 error
_NO_ROOM = (1, -2)  # of llama_decode's codes: no cells for the batch, or no memory for its graph
_log = logging.getLogger(__name__)


@cache
def library() -> Any:
    """llama_cpp, imported and told where to write. Raises ModelError where it is not installed."""
    try:
        import llama_cpp
    except ImportError:
        raise ModelError(
            "executor llama_cpp needs llama-cpp-python, which is not installed: pip install 'portico-mcp[llama]'"
        ) from None
    llama_cpp.llama_log_set(_log_callback(llama_cpp), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


@cache
def _log_callback(llama_cpp: Any) -> Any:
    def say(level: int, text: bytes, _user: Any) -> None:
        _log.log(_LEVELS.get(level, logging.DEBUG), "%s", text.decode(errors="replace").rstrip())

    return llama_cpp.llama_log_callback(say)


def has_llama_cpp() -> bool:
    return importlib.util.find_spec("llama_cpp") is not None


def kv_bytes_per_token(file: ModelFile, arch: str) -> int:
    """Of float16 keys and values in all layers, by the metadata; what llama.cpp leaves out is counted."""
    heads = np.max(file.metadata.get(f"{arch}.attention.head_count_kv") or file.metadata.get(f"{arch}.attention.head_count", 1))
    hidden, all_heads = (file.get(f"{arch}.{key}", int, 1) for key in ("embedding_length", "attention.head_count"))
    sizes = (file.get(f"{arch}.attention.{key}_length", int, hidden // all_heads) for key in ("key", "value"))
    return max(1, 2 * file.get(f"{arch}.block_count", int) * int(heads) * sum(sizes))


def version() -> str:
    return importlib.metadata.version("llama-cpp-python")


class LlamaModel:
    """A loaded model."""

    def __init__(self, path: Path, progress: Callable[[float], None]) -> None:
        """Raises ModelError where llama.cpp can't load it, or can't forget parts of what it has read."""
        llama = self.llama = library()
        self.on_gpu = bool(llama.llama_supports_gpu_offload())

        def report(fraction: float, _user: Any) -> bool:
            progress(fraction)
            return True

        params = llama.llama_model_default_params()
        params.use_extra_bufts = False
        params.n_gpu_layers = _ALL_LAYERS if self.on_gpu else 0
        params.progress_callback = llama.llama_progress_callback(report)
        self.pointer = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise ModelError(f"{path}: llama.cpp {version()} can't load this model; the log has its reason")
        if llama.llama_model_is_recurrent(self.pointer) or llama.llama_model_is_hybrid(self.pointer):
            self.close()
            raise ModelError(f"{path}: a recurrent model has no KV that could be shared or cut, which is not supported")
        self.vocab_size = int(llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.pointer)))

    def close(self) -> None:
        self.llama.llama_model_free(self.pointer)


class LlamaContext:
    """A unified cache of `n_cells` for `n_sequences`, at most MAX_SEQUENCES. Implements `sequences.SequenceCache`.

    Attention is computed without ggml's flash attention: runs of tokens are faster so on a CPU, and content that was read comes
    back to the bit.
    """

    def __init__(self, model: LlamaModel, n_cells: int, n_sequences: int) -> None:
        """Raises ModelError where there isn't the memory."""
        llama = self._llama = model.llama
        options = llama.llama_context_default_params()
        # It bounds a batch, and with fewer tokens than sequences llama.cpp aborts.
        self.n_cells = options.n_ctx = max(n_cells, _BATCH)
        options.n_batch = options.n_ubatch = _BATCH
        options.n_seq_max = n_sequences
        options.n_threads = options.n_threads_batch = os.cpu_count() or 1
        options.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.kv_unified = True
        options.swa_full = True  # else what is beyond the window is gone, and a prefix can't be shared
        options.no_perf = True
        self._pointer = llama.llama_init_from_model(model.pointer, options)
        if not self._pointer:
            raise ModelError(f"there is no memory for a cache of {n_cells} tokens; give a smaller context or kv_tokens")
        self._memory = llama.llama_get_memory(self._pointer)
        self._batch = llama.llama_batch_init(_BATCH, 0, 1)
        self._vocab_size = model.vocab_size

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int], needs_logits: Sequence[bool]
    ) -> npt.NDArray[np.float32]:
        """Read tokens; logits after those that need them, float32 [n, vocab_size].

        Raises MemoryError where there is no room for them, RuntimeError else; then some of them may have been read.
        """
        return np.concatenate(
            [
                self._decode(*(each[at : at + _BATCH] for each in (tokens, positions, sequences, needs_logits)))
                for at in range(0, len(tokens), _BATCH)
            ]
        )

    def _decode(
        self, tokens: Sequence[Any], positions: Sequence[Any], sequences: Sequence[Any], needs_logits: Sequence[Any]
    ) -> npt.NDArray[np.float32]:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i in range(len(tokens)):
            batch.token[i] = tokens[i]
            batch.pos[i] = positions[i]
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequences[i]
            batch.logits[i] = needs_logits[i]
        code = self._llama.llama_decode(self._pointer, batch)
        if code in _NO_ROOM:
            raise MemoryError(f"llama.cpp has no room for {len(tokens)} tokens (code {code})")
        if code != 0:
            raise RuntimeError(f"llama.cpp could not read {len(tokens)} tokens (code {code})")
        out = np.empty((sum(map(bool, needs_logits)), self._vocab_size), dtype=np.float32)
        for row, i in enumerate(np.flatnonzero(needs_logits).tolist()):
            logits = self._llama.llama_get_logits_ith(self._pointer, i)
            out[row] = np.ctypeslib.as_array(logits, shape=(self._vocab_size,))
        return out

    def seq_rm(self, sequence: int, first: int, end: int) -> None:
        """See `SequenceCache`."""
        self._llama.llama_memory_seq_rm(self._memory, sequence, first, end)

    def seq_cp(self, source: int, target: int, first: int, end: int) -> None:
        """See `SequenceCache`."""
        self._llama.llama_memory_seq_cp(self._memory, source, target, first, end)

    def seq_get_state(self, sequence: int) -> bytes:
        """See `SequenceCache`."""
        size = self._llama.llama_state_seq_get_size(self._pointer, sequence)
        buffer = (ctypes.c_uint8 * size)()
        written = self._llama.llama_state_seq_get_data(self._pointer, buffer, size, sequence)
        return bytes(memoryview(buffer)[:written])

    def seq_set_state(self, sequence: int, content: bytes | memoryview) -> None:
        """See `SequenceCache`. Raises RuntimeError where the cache doesn't take it."""
        size = len(content)
        buffer = (ctypes.c_uint8 * size).from_buffer_copy(content)
        if self._llama.llama_state_seq_set_data(self._pointer, buffer, size, sequence) == 0:
            raise RuntimeError("llama.cpp does not take back what it gave to keep")

    def close(self) -> None:
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(self._pointer)
