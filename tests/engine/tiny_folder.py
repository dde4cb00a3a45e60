"""Folders as Hugging Face lays models out, with the weights of a tiny GGUF file: other names, other order of rotary rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tests.engine.tiny_model import CHAT_TEMPLATE, MERGES, SMALL, SPECIAL, Shape, Tensors, vocabulary

from packers import Packer

CONFIG = {
    "model_type": "llama",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "eos_token_id": 2,
}
_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj",
    "ffn_down_shexp": "mlp.shared_expert.down_proj",
    "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
}
_MIXTRAL = {
    "ffn_gate_inp": "block_sparse_moe.gate",
    "ffn_gate_exps": "block_sparse_moe.experts.{}.w1",
    "ffn_up_exps": "block_sparse_moe.experts.{}.w3",
    "ffn_down_exps": "block_sparse_moe.experts.{}.w2",
}
_QWEN = {
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.{}.gate_proj",
    "ffn_up_exps": "mlp.experts.{}.up_proj",
    "ffn_down_exps": "mlp.experts.{}.down_proj",
}


def added_token(
    token_id: int, content: str, *, special: bool = True, lstrip: bool = False, rstrip: bool = False
) -> dict[str, Any]:
    """An entry of tokenizer.json's added_tokens."""
    flags = {"single_word": False, "lstrip": lstrip, "rstrip": rstrip, "normalized": False}
    return {"id": token_id, "content": content, "special": special} | flags


TOKENIZER = {
    "version": "1.0",
    "added_tokens": [added_token(i, token) for i, token in enumerate(SPECIAL)],
    "normalizer": None,
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        ],
    },
    "post_processor": None,
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "vocab": {token: i for i, token in enumerate(vocabulary())}, "merges": list(MERGES)},
}


def write_folder(
    folder: Path,
    tensors: Tensors,
    config: Mapping[str, Any],
    *,
    shape: Shape = SMALL,
    permuted: bool = False,
    dtype: torch.dtype = torch.float32,
    shards: int = 1,
    pack: Packer | None = None,
) -> Path:
    """`tensors` have GGUF's names; rows of queries and keys are as GGUF's converter leaves them where `permuted`. `pack` packs
    the matrices of layers.
    """
    folder.mkdir(parents=True)
    sizes = {
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
    }
    all_keys = CONFIG | sizes | dict(config)
    named = _renamed(tensors, shape, permuted=permuted, qwen=str(all_keys["model_type"]).startswith("qwen"))
    if str(all_keys["model_type"]) == "phi3":
        named = {name.replace("mlp.up_proj", "mlp.gate_up_proj"): value for name, value in named.items()}
    stored = {name: torch.from_numpy(np.ascontiguousarray(value)).to(dtype) for name, value in named.items()}
    for name, value in named.items():
        if pack is not None and is_packable(name, value):
            del stored[name]
            arrays = pack(value.astype(np.float64)).arrays
            stored |= {f"{name.removesuffix('.weight')}.{suffix}": part.contiguous() for suffix, part in arrays.items()}
    write_json(folder / "config.json", all_keys)
    write_json(folder / "tokenizer.json", TOKENIZER)
    write_json(folder / "tokenizer_config.json", {"eos_token": "<|im_end|>", "chat_template": CHAT_TEMPLATE})
    if shards == 1:
        save_file(stored, folder / "model.safetensors")
        return folder
    where = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(stored)}
    for file in set(where.values()):
        save_file({name: stored[name] for name in stored if where[name] == file}, folder / file)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": where})
    return folder


def is_packable(name: str, value: np.ndarray) -> bool:
    """Is it a matrix of a layer, and no router?"""
    router = name.endswith((".gate.weight", "shared_expert_gate.weight", "ffn_gate_inp.weight"))
    return value.ndim == 2 and "layers." in name and not router


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _renamed(tensors: Tensors, shape: Shape, *, permuted: bool, qwen: bool) -> Tensors:
    names = _NAMES | (_QWEN if qwen else _MIXTRAL)
    out: Tensors = {}
    for name, value in tensors.items():
        *layer, base, kind = name.removeprefix("blk.").split(".")
        at = f"model.layers.{layer[0]}." if layer else ""
        if permuted and base in ("attn_q", "attn_k"):
            value = halves(value, shape.heads if base == "attn_q" else shape.kv_heads)
        if base == "ffn_gate_inp_shexp":
            value = value[None]
        if base.endswith("_exps"):
            out |= {f"{at}{names[base].format(i)}.{kind}": expert for i, expert in enumerate(value)}
        else:
            out[f"{at}{names[base]}.{kind}"] = value
    return out


def halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of what GGUF's converter does: from neighbours that are pairs to halves."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
