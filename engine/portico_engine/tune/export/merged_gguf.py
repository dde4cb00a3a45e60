"""A GGUF file with the adapter in its weights: W + (alpha / r) B A, quantized again as each tensor was.

It owns the copy. What gguf can't write again (K-quants) becomes Q8_0, which is said.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

from portico_engine.adapters.adapter import StoredAdapter
from portico_engine.errors import AdapterError
from portico_engine.models.config import DecoderConfig
from portico_engine.tune.training.base_model import halves_of_pairs
from portico_engine.weights.gguf_file import GGUFFile

_OTHERWISE = gguf.GGMLQuantizationType.Q8_0


def save_merged(path: Path, model: Path, stored: StoredAdapter, config: DecoderConfig, say: Callable[[str], None]) -> None:
    """Raises AdapterError where the model is no single GGUF file."""
    if model.is_dir():
        raise AdapterError(f"{model} is a folder; merged into its weights is a GGUF file alone")
    file, reader = GGUFFile(model), gguf.GGUFReader(model)
    new = path.with_name(f"{path.name}.new")
    writer = gguf.GGUFWriter(new, config.architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == gguf.Keys.General.ARCHITECTURE:
            continue
        kind = field.types[0]
        writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind is gguf.GGUFValueType.ARRAY else None)
    otherwise = 0
    for tensor in reader.tensors:
        matrix = stored.matrices.get(tensor.name.removesuffix(".weight"))
        if matrix is None:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            continue
        whole = np.array(file.dequantize(tensor.name), dtype=np.float32)
        whole += _in_file_order(matrix.b, tensor.name, config) @ matrix.a
        kind = tensor.tensor_type
        try:
            data = gguf.quants.quantize(whole, kind)
        except NotImplementedError:
            kind, otherwise = _OTHERWISE, otherwise + 1
            data = gguf.quants.quantize(whole, kind)
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    new.replace(path)
    if otherwise:
        say(f"{otherwise} matrices are of formats that can't be written again; they are {_OTHERWISE.name} now")


def _in_file_order(b: np.ndarray, name: str, config: DecoderConfig) -> np.ndarray:
    heads = config.n_heads if ".attn_q." in name else config.n_kv_heads if ".attn_k." in name else None
    if heads is None or not config.permuted_rotary:
        return b
    return b[np.argsort(halves_of_pairs(heads, config.head_dim))]
