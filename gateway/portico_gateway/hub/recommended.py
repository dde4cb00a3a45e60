"""A short list of models that call tools well for their size, run here with no more than this engine, and may be used freely.

It owns the list and the choice by memory. Sizes and licences are the publishers'; which is better was judged by the publishers'
own reports on tool calls, not measured here, and the list is in that order within what fits.
"""

from __future__ import annotations

from dataclasses import dataclass

_USABLE = 0.75  # of a memory: other programs and the KV of some conversations take the rest
CPU_BYTES = 3_000_000_000  # of a file: each token reads all of it, and a CPU reads some 20 to 50 GB/s
_BESIDE = 1 << 30  # bytes for the program itself and steps


@dataclass(frozen=True, slots=True)
class Recommended:
    """`name` is what `pull` takes, `source` the hub's name for it. `size` is bytes of the file, `weights` how many it holds."""

    name: str
    source: str
    file: str  # its stem, by which it is found once it is here
    size: int
    weights: int
    licence: str

    def needs(self, *, from_codes: bool) -> int:
        """Bytes of memory: about its file's where weights are computed from the file's codes (llama.cpp, a GPU), else two a
        weight.
        """
        return (self.size if from_codes else 2 * self.weights) + _BESIDE

    def fits(self, memory: int, *, from_codes: bool) -> bool:
        return self.needs(from_codes=from_codes) <= memory * _USABLE


def _entry(name: str, source: str, file: str, gigabytes: float, billions: float, licence: str = "Apache-2.0") -> Recommended:
    return Recommended(name, source, file, int(gigabytes * 1e9), int(billions * 1e9), licence)


# Largest first.
RECOMMENDED = (
    _entry("qwen3-32b", "Qwen/Qwen3-32B-GGUF:Q4_K_M", "Qwen3-32B-Q4_K_M", 19.8, 32.8),
    _entry("qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M", "Qwen3-30B-A3B-Q4_K_M", 18.6, 30.5),
    _entry("qwen3-14b", "Qwen/Qwen3-14B-GGUF:Q4_K_M", "Qwen3-14B-Q4_K_M", 9.0, 14.8),
    _entry("qwen3-8b", "Qwen/Qwen3-8B-GGUF:Q4_K_M", "Qwen3-8B-Q4_K_M", 5.0, 8.2),
    _entry("granite-3.3-8b", "ibm-granite/granite-3.3-8b-instruct-GGUF:Q4_K_M", "granite-3.3-8b-instruct-Q4_K_M", 4.9, 8.2),
    _entry("qwen3-4b", "Qwen/Qwen3-4B-GGUF:Q4_K_M", "Qwen3-4B-Q4_K_M", 2.5, 4.0),
    _entry("smollm3-3b", "ggml-org/SmolLM3-3B-GGUF:Q4_K_M", "SmolLM3-Q4_K_M", 1.9, 3.1),
    _entry("qwen3-1.7b", "Qwen/Qwen3-1.7B-GGUF:Q8_0", "Qwen3-1.7B-Q8_0", 1.8, 1.7),
    _entry("qwen3-0.6b", "Qwen/Qwen3-0.6B-GGUF:Q8_0", "Qwen3-0.6B-Q8_0", 0.64, 0.6),
)


def known(name: str) -> Recommended | None:
    """The entry of this name."""
    return next((each for each in RECOMMENDED if each.name == name.lower()), None)


def best_fit(memory: int, *, from_codes: bool, on_gpu: bool) -> Recommended | None:
    """The first of the list that fits `memory` bytes and is not too slow where a CPU runs it; None where none does."""
    quick = [each for each in RECOMMENDED if on_gpu or each.size <= CPU_BYTES]
    return next((each for each in quick if each.fits(memory, from_codes=from_codes)), None)
