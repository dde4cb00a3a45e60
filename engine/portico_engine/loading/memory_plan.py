"""What a device's memory goes to: weights, what a step needs for itself, and all the rest to keys and values.

It owns the arithmetic, in bytes, and its one line for people. It measures nothing and knows no devices.
"""

from __future__ import annotations

from dataclasses import dataclass

from portico_engine.executors.protocol import Sizes
from portico_engine.models.config import DecoderConfig
from portico_engine.plan import BLOCK_TOKENS

_OVERHEAD = 512 << 20  # of libraries' workspaces, captured graphs and the allocator's gaps
_GATHERED = 1 << 17  # tokens of KV that one layer of a prefill gathers, at most
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


def scratch_bytes(config: DecoderConfig, step_tokens: int, max_rows: int) -> int:
    """What the largest step takes beside weights and KV: activations of `step_tokens` tokens, the KV that a prefill gathers, a
    quantized matrix in bfloat16, logits of `max_rows` rows and what sampling makes of them.
    """
    hidden, wide = config.hidden, max(config.feed_forward, config.hidden)
    activations = step_tokens * (4 * 3 * hidden + 2 * (config.n_heads + 2 * config.n_kv_heads) * config.head_dim + 2 * 3 * wide)
    gathered = 3 * min(config.context_length, _GATHERED) * 2 * config.n_kv_heads * config.head_dim * 2
    matrix = 2 * max(config.vocab_size * hidden, 2 * wide * hidden)
    return activations + gathered + matrix + max_rows * config.vocab_size * _LOGIT_BYTES + _OVERHEAD


def _gib(n: int) -> str:
    return f"{n / 2**30:.1f} GiB"
