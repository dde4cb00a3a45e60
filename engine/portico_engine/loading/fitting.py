"""What of a model would fit a memory: which quantization, which context.

It owns the sizes of llama.cpp's common quantizations and the sentences for who asked for too much. It measures nothing and
opens no files.
"""

from __future__ import annotations

from typing import NamedTuple

USABLE = 0.9  # of a memory: the rest is the system's
LEAST_CONTEXT = 4096  # tokens, of a quantization that is worth naming


class Quantization(NamedTuple):
    """A file type of llama.cpp's, and what a weight takes in it on average, in bits, small tensors included."""

    name: str
    bits: float


# Best first. Bits as llama.cpp's own table (tools/quantize) has them for Llama 3.1 8B.
QUANTIZATIONS = (
    Quantization("Q8_0", 8.5),
    Quantization("Q6_K", 6.56),
    Quantization("Q5_K_M", 5.7),
    Quantization("Q4_K_M", 4.89),
    Quantization("IQ4_XS", 4.46),
    Quantization("Q3_K_M", 4.0),
    Quantization("Q2_K", 3.17),
)


def fitting_quantization(parameters: int, kv_bytes_per_token: int, memory: int) -> Quantization | None:
    """The best one with which weights and a context of LEAST_CONTEXT fit `memory` bytes; None where none does."""
    room = int(memory * USABLE) - LEAST_CONTEXT * kv_bytes_per_token
    return next((each for each in QUANTIZATIONS if parameters * each.bits / 8 <= room), None)


def fitting_context(weights: int, kv_bytes_per_token: int, memory: int) -> int:
    """The most tokens of KV that fit beside `weights` bytes, in whole thousands (of 1,024); 0 where not even one does."""
    room = int(memory * USABLE) - weights
    return max(0, room // max(1, kv_bytes_per_token) // 1024 * 1024)


def smaller_weights(parameters: int, kv_bytes_per_token: int, memory: int) -> str:
    """How the same model would fit, as the end of a sentence: by which quantization, or that it does by none."""
    found = fitting_quantization(parameters, kv_bytes_per_token, memory)
    if found is not None:
        size = parameters * found.bits / 8 / 2**30
        return f"a GGUF file of it in {found.name} (about {size:.1f} GiB) fits, through llama.cpp or on a GPU of that memory"
    most = max(0.0, memory * USABLE - LEAST_CONTEXT * kv_bytes_per_token) * 8 / QUANTIZATIONS[-1].bits / 1e9
    return f"no quantization of it fits: take a model of at most {most:.1f} billion weights"


def smaller_context(weights: int, kv_bytes_per_token: int, memory: int, asked: int) -> str:
    """What to do where weights fit and a context of `asked` tokens doesn't, as a whole sentence."""
    gib = 2**30
    most = fitting_context(weights, kv_bytes_per_token, memory)
    fits = f"a context of {most} fits" if most else "not even 1,024 tokens fit: take a smaller model"
    return (
        f"{asked} tokens of keys and values take {asked * kv_bytes_per_token / gib:.1f} GiB beside {weights / gib:.1f} GiB of "
        f"weights, and there are {memory / gib:.1f} GiB; {fits}"
    )
