"""Matrices that a folder holds as several arrays each, presented as one tensor.

It owns which names belong together, for each method of `quantization.packing`. Names are the folder's; what they are in GGUF is
`hugging_face`'s. Nothing is unpacked here.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from portico_engine.errors import ModelError
from portico_engine.quantization.packing import Packing
from portico_engine.weights.model_file import PackedArrays, StoredArray, TensorInfo
from portico_engine.weights.quantization_config import bitsandbytes_packing

# The names of a module's arrays by method; the first is what a matrix is known by.
_SUFFIXES = {
    "GPTQ": ("qweight", "qzeros", "scales", "g_idx"),
    "AWQ": ("qweight", "qzeros", "scales"),
    "PACKED": ("weight_packed", "weight_scale", "weight_zero_point", "weight_g_idx", "weight_shape"),
    "INT8": ("weight", "weight_scale"),
    "FP8": ("weight", "weight_scale_inv", "weight_scale"),
    "NF4": (
        "weight", "weight.absmax", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map",
        "weight.quant_state.bitsandbytes__nf4", "weight.quant_state.bitsandbytes__fp4",
    ),
}  # fmt: skip
_SUFFIXES["FP4"] = _SUFFIXES["NF4"]
_NEEDED = {"GPTQ": 3, "AWQ": 3, "PACKED": 2, "INT8": 2, "FP8": 1, "NF4": 3, "FP4": 3}  # the first of them
_UNREAD = ("input_scale", "output_scale", "k_scale", "v_scale", "kv_scale", "input_global_scale")  # activations' own


class PackedModule(NamedTuple):
    """The names of a matrix's arrays, by suffix."""

    module: str
    arrays: dict[str, str]


def packed_modules(stored: Iterable[str], packing: Packing) -> list[PackedModule]:
    """The modules that have all arrays that the method needs. Others are stored as they would be without it."""
    names = set(stored)
    suffixes = _SUFFIXES[packing.method]
    out = []
    for name in sorted(names):
        if not name.endswith(f".{suffixes[0]}"):
            continue
        module = name.removesuffix(f".{suffixes[0]}")
        arrays = {suffix: at for suffix in suffixes if (at := f"{module}.{suffix}") in names}
        if arrays.keys() >= set(suffixes[: _NEEDED[packing.method]]) and len(arrays) > 1:
            out.append(PackedModule(module, arrays))
    return out


def is_unread(name: str) -> bool:
    """Is it for quantized activations, which are not computed?"""
    return name.rpartition(".")[2] in _UNREAD


def packed_info(
    name: str, arrays: Mapping[str, StoredArray], packing: Packing, buffers: Sequence[mmap.mmap | bytes], what: str
) -> TensorInfo:
    """A packed matrix as one tensor. Raises ModelError where its arrays can't be one."""
    arrays = dict(arrays)
    codes = next(iter(arrays.values()))
    if packing.method in ("NF4", "FP4"):
        states = [arrays.pop(key) for key in list(arrays) if ".quant_state." in key]
        if not states:
            raise ModelError(f"{what} has no quant_state: the folder was not saved by bitsandbytes")
        state = buffers[states[0].buffer][states[0].offset : states[0].offset + states[0].n_bytes]
        packing, shape = bitsandbytes_packing(state, packing, what)
        arrays = {key.removeprefix("weight."): array for key, array in arrays.items()}
        if codes.n_bytes * 2 != shape[0] * shape[1]:
            raise ModelError(f"{what} has {codes.n_bytes} bytes of codes for a shape of {shape}; download it again")
    else:
        shape = _shape(arrays, packing, what)
    if packing.method == "FP8":
        arrays = {"weight": arrays["weight"], "scale": arrays.get("weight_scale_inv") or arrays["weight_scale"]}
    return TensorInfo(name, shape, packing, codes.offset, codes.n_bytes, codes.buffer, PackedArrays(arrays, shape))


def _shape(arrays: Mapping[str, StoredArray], packing: Packing, what: str) -> tuple[int, int]:
    """[out, in]. Raises ModelError where an array has another number of dimensions."""
    codes, fields = next(iter(arrays.values())), 32 // packing.bits
    if len(codes.shape) != 2:
        raise ModelError(f"{what}: its codes have the shape {codes.shape}, not two dimensions")
    rows, columns = codes.shape
    match packing.method:
        case "GPTQ":
            return columns, rows * fields
        case "AWQ":
            return columns * fields, rows
        case "PACKED":
            return rows, columns * fields
    return rows, columns
