"""What a model's weights are stored as, and what products with them run from here: one line for people."""

from __future__ import annotations

from collections import Counter
from math import prod

from portico_engine.quantization.packing import Packing
from portico_engine.weights.model_file import ModelFile

_SHOWN = 3
_LEAST = 0.005  # share of the weights


def describe_weights(file: ModelFile, *, cuda: bool, codes: bool, copies: bool) -> str:
    """`codes`: does this device compute from codes? `copies`: are there copies in bfloat16 beside them on a GPU?"""
    from portico_engine.quantization.block_formats import is_quantized

    stored: Counter[str] = Counter()
    runs: set[str] = set()
    for tensor in file.tensors.values():
        if len(tensor.shape) < 2:
            continue
        stored[tensor.type.name] += prod(tensor.shape)
        if cuda and isinstance(tensor.type, Packing) and tensor.type.method == "FP8":
            runs.add("float8")
        elif codes and is_quantized(tensor.type):
            runs.add("codes, and for many tokens from bfloat16" if copies or not cuda else "codes")
        else:
            runs.add("bfloat16")
    total = max(stored.total(), 1)
    shares = [f"{name} {n / total:.0%}" for name, n in stored.most_common(_SHOWN) if n / total >= _LEAST]
    return f"{', '.join(shares)}; computed from {'; '.join(sorted(runs, reverse=True))}"
