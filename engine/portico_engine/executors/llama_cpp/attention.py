"""How llama.cpp computes attention, and as what it stores keys and values: the rule, and the line that says it.

It owns the choice. It knows neither llama.cpp's names for it nor models, but for the sizes of their heads.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple, TypeAlias

from portico_engine.errors import RequestError

KVType: TypeAlias = Literal["f16", "q8_0"]
FlashAttention: TypeAlias = Literal["off", "on", "auto"]  # auto: where every layer's device has a kernel for it
_BITS: dict[KVType, float] = {"f16": 16, "q8_0": 8.5}
_Q8_BLOCK = 32  # weights that share a scale


class Attention(NamedTuple):
    """`reason` says why, for people."""

    flash: FlashAttention
    kv_type: KVType
    reason: str

    def describe(self) -> str:
        """One line."""
        return f"flash attention {self.flash}: {self.reason}; keys and values in {self.kv_type}"

    @property
    def kv_share(self) -> float:
        """Of the bytes that keys and values take in 16 bits."""
        return _BITS[self.kv_type] / 16


def choose_attention(kv_type: KVType, *, on_gpu: bool, head_sizes: Collection[int]) -> Attention:
    """`head_sizes` are those of keys and of values. Raises RequestError where heads can't be stored as asked.

    Values of 8 bits can only be read by flash attention. Otherwise a GPU's kernels for it are faster and take less memory, and
    on a CPU it is slower than plain products (benchmarks/llama_context.py).
    """
    if kv_type == "q8_0":
        if odd := [size for size in head_sizes if size % _Q8_BLOCK]:
            raise RequestError(f"kv_type is q8_0, which stores {_Q8_BLOCK} numbers together; this model's heads have {odd[0]}")
        return Attention("on", kv_type, "values of 8 bits are read by nothing else")
    if on_gpu:
        return Attention("auto", kv_type, "on wherever the GPU has a kernel for this model's heads")
    return Attention("off", kv_type, "plain products are faster on a CPU")
