"""What of a model llama.cpp computes on a GPU, and what its keys and values take: by bytes, before anything is loaded.

Everything on the GPU where it fits. Of a mixture that doesn't, the experts of as few layers as possible stay in this machine's
memory (most of the weights, of which a token reads a few); of another model whole layers do. It owns the arithmetic and its
line for people. It measures nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from portico_engine.errors import ModelError
from portico_engine.executors.protocol import Sizes
from portico_engine.plan import BLOCK_TOKENS
from portico_engine.weights.model_file import ModelFile

_LAYER = re.compile(r"blk\.(\d+)\.")
_EXPERTS = re.compile(r"blk\.\d+\.ffn_\w+?(?:_exps\.|\.\d+\.)")
_STATEFUL = ("ssm", "shortconv", "wkv", "kda", "token_shift")  # prefixes of metadata of layers with states
_SHARE = 0.95  # of a GPU's free memory
_SCRATCH = 512 << 20  # of graphs, workspaces and the allocator's gaps, beside logits
_STEP_TOKENS = 512


class LayerBytes(NamedTuple):
    """Weights of one layer: all but experts, and experts."""

    dense: int
    experts: int


class ModelBytes(NamedTuple):
    """Weights by layer, and of what comes behind the last one (the head, which may be the embedding once more)."""

    layers: tuple[LayerBytes, ...]
    head: int

    @classmethod
    def of(cls, file: ModelFile) -> ModelBytes:
        """By the file's headers."""
        sizes = {name: tensor.n_bytes for name, tensor in file.tensors.items()}
        layers: dict[int, list[int]] = {}
        for name, size in sizes.items():
            if (found := _LAYER.match(name)) is not None:
                layers.setdefault(int(found[1]), [0, 0])[_EXPERTS.match(name) is not None] += size
        head = sizes.get("output.weight", sizes.get("token_embd.weight", 0)) + sizes.get("output_norm.weight", 0)
        return cls(tuple(LayerBytes(*layers[layer]) for layer in sorted(layers)), head)


@dataclass(frozen=True, slots=True)
class Offload:
    """Which part of a model goes to a GPU: its last `layers`, and the head where that is one more than it has. `host_experts`
    are layers among them whose experts stay in this machine's memory.
    """

    layers: int
    host_experts: tuple[int, ...] = ()

    @property
    def host_tensors(self) -> str | None:
        """A pattern of the names of tensors that stay in this machine's memory."""
        if not self.host_experts:
            return None
        return rf"blk\.({'|'.join(map(str, self.host_experts))})\.ffn_(up|down|gate|gate_up)_(ch|)exps"

    def describe(self, n_layers: int, where: str) -> str:
        """One line."""
        if not self.layers:
            return f"nothing on {where}: it has no memory for a layer"
        if self.layers <= n_layers:
            return f"{self.layers} of {n_layers} layers on {where}, the first ones on the CPU"
        if self.host_experts:
            return f"all layers on {where}, the experts of {len(self.host_experts)} of {n_layers} in this machine's memory"
        return f"all layers on {where}"


NOTHING = Offload(0)


def plan_offload(model: ModelBytes, *, free: int, kv_bytes: int, vocab_size: int) -> Offload:
    """What fits `free` bytes of a GPU. `kv_bytes` are the KV's of all layers, which lies where its layer is."""
    n = len(model.layers)
    room = int(free * _SHARE) - _SCRATCH - _STEP_TOKENS * vocab_size * 4
    whole = model.head + sum(map(sum, model.layers)) + kv_bytes
    if whole <= room:
        return Offload(n + 1)
    host: list[int] = []
    for layer in reversed(range(n)):
        if not model.layers[layer].experts:
            continue
        host.append(layer)
        whole -= model.layers[layer].experts
        if whole <= room:
            return Offload(n + 1, tuple(sorted(host)))
    count = 0
    for weights in reversed(model.layers):
        room -= sum(weights) + kv_bytes // n
        if room < 0:
            break
        count += 1
    return Offload(count + (count == n and room >= model.head))


def kv_bytes_per_token(file: ModelFile, arch: str) -> int:
    """Of float16 keys and values, by the metadata: of layers that say that they have none, none; what llama.cpp leaves out
    otherwise is counted. Raises ModelError where the metadata says no numbers.
    """
    layers = file.get(f"{arch}.block_count", int)
    every = _counts(file, f"{arch}.attention.head_count_kv") or _counts(file, f"{arch}.attention.head_count") or [0]
    heads = sum(every) if len(every) > 1 else layers * every[0]
    return max(1, 2 * heads * sum(head_sizes(file, arch)))


def head_sizes(file: ModelFile, arch: str) -> tuple[int, int]:
    """Of keys and of values; (0, 0) for a model without attention. Raises as `kv_bytes_per_token`."""
    n_heads = max(_counts(file, f"{arch}.attention.head_count") or [0])
    usual = file.get(f"{arch}.embedding_length", int, 0) // n_heads if n_heads else 0
    key, value = (file.get(f"{arch}.attention.{name}_length", int, usual) for name in ("key", "value"))
    return key, value


def is_recurrent(file: ModelFile, arch: str) -> bool:
    """Has it layers whose memory is a state, by its metadata? llama.cpp's own word comes with its weights."""
    return any(key.startswith(tuple(f"{arch}.{kind}." for kind in _STATEFUL)) for key in file.metadata)


def _counts(file: ModelFile, key: str) -> list[int]:
    """A number, or one for each layer; none where nothing is said."""
    found = np.atleast_1d(np.asarray(file.metadata.get(key, [])))
    if found.size and not (np.issubdtype(found.dtype, np.integer) and found.min() >= 0):
        raise ModelError(f"{file.path}: {key} is {str(file.metadata[key])[:80]!r}, not a number of heads")
    return [int(count) for count in found]


def describe_memory(sizes: Sizes, kv_bytes_per_token: float, memory: int, weights: int, extra: Mapping[str, str]) -> str:
    """One line: what llama.cpp's context holds, what is saved beside it, in bytes; then `extra` in its order."""
    kv = sizes.blocks * BLOCK_TOKENS * kv_bytes_per_token
    saved = (sizes.blocks + sizes.saved_blocks) * BLOCK_TOKENS * kv_bytes_per_token
    line = (
        f"weights {_gib(weights)}, KV {_gib(kv)} for {sizes.kv_tokens} tokens of running requests "
        f"({sizes.kv_tokens / sizes.context_length:.1f} contexts of {sizes.context_length}), up to {_gib(saved)} for what they "
        f"leave, of {_gib(memory)}"
    )
    return "; ".join((line, *extra.values()))


def _gib(n: float) -> str:
    return f"{n / 2**30:.1f} GiB"
