"""gpt-oss's experts, which a folder holds with gate and up interleaved and all experts in one array.

It owns those names, and the places of each expert's matrices in them: MXFP4 blocks [experts, out, in / 32, 16] with scales, or
numbers [experts, in, out]; biases [experts, out]. It opens no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from portico_engine.quantization.packing import Packing
from portico_engine.weights.model_file import PackedArrays, StoredArray, TensorInfo

_NAME = re.compile(r"model\.layers\.(\d+)\.mlp\.experts\.(gate_up|down)_proj(_blocks|_bias)?")
_BLOCKS, _NUMBERS = Packing("MXFP4", group_size=32), Packing("TRANSPOSED", 16)


class FusedExperts(NamedTuple):
    """Each expert's tensors under GGUF's names, and the names of the arrays that they are in."""

    tensors: dict[str, TensorInfo]
    stored: set[str]


def fused_experts(stored: Iterable[str], array: Callable[[str], StoredArray]) -> FusedExperts:
    """`array` says where an array is."""
    out = FusedExperts({}, set())
    names = set(stored)
    for name in sorted(names):
        match = _NAME.fullmatch(name)
        if match is None or len(array(name).shape) < 2:
            continue
        layer, which, kind = match.groups()
        arrays = {name: array(name)}
        scales = name.removesuffix("_blocks") + "_scales"
        if kind == "_blocks":
            if scales not in names:
                continue
            arrays[scales] = array(scales)
        out.stored.update(arrays)
        for info in _experts(f"blk.{layer}", which, kind, list(arrays.values())):
            out.tensors[info.name] = info
    return out


def _experts(at: str, which: str, kind: str | None, arrays: list[StoredArray]) -> Iterator[TensorInfo]:
    for i in range(arrays[0].shape[0]):
        own = [_nth(array, i) for array in arrays]
        if kind == "_blocks":
            packing, named = _BLOCKS, {"blocks": own[0], "scales": own[1]}
            rows, columns = own[0].shape[0], 32 * (own[0].shape[1] if len(own[0].shape) == 3 else 0)
        elif kind == "_bias":
            packing, rows, columns = _NUMBERS, own[0].shape[0], 1
            named = {"weight": own[0]._replace(shape=(1, rows))}
        else:
            packing, (columns, rows) = _NUMBERS, own[0].shape[:2] if len(own[0].shape) > 1 else (0, 0)
            named = {"weight": own[0]}
        suffix = "bias" if kind == "_bias" else "weight"
        parts = {"ffn_down": slice(None)}
        if which == "gate_up":
            parts = {"ffn_gate": slice(0, rows, 2), "ffn_up": slice(1, rows, 2)}
        for name, taken in parts.items():
            yield _part(f"{at}.{name}.{i}.{suffix}", named, packing, (rows, columns), taken)


def _part(name: str, arrays: Mapping[str, StoredArray], packing: Packing, whole: tuple[int, int], rows: slice) -> TensorInfo:
    first, count = next(iter(arrays.values())), len(range(whole[0])[rows])
    shape = (count,) if name.endswith(".bias") else (count, whole[1])
    return TensorInfo(name, shape, packing, first.offset, first.n_bytes, first.buffer, PackedArrays(arrays, whole, rows))


def _nth(array: StoredArray, i: int) -> StoredArray:
    size = array.n_bytes // array.shape[0]
    return array._replace(shape=array.shape[1:], offset=array.offset + i * size, n_bytes=size)
