"""A folder as PEFT saves LoRA adapters: adapter_config.json and adapter_model.safetensors.

It owns PEFT's keys, its names of tensors, its scales, and the refusal of what is more than B A beside a matrix. Which model it
fits is `fit`'s. Pickled weights are never opened: reading one runs what it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from portico_engine.adapters.adapter import PROMPTS, LowRank, Matrix, StoredAdapter
from portico_engine.adapters.fit import check_size
from portico_engine.errors import AdapterError, ModelError
from portico_engine.models.config import DecoderConfig
from portico_engine.weights.json_file import read_json
from portico_engine.weights.safetensors_file import SafetensorsFile

CONFIG, WEIGHTS, _PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
_TENSOR = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
# What makes an adapter more than B A beside a matrix, with the value that stands for its absence.
_UNSUPPORTED: Mapping[str, tuple[str, tuple[object, ...]]] = {
    "use_dora": ("DoRA, which also scales the rows of W", (False, None)),
    "use_qalora": ("QA-LoRA, which pools its inputs", (False, None)),
    "bias": ("biases beside the matrices", ("none", None)),
    "lora_bias": ("biases beside the matrices", (False, None)),
    "modules_to_save": ("whole modules in place of the model's", (None, [])),
    "trainable_token_indices": ("rows of the embedding", (None, [], {})),
    "layer_replication": ("layers that are there several times", (None, [])),
    "target_parameters": ("parameters that are no linear layer's", (None, [])),
    "alora_invocation_tokens": ("an adapter that begins in mid-prompt", (None, [])),
    "use_bdlora": ("BD-LoRA, whose matrices are block-diagonal", (None, False)),
    "kasa_config": ("KaSA, which has singular values between A and B", (None,)),
    "monteclora_config": ("MonteCLoRA, which draws its weights", (None,)),
    "arrow_config": ("Arrow, which routes tokens among several adapters", (None,)),
    "fan_in_fan_out": ("transposed matrices", (False, None)),
}

_LARGEST = 1e6  # alpha; what is trained has some tens
_LONGEST, _REPETITIONS = 1000, 3  # characters of a pattern, repetitions in it
_REPETITION, _REPEATED_GROUP = re.compile(r"[*+?{]"), re.compile(r"\)\s*[*+?{]")
_CHANGE_BASE = ("pissa", "olora", "corda", "lora_ga")  # initializations that take from W what A and B begin with


def read_peft_folder(path: Path, config: DecoderConfig, most_rank: int) -> StoredAdapter:
    """Raises AdapterError naming the file, and the tensor or key in it, where it can't be applied."""
    if not (path / WEIGHTS).exists() and (path / _PICKLED).exists():
        raise AdapterError(
            f"{path / _PICKLED} is a pickle, which can run any code when it is read, and is not opened; "
            f"save the adapter as {WEIGHTS}"
        )
    try:
        about = read_json(path / CONFIG)
        file = SafetensorsFile(path / WEIGHTS)
        base = str(about.get("base_model_name_or_path") or "")
        _check_kind(path, about)
        found = _pairs(file, config, base, most_rank)
    except AdapterError:
        raise
    except ModelError as error:
        raise AdapterError(str(error)) from None
    matrices = {
        name: LowRank(a, b * np.float32(_scale(path, about, module, a.shape[0]))) for name, (module, a, b) in found.items()
    }
    labels = {name: module for name, (module, _, _) in found.items()}
    prompts = str(file.metadata.get(PROMPTS, ""))
    return StoredAdapter(path, base, matrices, labels, interleaves_rotary=False, prompts=prompts)


