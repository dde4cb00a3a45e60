"""What a device's memory goes to: weights, what a step needs for itself, and all the rest to keys and values.

It owns the arithmetic, in bytes, and its one line for people. It measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple

from portico_engine.errors import UnsupportedModel
from portico_engine.executors.protocol import Sizes
from portico_engine.loading.device import Device
from portico_engine.loading.fitting import smaller_weights
from portico_engine.loading.options import MIN_CONTEXT
from portico_engine.loading.weight_memory import cpu_codes, cpu_weights, gpu_expert_weights, gpu_weights
from portico_engine.models.config import DecoderConfig
from portico_engine.plan import BLOCK_TOKENS
from portico_engine.weights.model_file import ModelFile

_OVERHEAD = 512 << 20  # of libraries' workspaces, captured graphs and the allocator's gaps
_GATHERED = 1 << 17  # tokens of KV that one layer of a prefill gathers, at most
_FILLED, _FILLED_BESIDE_HOST = 0.9, 0.75  # shares of a memory that weights may take, the second where some stay outside
_GPU_STEP, _HOST_STEP = 8192, 256  # tokens of an executor's largest step
_PINNED = 0.7  # share of this machine's memory
_LOGIT_BYTES = 48  # of a logit while a token is drawn from it: float32, its mask, its weight, float64 sums, sorted copies


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes on one device. `free` is what there was at first, `share` what of it may be used."""

    free: int
    share: float
    weights: int
    scratch: int

    @property
    def for_kv(self) -> int:
        """What is left for keys and values; may be less than nothing."""
        return int(self.free * self.share) - self.weights - self.scratch

    def describe(self, sizes: Sizes, kv_bytes_per_token: int) -> str:
        """One line."""
        kv = sizes.blocks * BLOCK_TOKENS * kv_bytes_per_token
        return (
            f"weights {_gib(self.weights)}, KV {_gib(kv)} for {sizes.kv_tokens} tokens "
            f"({sizes.kv_tokens / sizes.context_length:.1f} contexts of {sizes.context_length}), "
            f"{_gib(self.scratch)} for steps of {sizes.max_rows} rows, of {_gib(self.free)} free"
        )


def describe_host(memory: int, weights: int, sizes: Sizes, config: DecoderConfig) -> str:
    """One line about the memory of a machine without a GPU, in bytes: KV takes it as it is first written."""
    kv = sizes.blocks * BLOCK_TOKENS * config.kv_bytes_per_token
    steps = step_memory(config, cuda=False).needed(sizes.context_length, sizes.max_rows)
    return (
        f"weights {_gib(weights)}, KV up to {_gib(kv)} for {sizes.kv_tokens} tokens "
        f"({sizes.kv_tokens / sizes.context_length:.1f} contexts of {sizes.context_length}), "
        f"{_gib(steps)} for steps of {sizes.max_rows} rows, of {_gib(memory)}"
    )


def scratch_bytes(config: DecoderConfig, step_tokens: int, max_rows: int) -> int:
    """What the largest step takes beside weights and KV: activations of `step_tokens` tokens, the KV that a prefill gathers, a
    quantized matrix in bfloat16, logits of `max_rows` rows and what sampling makes of them.
    """
    hidden, wide = config.hidden, max(config.feed_forward, config.hidden)
    activations = step_tokens * (4 * 3 * hidden + 2 * (config.n_heads + 2 * config.n_kv_heads) * config.head_dim + 2 * 3 * wide)
    gathered = 3 * min(config.context_length, _GATHERED) * 2 * config.n_kv_heads * config.head_dim * 2
    matrix = 2 * max(config.vocab_size * hidden, 2 * wide * hidden)
    return activations + gathered + matrix + max_rows * config.vocab_size * _LOGIT_BYTES + _OVERHEAD


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Bytes beside weights and KV: of any step, of each position of a context, and of each row."""

    fixed: int
    per_position: int
    per_row: int

    def needed(self, context: int, rows: int) -> int:
        """At most, by steps of so many rows over contexts of this length."""
        return self.fixed + context * self.per_position + rows * self.per_row


def step_memory(config: DecoderConfig, *, cuda: bool) -> StepMemory:
    """Of the largest step, and the cosines and sines of all positions. On a CPU a step has activations of its tokens, a matrix
    in the order that products like best, a mask, the KV that a row gathers where its blocks are no neighbours, and all rows'
    logits.
    """
    tables = 2 if config.local_rope is not None and any(config.windows) else 1
    rotary = tables * 2 * 4 * config.head_dim
    if cuda:
        return StepMemory(scratch_bytes(config, _GPU_STEP, 0), rotary, config.vocab_size * _LOGIT_BYTES)
    wide, heads = max(config.feed_forward, config.hidden), config.n_heads + 2 * config.n_kv_heads
    activations = _HOST_STEP * (4 * 3 * config.hidden + 2 * heads * config.head_dim + 2 * 3 * wide)
    gathered = 2 * 2 * config.n_kv_heads * config.head_dim
    mask = 2 * config.group * _HOST_STEP
    matrix = 2 * 2 * wide * config.hidden
    return StepMemory(activations + matrix + config.vocab_size * _LOGIT_BYTES, rotary + gathered + mask, 6 * config.vocab_size)


def n_parameters(file: ModelFile) -> int:
    """Of all tensors."""
    return sum(prod(tensor.shape) for tensor in file.tensors.values())


class Placement(NamedTuple):
    """Where weights go. `second`: there is memory for a second form of them, on a CPU codes beside bfloat16, on a GPU bfloat16
    beside codes. `host_layers`: the experts of so many layers, from the last, stay in this machine's memory beside a GPU.
    """

    second: bool
    host_layers: int = 0


def placement(path: Path, config: DecoderConfig, file: ModelFile, device: Device, host_memory: int) -> Placement:
    """Where this model's weights go. Raises ModelError where there is no room for them."""
    memory, parameters = device.memory, n_parameters(file)
    first, second = weight_bytes(file, config, device)
    needed = first + MIN_CONTEXT * config.kv_bytes_per_token
    if needed <= memory * _FILLED:
        return Placement(needed + second < memory * 0.6)
    experts = gpu_expert_weights(file) if device.cuda else {}
    host, over = 0, needed - memory * _FILLED_BESIDE_HOST
    for layers, n_bytes in enumerate(reversed(experts.values()), 1):
        host += n_bytes
        if host >= over and host <= host_memory * _PINNED:
            return Placement(False, layers)
    raise UnsupportedModel(
        f"{path} has {parameters / 1e9:.1f} billion weights, which take {needed / 2**30:.0f} GiB in memory; "
        f"{device.name} has {memory / 2**30:.0f} GiB: {smaller_weights(parameters, config.kv_bytes_per_token, memory)}"
    )


def weight_bytes(file: ModelFile, config: DecoderConfig, device: Device) -> tuple[int, int]:
    """How much the form of the weights takes that there is on any account, and the second one."""
    if device.cuda:
        first = gpu_weights(file, config, copies=False)
        return first, gpu_weights(file, config, copies=True) - first
    first = cpu_weights(file, config, codes=None)
    return first, cpu_weights(file, config, codes=cpu_codes()) - first


def _gib(n: int) -> str:
    return f"{n / 2**30:.1f} GiB"
