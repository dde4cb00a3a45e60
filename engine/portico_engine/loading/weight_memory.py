"""What a model's weights take on a device, from the headers alone, in the forms that its loader makes of them.

It owns the arithmetic, matrix by matrix as `models.weight_loader` stacks them: bfloat16 and codes beside it on a CPU, tiles of
codes on a GPU. Tests hold it against what was loaded. It reads no weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from portico_engine.models.config import DecoderConfig
from portico_engine.quantization.packing import NF4_BLOCK, Packing
from portico_engine.weights.model_file import ModelFile, TensorInfo

_STACKED = re.compile(r"(blk\.\d+)\.(?:attn_(?:q|k|v|q_a|kv_a_mqa)|(ffn)_(?:gate|up)((?:\.\d+|_shexp)?))\.weight")
_EXPERT = re.compile(r"blk\.(\d+)\.ffn_(gate|up|down)\.\d+\.weight")
_FLOAT32 = re.compile(r".*\.(?:ffn_gate_inp|ffn_gate_inp_shexp|shortconv\.conv)\.weight")
_DENSE = re.compile(r".*\.attn_(?:kv_b|k_b|v_b)\.weight")
_CPU_GROUPS, _GPU_GROUPS = (32, 64, 128, 256), (16, 32, 64, 128)  # columns with one scale that products take
_KERNEL_GROUPS = (16, 32, 64, 128, 256)
CPUCodes: TypeAlias = Literal["kernels", "torch"]
_TILE_ROWS, _TILE_COLUMNS = 16, 128


class _Codes(NamedTuple):
    """How a matrix's codes are kept: bits, columns with one scale, whether with offsets, or by a table."""

    bits: int
    group: int
    offsets: bool = False
    table: bool = False


def cpu_codes() -> CPUCodes | None:
    """By what this machine computes from codes; None where it doesn't."""
    from portico_engine.kernels.cpu.build import KernelsUnavailable, find_library
    from portico_engine.linear.int4 import int4_supported

    try:
        find_library()
    except KernelsUnavailable:
        return "torch" if int4_supported() else None
    return "kernels"


