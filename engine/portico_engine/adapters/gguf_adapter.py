"""A GGUF file that holds a LoRA adapter, as llama.cpp's converter writes it.

It owns the metadata keys of adapters and the names of their tensors: `NAME.weight.lora_a` [rank, in] and `.lora_b` [out, rank].
The container is `weights.gguf_file`'s, which model it fits `fit`'s.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from portico_engine.adapters.adapter import PROMPTS, LowRank, Matrix, StoredAdapter
from portico_engine.adapters.fit import check_size
from portico_engine.errors import AdapterError, ModelError
from portico_engine.models.config import DecoderConfig
from portico_engine.weights.gguf_file import GGUFFile

_TENSOR = re.compile(r"(?P<name>.+)\.weight\.lora_(?P<side>[ab])")
_LARGEST = 1e6  # alpha; what is trained has some tens
_INVOKED = "adapter.alora.invocation_tokens"


def read_gguf_adapter(path: Path, config: DecoderConfig, most_rank: int) -> StoredAdapter:
    """Raises AdapterError naming the file, and the tensor or key in it, where it can't be applied."""
    try:
        file = GGUFFile(path)
        base = file.get("general.base_model.0.name", str, "")
        _check_kind(file, config)
        alpha = file.get("adapter.lora.alpha", float)
        prompts = file.get(PROMPTS, str, "")
        pairs = _pairs(file, config, most_rank)
    except AdapterError:
        raise
    except ModelError as error:
        raise AdapterError(str(error)) from None
    if not abs(alpha) <= _LARGEST:
        raise AdapterError(
            f"{path}: the metadata key adapter.lora.alpha is {alpha}; it must be a number, of at most {_LARGEST:g}"
        )
    matrices = {name: LowRank(a, b * np.float32(alpha / a.shape[0] if alpha else 1.0)) for name, (a, b) in pairs.items()}
    labels = {name: f"{name}.weight" for name in pairs}
    return StoredAdapter(path, base, matrices, labels, interleaves_rotary=True, prompts=prompts)


def _check_kind(file: GGUFFile, config: DecoderConfig) -> None:
    kind = file.get("general.type", str, "model")
    if kind != "adapter":
        raise AdapterError(f"{file.path} is of the type {kind!r} (general.type), no adapter")
    kind = file.get("adapter.type", str)
    if kind != "lora":
        raise AdapterError(f"{file.path}: adapter.type is {kind!r}; only lora is supported")
    architecture = file.get("general.architecture", str)
    if architecture != config.architecture:
        raise AdapterError(
            f"{file.path} is for models of the architecture {architecture!r}; this one is {config.architecture!r}"
        )
    if _INVOKED in file.metadata:
        raise AdapterError(f"{file.path}: {_INVOKED}: an adapter that begins in mid-prompt, which is not supported")


def _pairs(file: GGUFFile, config: DecoderConfig, most_rank: int) -> dict[str, tuple[Matrix, Matrix]]:
    """A and B by name."""
    sides: dict[str, dict[str, Matrix]] = {}
    for stored, info in file.tensors.items():
        match = _TENSOR.fullmatch(stored)
        if match is None:
            raise AdapterError(f"{file.path}: the tensor {stored} is no part of a LoRA matrix (lora_a, lora_b), not supported")
        if 0 in info.shape:
            raise AdapterError(f"{file.path}: the tensor {stored} has the shape {info.shape}; it must be a matrix")
        check_size(file.path, stored, info.shape, config, most_rank)
        sides.setdefault(match["name"], {})[match["side"]] = np.array(file.dequantize(stored))
    if not sides:
        raise AdapterError(f"{file.path} holds no tensors")
    for name, pair in sides.items():
        missing = [side for side in "ab" if side not in pair]
        if missing:
            raise AdapterError(f"{file.path}: the tensor {name}.weight.lora_{missing[0]} is missing")
    return {name: (pair["a"], pair["b"]) for name, pair in sides.items()}
