"""A model file on llama.cpp: its sizes, what of it goes to a GPU, how attention is computed; and the executor for all that.

It owns these choices; the arithmetic is `llama_plan`'s and `attention`'s, what the machine has `devices`'.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import NamedTuple

from portico_engine.errors import AdapterError, ModelError, RequestError
from portico_engine.executors.llama_cpp.attention import Attention, choose_attention
from portico_engine.executors.llama_cpp.devices import Backend, backend
from portico_engine.executors.llama_cpp.embedding import ENCODERS, LlamaEmbeddingExecutor
from portico_engine.executors.llama_cpp.executor import LlamaCppExecutor
from portico_engine.executors.protocol import Executor, Sizes
from portico_engine.loading.device import memory_bytes
from portico_engine.loading.llama_plan import (
    NOTHING,
    ModelBytes,
    Offload,
    describe_memory,
    head_sizes,
    is_recurrent,
    kv_bytes_per_token,
    plan_offload,
)
from portico_engine.loading.options import LoadOptions, LoadProgress, check_kv, choose_sizes
from portico_engine.plan import BLOCK_TOKENS
from portico_engine.request import Pooling
from portico_engine.weights.model_file import ModelFile

_log = logging.getLogger(__name__)
_SAVED_CONTEXTS = 3  # conversations' worth of KV that is kept beside that of running ones, memory allowing


class LlamaPlan(NamedTuple):
    """How llama.cpp is to run a model. `state_bytes`: see `LlamaCppExecutor`; `memory` is the plan in a line."""

    sizes: Sizes
    attention: Attention
    offload: Offload
    state_bytes: int
    memory: str


def plan_llama(file: ModelFile, options: LoadOptions, found: Backend, vocab_size: int) -> LlamaPlan:
    """By the file's headers, on these devices. Raises ModelError for a file that llama.cpp doesn't read, RequestError for sizes
    that can't be.
    """
    if file.path.is_dir():
        raise ModelError(f"{file.path} is a folder; executor llama_cpp reads GGUF files only")
    arch = file.get("general.architecture", str)
    host, free = memory_bytes(), sum(gpu.free for gpu in found.gpus)
    attention = choose_attention(options.kv_type, on_gpu=bool(free), head_sizes=head_sizes(file, arch))
    per_token = max(1, int(kv_bytes_per_token(file, arch) * attention.kv_share))
    recurrent = is_recurrent(file, arch)
    longest = file.get(f"{arch}.context_length", int)
    contexts = 2 if recurrent else 1  # a state that is scored from is copied whole
    sizes = choose_sizes(options, longest=longest, kv_bytes_per_token=per_token, memory=free or host, contexts=contexts)
    check_kv(options, sizes, file.size, per_token, host + free)
    offload = NOTHING
    lines = {}
    if free:
        model = ModelBytes.of(file)
        kv = sizes.blocks * BLOCK_TOKENS * per_token
        offload = plan_offload(model, free=free, kv_bytes=kv, vocab_size=vocab_size)
        lines["offload"] = offload.describe(len(model.layers), ", ".join(gpu.name for gpu in found.gpus))
        if not offload.layers:
            attention = choose_attention(options.kv_type, on_gpu=False, head_sizes=head_sizes(file, arch))
    if not recurrent:
        room = host // 2 // per_token - 2 * sizes.kv_tokens
        sizes = replace(sizes, saved_tokens=max(0, min(_SAVED_CONTEXTS * sizes.context_length, room)))
    lines["attention"] = attention.describe()
    return LlamaPlan(sizes, attention, offload, host // 8, describe_memory(sizes, per_token, host, file.size, lines))


def load_llama(
    file: ModelFile, options: LoadOptions, *, vocab_size: int, pooling: Pooling | None, progress: LoadProgress
) -> tuple[Executor, str | None]:
    """The executor, and the memory plan of one that writes text. Raises ModelError, AdapterError, RequestError."""
    if options.adapters:
        raise AdapterError(
            "executor llama_cpp takes no adapters: all rows of one of its steps have the same; executor torch does, for a "
            "model that it has a decoder for"
        )
    if options.kv_offload_dtype != "bf16":
        raise RequestError(
            f"executor llama_cpp keeps keys and values in a form of its own (kv_type): kv_offload_dtype is "
            f"{options.kv_offload_dtype!r}, and must be 'bf16' for it"
        )
    progress("weights", 0.0)
    arch = file.get("general.architecture", str)
    if arch in ENCODERS and not file.path.is_dir():
        longest = file.get(f"{arch}.context_length", int)
        context = min(options.context or longest, longest)
        encoder = LlamaEmbeddingExecutor.load(
            file.path, context, pooling=options.pooling, vocab_size=vocab_size, progress=progress
        )
        return encoder, None
    plan = plan_llama(file, options, backend(), vocab_size)
    _log.info("memory of %s: %s", file.path.name, plan.memory)
    executor = LlamaCppExecutor.load(
        file.path,
        plan.sizes,
        plan.attention,
        gpu_layers=plan.offload.layers,
        host_tensors=plan.offload.host_tensors,
        vocab_size=vocab_size,
        long_rope="rope_factors_long.weight" in file.tensors,
        pooling=pooling,
        state_bytes=plan.state_bytes,
        progress=progress,
    )
    return executor, plan.memory