def cpu_weights(file: ModelFile, config: DecoderConfig, *, codes: CPUCodes | None) -> int:
    """Bytes in this machine's memory: bfloat16, and beside it what the kernels, or torch's 4-bit product, read."""
    tied = "output.weight" not in file.tensors

    def linear(stack: Sequence[TensorInfo]) -> int:
        weights = sum(prod(info.shape) for info in stack)
        only_rows = stack[0].name == "token_embd.weight" and not tied
        if codes is None or only_rows or not _all_quantized(stack) or any(info.shape[0] % 16 for info in stack):
            return 2 * weights
        if codes == "kernels":
            return 2 * weights + sum(_planes(info) for info in stack)
        kept = [_codes_of(info, _CPU_GROUPS) for info in stack]
        terms = max(1 if one.bits == 4 and not one.table else 2 for one in kept)
        return 2 * weights + terms * (weights // 2 + 4 * weights // min(one.group for one in kept))

    return _sum(file, linear)


def _planes(info: TensorInfo) -> int:
    """As `kernels.cpu.product` packs a matrix: planes of 4 bits, scales and offsets in float16."""
    weights, form = prod(info.shape), _codes_of(info, _KERNEL_GROUPS)
    planes = 1 if form.bits == 4 else 2
    return weights // 2 * planes + weights // form.group * (4 if form.offsets else 2)


def gpu_weights(file: ModelFile, config: DecoderConfig, *, copies: bool, host_layers: int = 0) -> int:
    """Bytes on a GPU: codes where there are some, and with `copies` bfloat16 beside them; else bfloat16, or float8. Experts of
    the last `host_layers` are not on it.
    """
    untied = "output.weight" in file.tensors
    in_host = range(config.n_layers - host_layers, config.n_layers)
    experts: dict[tuple[int, bool], list[TensorInfo]] = {}

    def linear(stack: Sequence[TensorInfo]) -> int:
        if match := _EXPERT.fullmatch(stack[0].name):
            experts.setdefault((int(match[1]), match[2] == "down"), []).extend(stack)
            return 0
        return _gpu_linear(stack, copies=copies and not (stack[0].name == "token_embd.weight" and untied))

    alone = _sum(file, linear)
    return alone + sum(_gpu_experts(infos) for (layer, _), infos in experts.items() if layer not in in_host)


def gpu_expert_weights(file: ModelFile) -> dict[int, int]:
    """What the experts of each layer with a mixture take as codes, by layer; none where they have no codes, which alone can be
    read from another memory than the GPU's.
    """
    experts: dict[tuple[int, bool], list[TensorInfo]] = {}
    for info in file.tensors.values():
        if match := _EXPERT.fullmatch(info.name):
            experts.setdefault((int(match[1]), match[2] == "down"), []).append(info)
    if not all(_all_quantized(infos) for infos in experts.values()):
        return {}
    return {i: sum(_gpu_experts(experts[i, down]) for down in (False, True)) for i in sorted({i for i, _ in experts})}


def _sum(file: ModelFile, linear: Callable[[Sequence[TensorInfo]], int]) -> int:
    """Over vectors and stacks of matrices."""
    total = 0
    stacks: dict[object, list[TensorInfo]] = {}
    for info in file.tensors.values():
        if len(info.shape) < 2 or _FLOAT32.fullmatch(info.name):
            total += prod(info.shape) * (2 if info.name.endswith(".bias") else 4)
        elif _DENSE.fullmatch(info.name):
            total += 2 * prod(info.shape)
        else:
            match = _STACKED.fullmatch(info.name)
            stacks.setdefault(info.name if match is None else match.groups(), []).append(info)
    return total + sum(linear(stack) for stack in stacks.values())


def _gpu_linear(stack: Sequence[TensorInfo], *, copies: bool) -> int:
    weights = sum(prod(info.shape) for info in stack)
    if all(isinstance(info.type, Packing) and info.type.method == "FP8" for info in stack):
        return weights + sum(_float8_scales(info) for info in stack)
    if not _all_quantized(stack):
        return 2 * weights
    read = [(_codes_of(info, _GPU_GROUPS), info) for info in stack]
    tiled = 0
    for form, alike in groupby(read, lambda one: one[0]):
        shapes = [info.shape for _, info in alike]
        tiled += _tiled(sum(shape[0] for shape in shapes), shapes[0][1], form)
    return tiled + (2 * weights if copies else 0)


def _gpu_experts(infos: Sequence[TensorInfo]) -> int:
    """All of a layer's, in one matrix."""
    rows, columns = sum(info.shape[0] for info in infos), infos[0].shape[1]
    if not _all_quantized(infos) or infos[0].shape[0] % _TILE_ROWS:
        return 2 * rows * columns
    forms = {_codes_of(info, _GPU_GROUPS) for info in infos}
    return _tiled(rows, columns, forms.pop() if len(forms) == 1 else _Codes(8, 32))


def _tiled(rows: int, columns: int, form: _Codes) -> int:
    """Tiles of codes, and of scales in float16 (`kernels.quantized_layout`)."""
    group, offsets = form.group, form.offsets
    if group == _TILE_COLUMNS and not offsets:
        group, offsets = (group // 2, False) if form.table else (group, True)
    padded = -(-rows // _TILE_ROWS) * _TILE_ROWS * -(-columns // _TILE_COLUMNS) * _TILE_COLUMNS
    return padded * form.bits // 8 + padded // group * (4 if offsets else 2)


def _all_quantized(stack: Sequence[TensorInfo]) -> bool:
    from portico_engine.quantization.block_formats import is_quantized

    return all(is_quantized(info.type) for info in stack)


def _codes_of(info: TensorInfo, groups: Sequence[int]) -> _Codes:
    """As `WeightLoader.quantized` reads a matrix."""
    from portico_engine.quantization.block_formats import FORMATS

    kind = info.type
    if not isinstance(kind, Packing):
        form = FORMATS.get(kind)
        if form is None or form.group_size not in groups:
            return _Codes(8, 32)
        return _Codes(form.bits, form.group_size, form.has_offsets, form.table is not None)
    table = kind.method in ("NF4", "FP4", "MXFP4")
    own = 32 if kind.method == "MXFP4" else kind.group_size or (NF4_BLOCK if table else info.shape[1])
    fitting = [size for size in groups if own % size == 0]
    bits = 8 if kind.method == "INT8" else kind.bits
    return _Codes(bits, max(fitting), not (kind.symmetric or table), table) if fitting else _Codes(8, 32)


def _float8_scales(info: TensorInfo) -> int:
    """float32, a row, or a block."""
    assert isinstance(info.type, Packing)
    if info.type.block is None:
        return 4 * info.shape[0]
    return 4 * -(-info.shape[0] // info.type.block[0]) * -(-info.shape[1] // info.type.block[1])
