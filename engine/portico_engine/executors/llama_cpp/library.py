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
from portico_engine.executors.llama_cpp.attention import Attention

MAX_SEQUENCES = 256  # llama.cpp's own bound
ALL_LAYERS = 9999
_BATCH = 512  # tokens of one call
_FLASH = {"auto": -1, "off": 0, "on": 1}  # llama.cpp's numbers
_TYPES = {"f16": 1, "q8_0": 8}  # ggml's
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


def n_threads() -> int:
    """As many as OMP_NUM_THREADS says, else as this process has processors."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if said.isdigit() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def version() -> str:
    return importlib.metadata.version("llama-cpp-python")


class LlamaModel:
    """A loaded model."""

    def __init__(
        self, path: Path, progress: Callable[[float], None], *, gpu_layers: int = 0, host_tensors: str | None = None
    ) -> None:
        """`gpu_layers` from the last, the head counted as one more, go to a GPU where this build has one, but for tensors whose
        names the pattern `host_tensors` finds. Raises ModelError where llama.cpp can't load it.
        """
        llama = self.llama = library()
        self.on_gpu = gpu_layers > 0 and bool(llama.llama_supports_gpu_offload())
        self.place = f"gpu-{gpu_layers}-{host_tensors or ''}" if self.on_gpu else "cpu"  # where numbers are rounded

        def report(fraction: float, _user: Any) -> bool:
            progress(fraction)
            return True

        params = llama.llama_model_default_params()
        params.use_extra_bufts = False
        params.n_gpu_layers = gpu_layers if self.on_gpu else 0
        if host_tensors is not None:
            overrides = _host_overrides(host_tensors)
            params.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p)
        params.progress_callback = llama.llama_progress_callback(report)
        self.pointer = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise ModelError(f"{path}: llama.cpp {version()} can't load this model; the log has its reason")
        self.is_recurrent = bool(
            llama.llama_model_is_recurrent(self.pointer) or llama.llama_model_is_hybrid(self.pointer)
        )  # nothing can be cut off of what a sequence has read
        self.vocab_size = int(llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.pointer)))

    def close(self) -> None:
        self.llama.llama_model_free(self.pointer)


class LlamaContext:
    """A unified cache of `n_cells` for `n_sequences`, at most MAX_SEQUENCES. Implements `SequenceCache`.

    What `seq_get_state` gives comes back to the bit.
    """

    def __init__(self, model: LlamaModel, n_cells: int, n_sequences: int, attention: Attention) -> None:
        """Raises ModelError where there isn't the memory."""
        llama = self._llama = model.llama
        options = llama.llama_context_default_params()
        # It bounds a batch, and with fewer tokens than sequences llama.cpp aborts.
        self.n_cells = options.n_ctx = max(n_cells, _BATCH)
        options.n_batch = options.n_ubatch = _BATCH
        options.n_seq_max = n_sequences
        options.n_threads = options.n_threads_batch = n_threads()
        options.flash_attn_type = _FLASH[attention.flash]
        options.type_k = options.type_v = _TYPES[attention.kv_type]
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

    def seq_get_state(self, sequence: int) -> memoryview:
        """See `SequenceCache`."""
        buffer = np.empty(self._llama.llama_state_seq_get_size(self._pointer, sequence), np.uint8)
        written = self._llama.llama_state_seq_get_data(self._pointer, _bytes_at(buffer), buffer.size, sequence)
        return buffer.data[:written]

    def seq_set_state(self, sequence: int, content: bytes | memoryview) -> None:
        """See `SequenceCache`. Raises RuntimeError where the cache doesn't take it."""
        buffer = np.frombuffer(content, np.uint8)
        if self._llama.llama_state_seq_set_data(self._pointer, _bytes_at(buffer), buffer.size, sequence) == 0:
            raise RuntimeError("llama.cpp does not take back what it gave to keep")

    def close(self) -> None:
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(self._pointer)


def _bytes_at(buffer: npt.NDArray[np.uint8]) -> Any:
    """Where its content is, as C wants it."""
    return buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


class _Override(ctypes.Structure):
    """llama.cpp's `llama_model_tensor_buft_override`."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


def _host_overrides(pattern: str) -> ctypes.Array[_Override]:
    """This machine's memory for tensors whose names the pattern finds; ended as C wants it."""
    return (_Override * 2)(_Override(pattern.encode(), ggml().ggml_backend_cpu_buffer_type()), _Override(None, None))


@cache
def ggml() -> Any:
    """ggml's library, as llama-cpp-python has it, with the types of what is called in it."""
    from llama_cpp._ggml import libggml

    for name in ("ggml_backend_dev_get", "ggml_backend_cpu_buffer_type"):
        getattr(libggml, name).restype = ctypes.c_void_p
    libggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    libggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    libggml.ggml_backend_dev_description.restype = ctypes.c_char_p
    return libggml
