"""A Hugging Face folder as one GGUF file that llama.cpp and this engine read: names by gguf's TensorNameMap, written by its
GGUFWriter.

It owns the order of rotary rows, the stacking of experts, and the types that tensors are written in. config.json's translation
is `weights.hugging_face_config`'s, the tokenizer's `tokenizer_metadata`'s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import gguf
import numpy as np
import numpy.typing as npt

from portico_engine.conversion.metadata_values import write_values
from portico_engine.conversion.tokenizer_metadata import write_tokenizer
from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.weights.hugging_face import HuggingFaceFolder

Progress: TypeAlias = Callable[[str, float], None]
OutType: TypeAlias = Literal["f32", "f16", "bf16", "q8_0"]
_TYPES: Mapping[OutType, gguf.GGMLQuantizationType] = {
    "f32": gguf.GGMLQuantizationType.F32,
    "f16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
}
_FILE_TYPES: Mapping[OutType, gguf.LlamaFileType] = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
_PHI3_PART = re.compile(r"(blk\.\d+\.)(attn_[qkv]|ffn_gate|ffn_up)\.(weight|bias)")
_FUSED_ORDER = ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up")
_EXPERT = re.compile(r"(blk\.\d+\.ffn_(?:gate|up|down))\.(\d+)\.weight")
_QUERY_KEY = re.compile(r"blk\.\d+\.attn_([qk])\.(?:weight|bias)")
_F32_NAMES = re.compile(r".*(?:_norm|ffn_gate_inp(?:_shexp)?)\.weight|.*\.bias|rope_.*")
_SINGLE = (int, float, str, np.integer)
_FLOATS = ("freq_base", "epsilon", "scale", "factor", "beta_fast", "beta_slow")  # keys that llama.cpp reads as floats


def convert_folder(folder: Path, target: Path, *, out_type: OutType = "bf16", progress: Progress | None = None) -> Path:
    """Write the model in `folder` to the GGUF file `target`, which appears when it is whole.

    Norms, biases and routers stay float32. Raises ModelError where the folder can't be read, its tokenizer has no form in GGUF,
    or the target exists or can't be written.
    """
    if target.exists():
        raise ModelError(f"{target} is there already; give another name with --out, or delete it")
    file = HuggingFaceFolder(folder)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        writer = gguf.GGUFWriter(fresh, file.metadata["general.architecture"])
        _write_metadata(writer, file.metadata, out_type)
        write_tokenizer(writer, folder)
        tensors = list(_tensors(file))
        for name, shape, _ in tensors:
            kind = _type_of(name, shape, out_type)
            writer.add_tensor_info(name, _stored_shape(shape, kind), *_dtype(shape, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, (name, shape, read) in enumerate(tensors):
            if progress is not None:
                progress(name, done / len(tensors))
            writer.write_tensor_data(gguf.quants.quantize(read(), _type_of(name, shape, out_type)))
        writer.close()
        fresh.rename(target)
    except OSError as error:
        raise ModelError(f"{target} can't be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return target


_Read: TypeAlias = Callable[[], npt.NDArray[np.float32]]


class _Tensor(NamedTuple):
    """A tensor under GGUF's name, and what reads it."""

    name: str
    shape: tuple[int, ...]
    read: _Read


def _tensors(file: HuggingFaceFolder) -> Iterator[_Tensor]:
    """With experts stacked, what Phi-3 keeps fused fused again, and query and key rows in GGUF's order."""
    config = read_config(file)
    parts: dict[str, list[str]] = {}
    for name in file.tensors:
        parts.setdefault(_whole(name, config.architecture), []).append(name)
    for whole, names in parts.items():
        shape = file.tensors[names[0]].shape
        if len(names) == 1 and whole == names[0]:
            yield _Tensor(whole, shape, partial(_read, file, whole, config))
        elif whole.endswith("_exps.weight"):
            yield _Tensor(whole, (len(names), *shape), partial(_stacked, file, sorted(names, key=_expert_number)))
        else:
            rows = sum(file.tensors[name].shape[0] for name in names)
            ordered = sorted(names, key=lambda name: _FUSED_ORDER.index(name.split(".")[2]))
            yield _Tensor(whole, (rows, *shape[1:]), partial(_fused, file, ordered))


def _whole(name: str, arch: str) -> str:
    """The name of what a file holds this tensor in."""
    if match := _EXPERT.fullmatch(name):
        return f"{match[1]}_exps.weight"
    if arch == "phi3" and (match := _PHI3_PART.fullmatch(name)):
        return f"{match[1]}{'attn_qkv' if match[2].startswith('attn') else 'ffn_up'}.{match[3]}"
    return name


def _expert_number(name: str) -> int:
    return int(name.split(".")[3])


def _stacked(file: HuggingFaceFolder, names: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.stack([file.dequantize(name) for name in names])


def _fused(file: HuggingFaceFolder, names: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.concatenate([file.dequantize(name) for name in names])


def _read(file: HuggingFaceFolder, name: str, config: DecoderConfig) -> npt.NDArray[np.float32]:
    values = file.dequantize(name)
    match = _QUERY_KEY.fullmatch(name)
    if match is None or not config.interleaves_rotary:
        return values
    heads = config.n_heads if match[1] == "q" else config.n_kv_heads
    return _interleaved(values, heads, config.rotary_dim)


def _interleaved(rows: npt.NDArray[np.float32], heads: int, rotary: int) -> npt.NDArray[np.float32]:
    """From halves of each head's first `rotary` rows that rotate together to neighbours that do."""
    by_head = rows.reshape(heads, -1, *rows.shape[1:]).copy()
    halves = by_head[:, :rotary].reshape(heads, 2, rotary // 2, *rows.shape[1:])
    by_head[:, :rotary] = halves.swapaxes(1, 2).reshape(heads, rotary, *rows.shape[1:])
    return by_head.reshape(rows.shape)


def _type_of(name: str, shape: tuple[int, ...], out_type: OutType) -> gguf.GGMLQuantizationType:
    kind = _TYPES[out_type]
    if len(shape) < 2 or _F32_NAMES.fullmatch(name):
        return gguf.GGMLQuantizationType.F32
    if shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
        return gguf.GGMLQuantizationType.F16
    return kind


def _dtype(shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> tuple[np.dtype[Any], int]:
    """What numpy calls the stored numbers, and how many bytes they are."""
    dtypes = {gguf.GGMLQuantizationType.F32: np.float32, gguf.GGMLQuantizationType.F16: np.float16}
    stored = _stored_shape(shape, kind)
    dtype = np.dtype(dtypes.get(kind, np.uint8))
    return dtype, int(np.prod(stored)) * dtype.itemsize


def _stored_shape(shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> tuple[int, ...]:
    """In bytes along the last dimension where the type is none of numpy's."""
    if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
        return shape
    block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    return (*shape[:-1], shape[-1] // block * n_bytes)


def _write_metadata(writer: gguf.GGUFWriter, metadata: Mapping[str, Any], out_type: OutType) -> None:
    single = {
        key: float(value)
        if key.endswith(_FLOATS) and isinstance(value, int | np.integer) and not isinstance(value, bool)
        else value
        for key, value in metadata.items()
        if key not in ("general.architecture", "general.file_type") and isinstance(value, _SINGLE)
    }
    write_values(writer, single)
    writer.add_file_type(_FILE_TYPES[out_type])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
