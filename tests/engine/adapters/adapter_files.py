"""LoRA adapters on disk, as PEFT and llama.cpp's converter write them, for the tiny random Llama; and that model merged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tests.engine.tiny_folder import halves
from tests.engine.tiny_model import SMALL, Shape, Tensors, write_tiny_llama

F32 = gguf.GGMLQuantizationType.F32
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]  # (A, B) by GGUF's name, rows in its order

MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
ALPHA, RANK = 8.0, 4


def random_pairs(seed: int, *, rank: int = RANK, shape: Shape = SMALL, targets: tuple[str, ...] = tuple(MODULES)) -> Pairs:
    """As large beside the weights that most of what the model says is another."""
    rng = np.random.default_rng(seed)
    hidden, queries, values, wide = shape.hidden, shape.hidden, shape.kv_heads * shape.head_dim, shape.feed_forward
    sizes = {
        "attn_q": (queries, hidden),
        "attn_k": (values, hidden),
        "attn_v": (values, hidden),
        "attn_output": (hidden, queries),
        "ffn_gate": (wide, hidden),
        "ffn_up": (wide, hidden),
        "ffn_down": (hidden, wide),
    }
    out: Pairs = {}
    for layer in range(shape.layers):
        for name in targets:
            n_out, n_in = sizes[name]
            a = rng.standard_normal((rank, n_in)) / np.sqrt(n_in)
            b = rng.standard_normal((n_out, rank)) * 0.3 / np.sqrt(rank)
            out[f"blk.{layer}.{name}"] = a.astype(np.float32), b.astype(np.float32)
    return out


def merged(pairs: Pairs, scale: float = ALPHA / RANK) -> Any:
    """What `write_tiny_llama` takes as `rearrange`: W + scale B A."""

    def rearrange(tensors: Tensors) -> Tensors:
        return tensors | {f"{name}.weight": tensors[f"{name}.weight"] + scale * b @ a for name, (a, b) in pairs.items()}

    return rearrange


def write_merged(path: Path, pairs: Pairs, scale: float = ALPHA / RANK) -> Path:
    return write_tiny_llama(path, quantization=F32, rearrange=merged(pairs, scale))


def write_gguf_adapter(path: Path, pairs: Pairs, *, leave_out: str = "", **metadata: Any) -> Path:
    keys = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "general.base_model.0.name": "Tiny",
        "adapter.type": "lora",
        "adapter.lora.alpha": ALPHA,
    } | {key.replace("__", "."): value for key, value in metadata.items()}
    writer = gguf.GGUFWriter(path, str(keys.pop("general.architecture")))
    for key, value in keys.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif value is not None:
            writer.add_float32(key, value)
    for name, (a, b) in pairs.items():
        for side, values in (("a", a), ("b", b)):
            if f"{name}.lora_{side}" != leave_out:
                writer.add_tensor(f"{name}.weight.lora_{side}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_peft_folder(
    folder: Path,
    pairs: Pairs,
    *,
    shape: Shape = SMALL,
    dtype: torch.dtype = torch.float32,
    more: Mapping[str, np.ndarray] | None = None,
    leave_out: str = "",
    **config: Any,
) -> Path:
    """`more`: further tensors; `leave_out`: one that is not written; `config` replaces keys of adapter_config.json."""
    folder.mkdir(parents=True)
    about = {
        "peft_type": "LORA",
        "base_model_name_or_path": "someone/tiny",
        "r": RANK,
        "lora_alpha": ALPHA,
        "bias": "none",
        "use_dora": False,
        "use_rslora": False,
        "modules_to_save": None,
        "target_modules": list(MODULES.values()),
    }
    (folder / "adapter_config.json").write_text(json.dumps(about | config), encoding="utf-8")
    tensors: dict[str, np.ndarray] = dict(more or {})
    for name, (a, b) in pairs.items():
        _, layer, kind = name.split(".")
        if kind in ("attn_q", "attn_k"):
            b = halves(b, shape.heads if kind == "attn_q" else shape.kv_heads)
        at = f"base_model.model.model.layers.{layer}.{MODULES[kind]}"
        tensors |= {f"{at}.lora_A.weight": a, f"{at}.lora_B.weight": b}
    tensors.pop(leave_out, None)
    stored = {name: torch.from_numpy(np.ascontiguousarray(value)).to(dtype) for name, value in tensors.items()}
    save_file(stored, folder / "adapter_model.safetensors")
    return folder
