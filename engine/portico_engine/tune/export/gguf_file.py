"""An adapter as llama.cpp reads it: GGUF of the type "adapter", float16, rotary rows in llama.cpp's order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
from torch import Tensor

from portico_engine.adapters.adapter import PROMPTS
from portico_engine.models.config import DecoderConfig
from portico_engine.tune.training.base_model import halves_of_pairs, stored_name


def save_gguf(
    path: Path, matrices: Mapping[str, tuple[Tensor, Tensor]], *, alpha: float, base: str, config: DecoderConfig, prompts: str
) -> None:
    """`matrices`: A and B by transformers' module names."""
    writer = gguf.GGUFWriter(path, config.architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_string("general.base_model.0.name", base)
    writer.add_string(PROMPTS, prompts)
    writer.add_float32("adapter.lora.alpha", alpha)
    for module, (a, b) in matrices.items():
        name = stored_name(module)
        rows = b.detach().float().cpu().numpy()
        heads = {"attn_q": config.n_heads, "attn_k": config.n_kv_heads}.get(name.rpartition(".")[2])
        if heads is not None and config.permuted_rotary:
            back = np.argsort(halves_of_pairs(heads, config.head_dim))
            rows = rows[back]
        writer.add_tensor(f"{name}.weight.lora_a", np.ascontiguousarray(a.detach().float().cpu().numpy().astype(np.float16)))
        writer.add_tensor(f"{name}.weight.lora_b", np.ascontiguousarray(rows.astype(np.float16)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
