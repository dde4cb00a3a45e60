"""Whether an adapter is for this model: its matrices beside the decoder's own.

It owns which of a decoder's matrices an adapter may change and the refusal of what doesn't fit them. It knows no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from portico_engine.adapters.adapter import Adapter, LowRank, StoredAdapter
from portico_engine.errors import AdapterError
from portico_engine.models.config import DecoderConfig
from portico_engine.models.rotary_order import rotary_order

_LAYER = re.compile(r"blk\.(\d+)\.(\w+)")


class _Shape(NamedTuple):
    """A matrix of a decoder layer. `heads` where its rows are rotated."""

    n_out: int
    n_in: int
    heads: int = 0


def fit(stored: StoredAdapter, config: DecoderConfig, most_rank: int) -> Adapter:
    """The adapter as this decoder applies it. Raises AdapterError naming the first matrix that doesn't fit, and how."""
    shapes = _shapes(config)
    out: dict[str, LowRank] = {}
    for name, whole in stored.matrices.items():
        for part, matrix in _parts(name, whole, config):
            shape = _shape(stored, name, part, config, shapes)
            _check(stored, name, matrix, shape, most_rank)
            out[part] = LowRank(matrix.a, _in_order(matrix.b, shape, config, stored))
    return Adapter(stored.path, stored.base, out, stored.prompts)


def check_size(path: Path, tensor: str, shape: tuple[int, ...], config: DecoderConfig, most_rank: int) -> None:
    """Before a tensor is read: may it be a part of an adapter for this model at all? Raises AdapterError."""
    fused = (config.n_heads + 2 * config.n_kv_heads) * config.head_dim
    widest = max(fused, config.hidden, 2 * config.feed_forward)
    narrowest = max(4 * most_rank, 1024)  # what is a little over the limit on ranks is told by name, once it is read
    if len(shape) != 2 or max(shape) > widest or min(shape) > narrowest:
        raise AdapterError(
            f"{path}: the tensor {tensor} has the shape {shape}; it must be a matrix of an adapter for this model, "
            f"at most {widest} by {most_rank}"
        )


def _shapes(config: DecoderConfig) -> Mapping[str, _Shape]:
    queries, values = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    attention = {
        "attn_q": _Shape(queries, config.hidden, config.n_heads),
        "attn_k": _Shape(values, config.hidden, config.n_kv_heads),
        "attn_v": _Shape(values, config.hidden),
        "attn_output": _Shape(config.hidden, queries),
    }
    if config.experts is not None:
        return attention
    wide = _Shape(config.feed_forward, config.hidden)
    return attention | {"ffn_gate": wide, "ffn_up": wide, "ffn_down": _Shape(config.hidden, config.feed_forward)}


def _parts(name: str, matrix: LowRank, config: DecoderConfig) -> Iterator[tuple[str, LowRank]]:
    """A fused projection as the matrices that the decoder takes it for: all read the same input, so A is theirs in common."""
    queries, values = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    at, _, kind = name.rpartition(".")
    sizes = {name: len(matrix.b)}
    if kind == "attn_qkv":
        sizes = {f"{at}.attn_q": queries, f"{at}.attn_k": values, f"{at}.attn_v": values}
    elif kind == "ffn_up" and len(matrix.b) == 2 * config.feed_forward:
        sizes = {f"{at}.ffn_gate": config.feed_forward, f"{at}.ffn_up": config.feed_forward}
    if sum(sizes.values()) != len(matrix.b):
        sizes = {name: len(matrix.b)}
    first = 0
    for part, size in sizes.items():
        yield part, LowRank(matrix.a, matrix.b[first : first + size])
        first += size


def _shape(stored: StoredAdapter, name: str, part: str, config: DecoderConfig, shapes: Mapping[str, _Shape]) -> _Shape:
    what = f"{stored.path}: it changes {stored.labels[name]}"
    if config.latent is not None:
        raise AdapterError(f"{what} ({name}); a model with latent attention (MLA) takes no adapters here")
    match = _LAYER.fullmatch(part)
    if match is None or match[2] not in shapes:
        can = ", ".join(shapes)
        reason = ""
        if name in ("token_embd", "output"):
            reason = " (embedding and head are not, tied or not)"
        elif config.experts is not None and name.startswith("blk.") and ".ffn_" in name:
            reason = " (the experts of a mixture are not)"
        raise AdapterError(f"{what} ({name}); what an adapter can change here is {can}{reason}")
    if int(match[1]) >= config.n_layers:
        raise AdapterError(f"{what}, but the model has {config.n_layers} layers{_made_for(stored)}")
    if config.conv_layers and config.conv_layers[int(match[1])]:
        others = ", ".join(str(i) for i, conv in enumerate(config.conv_layers) if not conv)
        raise AdapterError(
            f"{what} ({name}), a layer with a short convolution; an adapter can change those with attention: {others}"
        )
    return shapes[match[2]]


def _check(stored: StoredAdapter, name: str, matrix: LowRank, shape: _Shape, most_rank: int) -> None:
    label = stored.labels[name]
    for side, values in (("A", matrix.a), ("B", matrix.b)):
        rank = matrix.rank
        expected = (rank, shape.n_in) if side == "A" else (shape.n_out, rank)
        if values.shape != expected:
            raise AdapterError(
                f"{stored.path}: the {side} of {label} has the shape {values.shape}; "
                f"this model calls for {expected}{_made_for(stored)}"
            )
        if not np.isfinite(values).all():
            raise AdapterError(f"{stored.path}: the {side} of {label} holds numbers that are none (NaN or infinite)")
    if not 1 <= matrix.rank <= most_rank:
        raise AdapterError(
            f"{stored.path}: {label} is of rank {matrix.rank}; this engine takes up to {most_rank} (adapter_rank)"
        )


def _made_for(stored: StoredAdapter) -> str:
    return (
        f"; the adapter was made for {stored.base}" if stored.base else "; the adapter doesn't say which model it was made for"
    )


def _in_order(b: np.ndarray, shape: _Shape, config: DecoderConfig, stored: StoredAdapter) -> np.ndarray:
    if not shape.heads:
        return b
    interleaved = stored.interleaves_rotary and config.interleaves_rotary
    order = rotary_order(config, shape.heads, interleaved=interleaved)
    return b if order is None else b[order]
