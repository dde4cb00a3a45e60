"""The quantization_config of a Hugging Face config.json: how each matrix of the folder is packed.

It owns the methods' names and settings, and the refusal of what can't be read. It opens no files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portico_engine.errors import ModelError
from portico_engine.quantization.packing import Packing

SUPPORTED = "GPTQ, AWQ, compressed-tensors (packed integers, int8, float8), bitsandbytes (4 bits), FP8 and MXFP4"
_FLOAT8 = ("fp8", "fbgemm_fp8")


def read_packing(config: Mapping[str, Any], path: Path) -> Packing | None:
    """How the folder's packed matrices are stored; None where it has none. Raises ModelError for another method or settings
    than are supported.
    """
    quantization = config.get("quantization_config", config.get("compression_config"))
    if not quantization:
        return None
    if not isinstance(quantization, dict):
        raise ModelError(f"{path}: quantization_config in config.json is no object")
    method = str(quantization.get("quant_method", "?"))
    if method == "gptq":
        return _gptq(quantization, path)
    if method == "awq":
        return _awq(quantization, path)
    if method == "compressed-tensors":
        return _compressed(quantization, path)
    if method == "bitsandbytes" and quantization.get("load_in_4bit", quantization.get("_load_in_4bit")):
        return Packing("FP4" if quantization.get("bnb_4bit_quant_type") == "fp4" else "NF4")
    if method in _FLOAT8:
        return Packing("FP8", 8, block=_block(quantization.get("weight_block_size"), path))
    if method == "mxfp4":
        return Packing("MXFP4", group_size=32)
    raise ModelError(
        f"{path} is quantized as {method.upper()} (quantization_config in config.json), which is not supported; "
        f"{SUPPORTED} are: take one of those, the model's original weights, or a GGUF file"
    )


def bitsandbytes_packing(state: bytes, packing: Packing, what: str) -> tuple[Packing, tuple[int, int]]:
    """What a matrix's own quant_state says, JSON: its packing and its shape. Raises ModelError."""
    try:
        value = json.loads(state)
        rows, columns = (int(n) for n in value["shape"])
        packing = packing._replace(
            method="FP4" if value.get("quant_type") == "fp4" else "NF4",
            group_size=int(value["blocksize"]),
            nested_block=int(value.get("nested_blocksize", packing.nested_block)),
            nested_offset=float(value.get("nested_offset", 0.0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{what}: its quant_state is damaged; download it again") from None
    return packing, (rows, columns)


def _gptq(settings: Mapping[str, Any], path: Path) -> Packing:
    bits = _bits(settings.get("bits"), (2, 4, 8), path)
    shift = 0 if settings.get("checkpoint_format") == "gptq_v2" else 1
    return Packing(
        "GPTQ", bits, _group(settings.get("group_size")), zero_shift=shift, symmetric=bool(settings.get("sym", True))
    )


def _awq(settings: Mapping[str, Any], path: Path) -> Packing:
    version = str(settings.get("version", "gemm")).lower()
    if version != "gemm":
        raise ModelError(f"{path}: AWQ's version {version!r} (quantization_config in config.json) is not supported; 'gemm' is")
    bits = _bits(settings.get("bits", settings.get("w_bit")), (4,), path)
    return Packing("AWQ", bits, _group(settings.get("group_size", settings.get("q_group_size"))), symmetric=False)


def _compressed(settings: Mapping[str, Any], path: Path) -> Packing:
    groups = settings.get("config_groups")
    schemes = [scheme for scheme in groups.values() if isinstance(scheme, dict)] if isinstance(groups, dict) else []
    if not schemes:
        raise ModelError(f"{path}: quantization_config in config.json has no config_groups")
    packings = {_scheme(scheme, scheme.get("format") or settings.get("format"), path) for scheme in schemes}
    if len(packings) > 1:
        raise ModelError(
            f"{path}: matrices of {len(packings)} kinds (config_groups in config.json) are not supported; one kind is"
        )
    return packings.pop()


def _scheme(scheme: Mapping[str, Any], form: object, path: Path) -> Packing:
    weights = scheme.get("weights")
    if not isinstance(weights, dict):
        raise ModelError(f"{path}: config_groups in config.json say nothing of weights")
    kind, strategy = weights.get("type"), weights.get("strategy")
    if form == "pack-quantized" and kind == "int":
        bits = _bits(weights.get("num_bits"), (2, 4, 8), path)
        return Packing("PACKED", bits, _group(weights.get("group_size")), symmetric=bool(weights.get("symmetric", True)))
    if (
        form in ("int-quantized", "naive-quantized")
        and kind == "int"
        and weights.get("symmetric", True)
        and strategy == "channel"
    ):
        _bits(weights.get("num_bits"), (8,), path)
        return Packing("INT8", 8)
    if form in ("float-quantized", "naive-quantized") and kind == "float" and strategy in ("tensor", "channel", "block"):
        _bits(weights.get("num_bits"), (8,), path)
        return Packing("FP8", 8, block=_block(weights.get("block_structure"), path) if strategy == "block" else None)
    raise ModelError(
        f"{path}: compressed-tensors' format {form!r} with {kind} weights, a scale a {strategy}, is not supported; "
        "'pack-quantized' integers, 'int-quantized' by channel and 'float-quantized' are"
    )


def _bits(value: object, allowed: tuple[int, ...], path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise ModelError(
            f"{path}: {value!r} bits a weight (quantization_config in config.json) are not supported; "
            f"{' or '.join(map(str, allowed))} are"
        )
    return value


def _group(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _block(value: object, path: Path) -> tuple[int, int] | None:
    match value:
        case None:
            return None
        case [int(high), int(across)] if high > 0 and across > 0:
            return high, across
    raise ModelError(f"{path}: blocks of {value!r} (quantization_config in config.json) make no sense; [128, 128] would")
