"""Matrices that files hold as one and the loader takes as several: stacked experts, fused projections.

It owns the names of both. Parts are places within the whole, so nothing is read or copied here. It knows neither
architectures nor formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from portico_engine.weights.model_file import TensorInfo

_STACKED = re.compile(r"(blk\.\d+\.ffn_(?:gate|up|down))_exps\.(weight|bias)")
_QKV = re.compile(r"(blk\.\d+)\.attn_qkv\.(weight|bias)")
_UP = re.compile(r"(blk\.\d+)\.ffn_up\.weight")


def split_tensors(tensors: Mapping[str, TensorInfo], metadata: Mapping[str, Any]) -> dict[str, TensorInfo]:
    """The same tensors, with parts in place of wholes. The metadata says how many heads there are; what doesn't divide stays
    whole, and the loader will miss its parts.

    `ffn_gate_exps` [experts, out, in] -> `ffn_gate.0`, `ffn_gate.1`, ... as in files of the first mixtures.
    `attn_qkv` -> `attn_q`, `attn_k`, `attn_v`. `ffn_up` of twice the rows that `ffn_down` reads -> `ffn_gate`, `ffn_up`.
    """
    heads = f"{metadata.get('general.architecture')}.attention.head_count"
    n_heads = metadata.get(heads)
    n_kv_heads = metadata.get(f"{heads}_kv", n_heads)
    out: dict[str, TensorInfo] = {}
    for info in tensors.values():
        for part in _parts(info, tensors, n_heads, n_kv_heads):
            out[part.name] = part
    return out


def _parts(info: TensorInfo, tensors: Mapping[str, TensorInfo], n_heads: object, n_kv_heads: object) -> Iterator[TensorInfo]:
    if (match := _STACKED.fullmatch(info.name)) and len(info.shape) == (3 if match[2] == "weight" else 2):
        for i in range(info.shape[0]):
            part = info.part(f"{match[1]}.{i}.{match[2]}", i, 1)
            yield replace(part, shape=part.shape[1:])
    elif (match := _QKV.fullmatch(info.name)) and (head := _head_dim(info, n_heads, n_kv_heads)):
        at, kind = match.groups()
        first = 0
        for name, heads in (("attn_q", n_heads), ("attn_k", n_kv_heads), ("attn_v", n_kv_heads)):
            assert isinstance(heads, int)
            yield info.part(f"{at}.{name}.{kind}", first, head * heads)
            first += head * heads
    elif (match := _UP.fullmatch(info.name)) and _holds_gate(info, tensors.get(f"{match[1]}.ffn_down.weight")):
        half = info.shape[0] // 2
        yield info.part(f"{match[1]}.ffn_gate.weight", 0, half)
        yield info.part(info.name, half, half)
    else:
        yield info


def _head_dim(qkv: TensorInfo, n_heads: object, n_kv_heads: object) -> int:
    """0 where the rows are no whole heads."""
    if not isinstance(n_heads, int) or not isinstance(n_kv_heads, int) or n_heads < 1 or n_kv_heads < 1:
        return 0
    head, rest = divmod(qkv.shape[0], n_heads + 2 * n_kv_heads)
    return 0 if rest else head


def _holds_gate(up: TensorInfo, down: TensorInfo | None) -> bool:
    return down is not None and len(up.shape) == len(down.shape) == 2 and up.shape[0] == 2 * down.shape[1]
