"""How a model is to be loaded: what a user may ask for, and the sizes that come of it.

It owns the options with their defaults and bounds, and how much KV memory allows. It knows no files and no devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from portico_engine.errors import RequestError
from portico_engine.executors.llama_cpp.attention import KVType
from portico_engine.executors.protocol import OffloadDtype, Offloading, Sizes
from portico_engine.kv.disk import DEFAULT_MAX_BYTES
from portico_engine.loading.fitting import USABLE, smaller_context
from portico_engine.request import Pooling
from portico_engine.speculation import MOST_DRAFTS

EXECUTORS = ("auto", "torch", "torch-cpu", "torch-cuda", "llama_cpp")
MIN_CONTEXT = 64
MOST_ROWS = 256
MOST_ADAPTERS, MOST_RANK = 32, 512
MOST_DEVICES = 16
ROWS = 16  # where nothing is said and memory is not to be filled
LoadProgress = Callable[[str, float], None]  # (stage, fraction of it)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What `load_engine` takes besides the path. Raises RequestError for a value that makes no sense for any model.

    `executor` "auto" takes torch on an NVIDIA GPU where there is one, else on the CPU, and llama.cpp for what torch has no
    decoder or no memory for; the others leave less choice. llama.cpp can crash a process: it is for `EngineProcess`. `context`
    None takes the model's own, as far as memory allows. `memory` is the share of a GPU's free memory that is used, for as many
    rows and as much KV as fit; None, and any CPU, has rows and KV for a few conversations. The KV of prefixes that requests ask
    to `keep`, or that came again and again, survives this process in `kv_dir`, which grows to `kv_dir_bytes`; None keeps
    nothing. `kv_host_bytes` of this machine's memory hold KV for which a GPU has no room; on a CPU they do nothing.
    `kv_offload_dtype` is what KV becomes there and in `kv_dir`: "int8" takes about half the room of "bf16", and changes it a
    little. `adapters` is room for so many LoRA adapters at once, of ranks up to `adapter_rank`: on a GPU that memory is taken
    when the model is loaded, and each step computes them. `chat_template` stands in the model's place; `pooling` is what
    embeddings are made by, None by the model's own, or the mean. `speculation` is how
    many tokens of a greedy answer may be guessed in a step, from where the same words stood before. `devices` is over how many
    GPUs of this machine torch spreads the model, a process each: that is for `EngineProcess`, since the end of one of them is
    the end of all. `expert_parallel` deals a mixture's experts out to them whole, in place of splitting each.
    `kv_type` is what llama.cpp stores keys and values as, 16 bits a number or 8 and a half; torch's executors have bfloat16.
    """

    executor: str = "auto"
    context: int | None = None
    max_rows: int | None = None
    memory: float | None = None
    kv_tokens: int | None = None
    kv_dir: Path | None = None
    kv_dir_bytes: int = DEFAULT_MAX_BYTES
    kv_host_bytes: int = 0
    kv_offload_dtype: OffloadDtype = "bf16"
    adapters: int = 0
    adapter_rank: int = 64
    chat_template: str | None = None
    pooling: Pooling | None = None
    speculation: int = 0
    devices: int = 1
    expert_parallel: bool = False
    kv_type: KVType = "f16"

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise RequestError(f"executor is {self.executor!r}; it must be one of {', '.join(EXECUTORS)}")
        if self.max_rows is not None and not 1 <= self.max_rows <= MOST_ROWS:
            raise RequestError(f"max_rows is {self.max_rows}; it must be from 1 to {MOST_ROWS}")
        if self.memory is not None and not 0 < self.memory <= 1:
            raise RequestError(f"memory is {self.memory}; it must be a share of the GPU's, over 0 and at most 1")
        if self.kv_dir_bytes < 1:
            raise RequestError(f"kv_dir_bytes is {self.kv_dir_bytes}; it must be at least 1 (kv_dir None keeps nothing)")
        if self.kv_host_bytes < 0:
            raise RequestError(f"kv_host_bytes is {self.kv_host_bytes}; it must not be negative (0 keeps nothing there)")
        if self.kv_offload_dtype not in get_args(OffloadDtype):
            raise RequestError(
                f"kv_offload_dtype is {self.kv_offload_dtype!r}; it must be one of {', '.join(get_args(OffloadDtype))}"
            )
        if not 0 <= self.adapters <= MOST_ADAPTERS:
            raise RequestError(f"adapters is {self.adapters}; it must be from 0 to {MOST_ADAPTERS}")
        if not 0 <= self.speculation <= MOST_DRAFTS:
            raise RequestError(f"speculation is {self.speculation}; it must be from 0 (off) to {MOST_DRAFTS}")
        if not 1 <= self.devices <= MOST_DEVICES:
            raise RequestError(f"devices is {self.devices}; it must be from 1 to {MOST_DEVICES}")
        if self.expert_parallel and self.devices == 1:
            raise RequestError("expert_parallel deals experts out to several devices, and devices is 1; give 2 or more")
        if self.kv_type not in get_args(KVType):
            raise RequestError(f"kv_type is {self.kv_type!r}; it must be one of {', '.join(get_args(KVType))}")
        if self.kv_type != "f16" and self.executor != "llama_cpp":
            raise RequestError(
                f"kv_type is {self.kv_type}; only executor llama_cpp stores KV so, and executor is {self.executor}"
            )
        if not 1 <= self.adapter_rank <= MOST_RANK:
            raise RequestError(f"adapter_rank is {self.adapter_rank}; it must be from 1 to {MOST_RANK}")

    def offloading(self, *, to_host: bool) -> Offloading:
        """How KV leaves each device, `to_host` where that is another memory than this machine's."""
        return Offloading(self.kv_offload_dtype, self.kv_host_bytes // self.devices if to_host else 0)

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> LoadOptions:
        """Raises TypeError naming what is no option, and the options."""
        names = [field.name for field in fields(cls)]
        unknown = [name for name in keywords if name not in names]
        if unknown:
            raise TypeError(f"no option is called {', '.join(unknown)}; the options are {', '.join(names)}")
        return cls(**keywords)


def check_kv(options: LoadOptions, sizes: Sizes, weights: int, kv_bytes_per_token: int, memory: int) -> None:
    """Raises RequestError where the user asks for more KV than there is memory for (bytes), saying how much there is."""
    name, asked = ("kv_tokens", options.kv_tokens) if options.kv_tokens else ("context", options.context)
    if asked and weights + sizes.kv_tokens * kv_bytes_per_token > memory * USABLE:
        raise RequestError(f"{name} is {asked}: {smaller_context(weights, kv_bytes_per_token, memory, sizes.kv_tokens)}")


def choose_sizes(options: LoadOptions, *, longest: int, kv_bytes_per_token: int, memory: int, contexts: int) -> Sizes:
    """What the user didn't say is kept within a quarter of the memory (bytes), and KV at `contexts` conversations' worth.

    `longest` is the model's own context. Raises RequestError for a context or KV that this model can't have.
    """
    return _sizes(options, longest, max(MIN_CONTEXT, memory // 4 // kv_bytes_per_token), contexts, ROWS)


def fill_memory(options: LoadOptions, *, longest: int, kv_bytes_per_token: int, kv_bytes: int) -> Sizes:
    """What the user didn't say is as much as `kv_bytes` hold, up to a context for each of MOST_ROWS rows. Raises as
    `choose_sizes`.
    """
    return _sizes(options, longest, max(MIN_CONTEXT, kv_bytes // kv_bytes_per_token), options.max_rows or MOST_ROWS, MOST_ROWS)


def _sizes(options: LoadOptions, longest: int, affordable: int, contexts: int, rows: int) -> Sizes:
    """`affordable`: tokens of KV."""
    context, kv = options.context, options.kv_tokens
    if context is None:
        context = min(longest, affordable)
    elif not MIN_CONTEXT <= context <= longest:
        raise RequestError(f"context is {context}; this model takes from {MIN_CONTEXT} to {longest} tokens")
    if kv is None:
        kv = max(context, min(contexts * context, affordable))
    elif kv < context:
        raise RequestError(f"kv_tokens is {kv}; it must hold at least one context, {context} tokens")
    return Sizes(context, kv, options.max_rows or rows)
