"""The packed matrices of Hugging Face checkpoints as codes with scales.

Each method's arrays, by the name that follows its module's in the file, rows being outputs:

    GPTQ        qweight int32 [in / n, out], qzeros int32 [groups, out / n], scales [groups, out], g_idx int32 [in] (n codes a
                word; Frantar et al. 2022, in AutoGPTQ's layout; the group of each input is g_idx's, which act-order shuffles)
    AWQ         qweight int32 [in, out / 8], qzeros int32 [groups, out / 8], scales [groups, out] (Lin et al. 2023, "gemm")
    PACKED      weight_packed int32 [out, in / n], weight_scale [out, groups], weight_zero_point int32 [out / n, groups],
                weight_g_idx int32 [in] (compressed-tensors' "pack-quantized")
    INT8        weight int8 [out, in], weight_scale [out, 1] (compressed-tensors' "int-quantized")
    NF4, FP4    weight uint8 [out in / 2, 1], absmax, quant_map float32 [16]; nested_absmax and nested_quant_map float32 [256]
                where scales are quantized again (Dettmers et al. 2023, in bitsandbytes' layout)
    FP8         weight float8_e4m3fn [out, in], scale [1], [out, 1] or one a block
    MXFP4       blocks uint8 [out, in / 32, 16], scales uint8 [out, in / 32] (OCP Microscaling Formats 1.0)
    TRANSPOSED  weight [in, out], of no codes at all

Plain torch on any device. It knows neither files nor layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

import torch
from torch import Tensor

from portico_engine.quantization.packing import NF4_BLOCK, Packing
from portico_engine.quantization.quantized_matrix import QuantizedMatrix

Arrays = Mapping[str, Tensor]
_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where a word's first, second, ... column is
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
_ALL = slice(None)


def unpack_matrix(arrays: Arrays, packing: Packing, shape: tuple[int, int], rows: slice = _ALL) -> QuantizedMatrix:
    """Some rows of a matrix of the `shape` [out, in] that has codes. Raises ValueError saying what does not fit together."""
    match packing.method:
        case "GPTQ":
            return _gptq(arrays, packing, rows)
        case "AWQ":
            return _awq(arrays, rows)
        case "PACKED":
            return _compressed(arrays, packing, shape, rows)
        case "INT8":
            return QuantizedMatrix(
                arrays["weight"][rows].view(torch.uint8) ^ 128, arrays["weight_scale"][rows].float(), None, 8, 128
            )
        case "NF4" | "FP4":
            return _bitsandbytes(arrays, packing, shape, rows)
        case "MXFP4":
            return _mxfp4(arrays, rows)
    raise ValueError(f"{packing.name} has no codes")


def dequantize_rows(arrays: Arrays, packing: Packing, shape: tuple[int, int], rows: slice = _ALL) -> Tensor:
    """float32 [rows, in]. Raises as `unpack_matrix`."""
    match packing.method:
        case "TRANSPOSED":
            return arrays["weight"][:, rows].T.float()
        case "FP8":
            return float8_rows(arrays["weight"], arrays["scale"], packing, rows)
    return unpack_matrix(arrays, packing, shape, rows).dequantize()


def float8_rows(weight: Tensor, scale: Tensor, packing: Packing, rows: slice = _ALL) -> Tensor:
    """float32 [rows, in] of values in float8 [out, in] and their scales."""
    wide = weight[rows].float()
    if packing.block is None:
        return wide.mul_(scale.float().view(-1, 1) if scale.numel() == 1 else scale.float().view(-1, 1)[rows])
    high, across = packing.block
    of_row = scale.float()[torch.arange(weight.shape[0], device=weight.device)[rows] // high]
    return wide.mul_(of_row.repeat_interleave(across, 1)[:, : weight.shape[1]])


def _gptq(arrays: Arrays, packing: Packing, rows: slice) -> QuantizedMatrix:
    bits = packing.bits
    codes = _fields(arrays["qweight"][:, rows].T.contiguous(), bits)
    scale = arrays["scales"].float().T[rows]
    zeros = (_fields(arrays["qzeros"], bits).T[rows] + packing.zero_shift) & ((1 << bits) - 1)
    return _affine(codes, scale.contiguous(), zeros, bits, arrays.get("g_idx"))


def _awq(arrays: Arrays, rows: slice) -> QuantizedMatrix:
    codes, zeros = (
        _fields(arrays[name], 4).view(len(arrays[name]), -1, 8)[..., list(_AWQ_ORDER)].flatten(1).T[rows]
        for name in ("qweight", "qzeros")
    )
    return _affine(codes.contiguous(), arrays["scales"].float().T[rows].contiguous(), zeros, 4, None)


def _compressed(arrays: Arrays, packing: Packing, shape: tuple[int, int], rows: slice) -> QuantizedMatrix:
    bits, middle = packing.bits, 1 << (packing.bits - 1)
    codes = _fields(arrays["weight_packed"][rows], bits)[:, : shape[1]]
    scale = arrays["weight_scale"].float()[rows]
    packed = arrays.get("weight_zero_point")
    if packed is None:
        zeros = torch.full(scale.shape, middle, dtype=torch.uint8, device=scale.device)
    else:
        zeros = _fields(packed.T.contiguous(), bits).T[: shape[0]][rows]
    return _affine(codes, scale, zeros, bits, arrays.get("weight_g_idx"))


def _bitsandbytes(arrays: Arrays, packing: Packing, shape: tuple[int, int], rows: slice) -> QuantizedMatrix:
    n_out, n_in = shape
    packed = arrays["weight"].view(-1)
    codes = torch.stack([packed >> 4, packed & 15], 1).view(n_out, n_in)[rows]
    absmax = arrays["absmax"]
    if "nested_absmax" in arrays:
        outer = arrays["nested_absmax"].repeat_interleave(packing.nested_block)[: absmax.numel()]
        absmax = arrays["nested_quant_map"][absmax.int()] * outer + packing.nested_offset
    block = packing.group_size or NF4_BLOCK
    group = gcd(block, n_in)  # blocks go on over the ends of rows
    if group < 16:
        raise ValueError(f"blocks of {block} weights don't fit rows of {n_in}")
    scale = absmax.float().repeat_interleave(block // group)[: n_out * n_in // group].view(n_out, -1)[rows]
    return QuantizedMatrix(codes, scale, None, 4, 0, arrays["quant_map"].float())


def _mxfp4(arrays: Arrays, rows: slice) -> QuantizedMatrix:
    blocks = arrays["blocks"][rows]
    codes = torch.stack([blocks & 15, blocks >> 4], -1).reshape(blocks.shape[0], -1)
    scale = torch.exp2(arrays["scales"][rows].float() - 127)
    return QuantizedMatrix(codes, scale, None, 4, 0, torch.tensor(E2M1, device=blocks.device))


def _fields(words: Tensor, bits: int) -> Tensor:
    """int32 [n, m] -> uint8 [n, 32 m / bits]: the fields of each word, the lowest first."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32, device=words.device)
    return ((words.unsqueeze(-1) >> shifts) & ((1 << bits) - 1)).to(torch.uint8).flatten(1)


def _affine(codes: Tensor, scale: Tensor, zeros: Tensor, bits: int, groups: Tensor | None) -> QuantizedMatrix:
    """w = (code - zero) scale; `groups` int32 [in] is the group of each input where they don't just follow each other."""
    n_in, n_groups = codes.shape[1], scale.shape[1]
    if n_in % n_groups:
        raise ValueError(f"{n_in} inputs in {n_groups} groups")
    order: Tensor | None = None
    expected = torch.arange(n_in, device=codes.device) // (n_in // n_groups)
    if groups is not None and not torch.equal(groups.long(), expected):
        order = groups.long().argsort(stable=True)
        if not torch.equal(groups.long()[order], expected):
            raise ValueError("its inputs are in groups of different sizes")
        codes = codes[:, order]
    if bits < 4:  # in the middle of 4: what is added to numbers far from zero would be rounded
        codes, zeros, bits = codes + (8 - (1 << bits - 1)), zeros + (8 - (1 << bits - 1)), 4
    middle = 1 << (bits - 1)
    if bool((zeros == middle).all()):
        return QuantizedMatrix(codes, scale, None, bits, middle, order=order)
    return QuantizedMatrix(codes, scale, -zeros.float() * scale, bits, 0, order=order)
