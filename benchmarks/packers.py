"""Matrices rounded and packed as quantizing libraries lay them out, for folders that tests and benchmarks write.

Rounding is to nearest, with the scales that each format's own tools start from; what is returned beside the arrays is the
matrix that they stand for by the format's published formula, in float64. Nothing here is taken from the reader's side.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Float = npt.NDArray[np.float64]
NF4 = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
        -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # Dettmers et al. 2023, appendix E  # fmt: skip
MXFP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


class Packed(NamedTuple):
    """A matrix's arrays by the suffix of their names, and what they stand for [out, in]."""

    arrays: dict[str, Tensor]
    values: Float


Packer = Callable[[Float], Packed]


def _rounded(weight: Float, group: int, *, symmetric: bool, bits: int = 4) -> tuple[npt.NDArray[np.int64], Float, Float]:
    """Codes [out, in], scales and zero points [out, groups]; scales are what float16 holds."""
    groups = weight.reshape(weight.shape[0], -1, group)
    most = (1 << bits) - 1
    if symmetric:
        scale = np.abs(groups).max(-1) / (most // 2)
        zero = np.full(scale.shape, float(most // 2 + 1))
    else:
        low, high = np.minimum(groups.min(-1), 0), np.maximum(groups.max(-1), 0)
        scale = (high - low) / most
        zero = np.round(-low / np.maximum(scale, 1e-9)).clip(0, most)
    scale = np.maximum(scale, 1e-6).astype(np.float16).astype(np.float64)
    codes = np.round(groups / scale[..., None] + zero[..., None]).clip(0, most)
    return codes.reshape(weight.shape).astype(np.int64), scale, zero


def _words(fields: npt.NDArray[np.int64], bits: int, axis: int) -> Tensor:
    """32 / bits fields a word along the axis, the first lowest."""
    moved = np.moveaxis(fields, axis, -1)
    n = 32 // bits
    grouped = moved.reshape(*moved.shape[:-1], -1, n).astype(np.uint64)
    words = (grouped << (np.arange(n, dtype=np.uint64) * np.uint64(bits))).sum(-1).astype(np.uint32).view(np.int32)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(words, -1, axis)))


def _half(values: Float) -> Tensor:
    return torch.from_numpy(values).half()


def gptq(group: int = 32, *, bits: int = 4, symmetric: bool = True, act_order: bool = False, v2: bool = False) -> Packer:
    """As AutoGPTQ packs: zero points less one, in its first format."""

    def pack(weight: Float) -> Packed:
        n_in = weight.shape[1]
        order = np.random.default_rng(n_in).permutation(n_in) if act_order else np.arange(n_in)
        codes, scale, zero = _rounded(weight[:, order], group, symmetric=symmetric, bits=bits)
        of = np.empty(n_in, np.int64)
        of[order] = np.arange(n_in) // group
        own = np.empty_like(codes)
        own[:, order] = codes
        stored = (zero.T.astype(np.int64) - (0 if v2 else 1)) & ((1 << bits) - 1)
        arrays = {
            "qweight": _words(own.T, bits, 0),
            "qzeros": _words(stored, bits, 1),
            "scales": _half(scale.T.copy()),
            "g_idx": torch.from_numpy(of).int(),
        }
        return Packed(arrays, (own - zero[:, of]) * scale[:, of])

    return pack


def awq(group: int = 32) -> Packer:
    """As AutoAWQ's gemm kernels want it: a word's nibbles are its columns 0, 2, 4, 6, 1, 3, 5, 7."""

    def pack(weight: Float) -> Packed:
        codes, scale, zero = _rounded(weight, group, symmetric=False)

        def shuffled(fields: npt.NDArray[np.int64]) -> Tensor:
            return _words(fields.reshape(len(fields), -1, 8)[:, :, [0, 2, 4, 6, 1, 3, 5, 7]].reshape(fields.shape), 4, 1)

        arrays = {"qweight": shuffled(codes.T), "qzeros": shuffled(zero.T.astype(np.int64)), "scales": _half(scale.T.copy())}
        return Packed(arrays, (codes - zero.repeat(group, 1)) * scale.repeat(group, 1))

    return pack


def compressed(group: int = 32, *, symmetric: bool = True, act_order: bool = False) -> Packer:
    """compressed-tensors' pack-quantized."""

    def pack(weight: Float) -> Packed:
        n_in = weight.shape[1]
        size = group or n_in
        order = np.random.default_rng(n_in).permutation(n_in) if act_order else np.arange(n_in)
        codes, scale, zero = _rounded(weight[:, order], size, symmetric=symmetric)
        of = np.empty(n_in, np.int64)
        of[order] = np.arange(n_in) // size
        own = np.empty_like(codes)
        own[:, order] = codes
        arrays = {
            "weight_packed": _words(own, 4, 1),
            "weight_scale": _half(scale.copy()),
            "weight_shape": torch.tensor(weight.shape),
        }
        if not symmetric:
            arrays["weight_zero_point"] = _words(zero.astype(np.int64), 4, 0)
        if act_order:
            arrays["weight_g_idx"] = torch.from_numpy(of).int()
        return Packed(arrays, (own - zero[:, of]) * scale[:, of])

    return pack


def int8(weight: Float) -> Packed:
    """compressed-tensors' int-quantized, a scale a row."""
    scale = (np.abs(weight).max(1, keepdims=True) / 127).astype(np.float16).astype(np.float64)
    codes = np.round(weight / scale).clip(-128, 127)
    return Packed({"weight": torch.from_numpy(codes).to(torch.int8), "weight_scale": _half(scale)}, codes * scale)


def float8(kind: str, *, suffix: str = "weight_scale") -> Packer:
    """float8_e4m3fn with a scale a tensor, a channel or a block of 128 by 128."""

    def pack(weight: Float) -> Packed:
        n_out, n_in = weight.shape
        if kind == "tensor":
            scale = np.abs(weight).max(keepdims=True) / 448
        elif kind == "channel":
            scale = np.abs(weight).max(1, keepdims=True) / 448
        else:
            padded = np.zeros((-(-n_out // 128) * 128, -(-n_in // 128) * 128))
            padded[:n_out, :n_in] = np.abs(weight)
            scale = padded.reshape(len(padded) // 128, 128, -1, 128).max((1, 3)) / 448
        scale = scale.astype(np.float32).astype(np.float64)
        wide = scale.repeat(128, 0).repeat(128, 1)[:n_out, :n_in] if kind == "block" else np.broadcast_to(scale, weight.shape)
        stored = torch.from_numpy(weight / wide).float().to(torch.float8_e4m3fn)
        kept = torch.from_numpy(scale).float()
        arrays = {"weight": stored, suffix: kept.view(-1)[:1] if kind == "tensor" else kept}
        return Packed(arrays, stored.double().numpy() * wide)

    return pack


def nf4(block: int = 64, *, nested: bool = True) -> Packer:
    """As bitsandbytes stores it, scales quantized again where `nested`."""

    def pack(weight: Float) -> Packed:
        flat = weight.reshape(-1, block)
        absmax = np.abs(flat).max(1).clip(1e-9).astype(np.float32)
        codes = np.abs(flat[..., None] / absmax[:, None, None] - NF4).argmin(-1).reshape(-1)
        state = {"quant_type": "nf4", "blocksize": block, "dtype": "float16", "shape": list(weight.shape)}
        arrays = {
            "weight": torch.from_numpy((codes[0::2] << 4 | codes[1::2]).astype(np.uint8)).view(-1, 1),
            "weight.quant_map": torch.from_numpy(NF4).float(),
        }
        used = absmax.astype(np.float64)
        if nested:
            offset = np.float32(absmax.mean())
            centred = absmax - offset
            outer_of = np.arange(len(centred)) // 256
            outer = np.array([np.abs(centred[outer_of == i]).max() for i in range(outer_of[-1] + 1)], np.float32)
            table = np.linspace(-1, 1, 256, dtype=np.float32)
            inner = np.abs(centred[:, None] / outer[outer_of, None] - table).argmin(1)
            arrays |= {
                "weight.absmax": torch.from_numpy(inner.astype(np.uint8)),
                "weight.nested_absmax": torch.from_numpy(outer),
                "weight.nested_quant_map": torch.from_numpy(table),
            }
            state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": float(offset)}
            used = table.astype(np.float64)[inner] * outer[outer_of].astype(np.float64) + float(offset)
        else:
            arrays["weight.absmax"] = torch.from_numpy(absmax)
        arrays["weight.quant_state.bitsandbytes__nf4"] = torch.frombuffer(
            bytearray(json.dumps(state).encode()), dtype=torch.uint8
        )
        values = NF4.astype(np.float32).astype(np.float64)[codes].reshape(-1, block) * used[:, None]
        return Packed(arrays, values.reshape(weight.shape))

    return pack


def mxfp4(weight: Float) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Float]:
    """Blocks [out, in / 32, 16], scales [out, in / 32], and what they stand for."""
    groups = weight.reshape(weight.shape[0], -1, 32)
    exponent = np.floor(np.log2(np.abs(groups).max(-1).clip(1e-30))) - 2
    scale = 2.0**exponent
    codes = np.abs(groups[..., None] / scale[..., None, None] - MXFP4).argmin(-1).astype(np.uint8)
    values = (MXFP4[codes] * scale[..., None]).reshape(weight.shape)
    return codes[..., 0::2] | codes[..., 1::2] << 4, (exponent + 127).astype(np.uint8), values


def _scheme(form: str, weights: Mapping[str, object]) -> dict[str, object]:
    return {
        "quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": dict(weights), "input_activations": None}},
    }  # fmt: skip


_INT4 = {"num_bits": 4, "type": "int", "strategy": "group"}
_GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32}
_FLOAT = {"num_bits": 8, "type": "float", "symmetric": True}
_BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
FORMATS: dict[str, tuple[Packer, dict[str, object]]] = {  # and config.json's quantization_config
    "gptq": (gptq(), _GPTQ | {"sym": True}),
    "gptq, act-order": (gptq(act_order=True, symmetric=False), _GPTQ | {"sym": False, "desc_act": True}),
    "gptq, 8 bits, v2": (
        gptq(bits=8, symmetric=False, v2=True), _GPTQ | {"bits": 8, "sym": False, "checkpoint_format": "gptq_v2"},
    ),
    "gptq, 2 bits": (gptq(bits=2, symmetric=False), _GPTQ | {"bits": 2, "sym": False}),
    "awq": (awq(), {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}),
    "int4": (compressed(), _scheme("pack-quantized", _INT4 | {"group_size": 32, "symmetric": True})),
    "int4, asymmetric, act-order": (
        compressed(symmetric=False, act_order=True),
        _scheme("pack-quantized", _INT4 | {"group_size": 32, "symmetric": False, "actorder": "group"}),
    ),
    "int4, channel": (
        compressed(0), _scheme("pack-quantized", _INT4 | {"group_size": None, "strategy": "channel", "symmetric": True}),
    ),
    "int8": (int8, _scheme("int-quantized", {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"})),
    "float8, tensor": (float8("tensor"), _scheme("float-quantized", _FLOAT | {"strategy": "tensor"})),
    "float8, channel": (float8("channel"), _scheme("float-quantized", _FLOAT | {"strategy": "channel"})),
    "float8, blocks": (
        float8("block", suffix="weight_scale_inv"), {"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3"},
    ),
    "nf4": (nf4(nested=False), _BNB),
    "nf4, nested": (nf4(), _BNB | {"bnb_4bit_use_double_quant": True}),
}  # fmt: skip