def _check_kind(path: Path, about: Mapping[str, Any]) -> None:
    kind = about.get("peft_type")
    if kind != "LORA":
        raise AdapterError(f"{path / CONFIG}: peft_type is {kind!r}; only LORA is supported")
    for key, (what, absent) in _UNSUPPORTED.items():
        if about.get(key) not in absent:
            raise AdapterError(f"{path / CONFIG}: {key} is {about[key]!r}: {what}, which is not supported")
    start = about.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(_CHANGE_BASE):
        raise AdapterError(
            f"{path / CONFIG}: init_lora_weights is {start!r}: it was trained beside a changed base; "
            "save it for the original one, with PEFT's path_initial_model_for_weight_conversion"
        )


def _pairs(file: SafetensorsFile, config: DecoderConfig, base: str, most_rank: int) -> dict[str, tuple[str, Matrix, Matrix]]:
    """The module, A and B by GGUF's name."""
    sides: dict[str, dict[str, Matrix]] = {}
    for stored in file.stored:
        match = _TENSOR.fullmatch(stored)
        if match is None:
            raise AdapterError(f"{file.path}: the tensor {stored} is no part of a LoRA matrix (lora_A, lora_B), not supported")
        sides.setdefault(match["module"], {})[match["side"]] = _read(file, stored, config, most_rank)
    if not sides:
        raise AdapterError(f"{file.path} holds no tensors")
    names = gguf.get_tensor_name_map(
        {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}[config.architecture], config.n_layers
    )
    out: dict[str, tuple[str, Matrix, Matrix]] = {}
    for module, pair in sides.items():
        missing = [side for side in "AB" if side not in pair]
        if missing:
            raise AdapterError(f"{file.path}: the tensor {module}.lora_{missing[0]}.weight is missing")
        name = names.get_name(module)
        if name is None:
            raise AdapterError(
                f"{file.path}: it changes {module}, which is no module of this {config.architecture} model of "
                f"{config.n_layers} layers; it was made for {base or 'a model that it does not name'}"
            )
        out[name] = module, pair["A"], pair["B"]
    return out


def _scale(path: Path, about: Mapping[str, Any], module: str, rank: int) -> float:
    """alpha / r, or alpha / sqrt(r) for rank-stabilized LoRA (Kalajdzievski 2023); patterns give modules an alpha of theirs."""
    alpha = about.get("lora_alpha")
    patterns = about.get("alpha_pattern") or {}
    if not isinstance(patterns, dict) or not all(map(_is_cheap, patterns)):
        raise AdapterError(
            f"{path / CONFIG}: alpha_pattern is {str(patterns)[:200]}; it must have numbers by pattern, "
            f"patterns of at most {_LONGEST} characters with {_REPETITIONS} repetitions, none of a group"
        )
    alpha = next((own for pattern, own in patterns.items() if re.fullmatch(rf"(.*\.)?({pattern})", module)), alpha)
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not abs(alpha) <= _LARGEST:
        raise AdapterError(f"{path / CONFIG}: lora_alpha is {alpha!r}; it must be a number, of at most {_LARGEST:g}")
    return alpha / (math.sqrt(rank) if about.get("use_rslora") else rank)


def _is_cheap(pattern: str) -> bool:
    """Is it a pattern, and one that `re`, which goes back over all that repetitions took, surely tries in little time?"""
    if len(pattern) > _LONGEST or _REPEATED_GROUP.search(pattern) or len(_REPETITION.findall(pattern)) > _REPETITIONS:
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _read(file: SafetensorsFile, stored: str, config: DecoderConfig, most_rank: int) -> Matrix:
    """float32 [rows, columns]."""
    info = file.info(stored, stored, 0)
    check_size(file.path, stored, info.shape, config, most_rank)
    raw = np.frombuffer(file.data, np.uint8, info.n_bytes, info.offset)
    if info.type == gguf.GGMLQuantizationType.F32:
        return raw.view(np.float32).reshape(info.shape).copy()
    half = info.type == gguf.GGMLQuantizationType.F16
    values: Matrix = gguf.quants.dequantize(raw.view(np.float16) if half else raw, info.type).reshape(info.shape)
    return values
