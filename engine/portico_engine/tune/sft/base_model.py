"""The decoder of a GGUF file in transformers' form, dequantized: what an adapter is trained beside is what serves it.

It owns the names that GGUF and transformers give to the same tensor, and the order of rotary rows. Llama's architecture only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.weights.gguf_file import GGUFFile

_LAYER = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
MODULES = {short: module for short, module in _LAYER.items() if "norm" not in short}


def load_base(path: Path, device: str, dtype: torch.dtype) -> Any:
    """transformers' LlamaForCausalLM. Raises ModelError for another architecture."""
    from transformers import LlamaConfig, LlamaForCausalLM

    file = GGUFFile(path)
    config = read_config(file)
    if config.architecture != "llama":
        raise ModelError(f"{path} is of the architecture {config.architecture!r}; adapters are trained for 'llama'")
    shape = LlamaConfig(
        vocab_size=config.vocab_size, hidden_size=config.hidden, intermediate_size=config.feed_forward,
        num_hidden_layers=config.n_layers, num_attention_heads=config.n_heads, num_key_value_heads=config.n_kv_heads,
        head_dim=config.head_dim, max_position_embeddings=config.context_length, rms_norm_eps=config.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope.base},
        tie_word_embeddings="output.weight" not in file.tensors,
        attn_implementation="sdpa", bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(shape)
    missing, unknown = model.load_state_dict(_weights(file, config), strict=False)
    if unknown or [name for name in missing if name != "lm_head.weight"]:
        raise ModelError(f"{path}: its tensors are not a Llama's: {', '.join([*missing, *unknown][:4])}")
    return model.to(device=device, dtype=dtype).eval()


def _weights(file: GGUFFile, config: DecoderConfig) -> dict[str, Tensor]:
    named = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if "output.weight" in file.tensors:
        named["lm_head.weight"] = "output.weight"
    for layer in range(config.n_layers):
        for short, module in _LAYER.items():
            named[f"model.layers.{layer}.{module}.weight"] = f"blk.{layer}.{short}.weight"
    return {name: _tensor(file, config, stored) for name, stored in named.items()}


def _tensor(file: GGUFFile, config: DecoderConfig, stored: str) -> Tensor:
    values = np.array(file.dequantize(stored), dtype=np.float32)
    heads = config.n_heads if ".attn_q." in stored else config.n_kv_heads if ".attn_k." in stored else None
    if heads is not None and config.permuted_rotary:
        values = values[halves_of_pairs(heads, config.head_dim)]
    return torch.from_numpy(values)


def halves_of_pairs(heads: int, head_dim: int) -> np.ndarray:
    """Rows in transformers' order (rotary pairs are halves of a head) from llama.cpp's (pairs are neighbours)."""
    order: np.ndarray = np.arange(heads * head_dim).reshape(heads, head_dim // 2, 2).swapaxes(1, 2).reshape(-1)
    return order
