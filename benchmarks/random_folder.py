"""A Hugging Face folder of a Llama's shape with random packed weights: speed without a download. Its answers are noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from portico_engine.models.config import DecoderConfig

Pack = Callable[[int, int], dict[str, Tensor]]  # from rows and columns: arrays by the suffix of their names
_GROUP = 128


def _words(*shape: int) -> Tensor:
    return torch.randint(-(2**31), 2**31 - 1, shape, dtype=torch.int32)


def _scales(rows: int, columns: int, n_in: int, largest: float) -> Tensor:
    return torch.rand(rows, columns).add_(0.5).mul_(n_in**-0.5 / largest)


def gptq(n_out: int, n_in: int) -> dict[str, Tensor]:
    """Groups of 128, symmetric."""
    zeros = torch.full((n_in // _GROUP, n_out // 8), 0x77777777, dtype=torch.int32)
    scales = _scales(n_in // _GROUP, n_out, n_in, 4.6).half()
    return {"qweight": _words(n_in // 8, n_out), "qzeros": zeros, "scales": scales}


def awq(n_out: int, n_in: int) -> dict[str, Tensor]:
    """Groups of 128 with zero points."""
    scales = _scales(n_in // _GROUP, n_out, n_in, 6.5).half()
    return {"qweight": _words(n_in, n_out // 8), "qzeros": _words(n_in // _GROUP, n_out // 8), "scales": scales}


def float8(n_out: int, n_in: int) -> dict[str, Tensor]:
    """A scale a channel."""
    weight = torch.randn(n_out, n_in).mul_(100).clamp_(-448, 448).to(torch.float8_e4m3fn)
    return {"weight": weight, "weight_scale": _scales(n_out, 1, n_in, 100.0)}


def float8_blocks(n_out: int, n_in: int) -> dict[str, Tensor]:
    """A scale for each 128 by 128."""
    weight = float8(n_out, n_in)["weight"]
    return {"weight": weight, "weight_scale_inv": _scales(-(-n_out // 128), -(-n_in // 128), n_in, 100.0)}


def bfloat16(n_out: int, n_in: int) -> dict[str, Tensor]:
    """Nothing packed."""
    return {"weight": torch.randn(n_out, n_in).mul_(n_in**-0.5).bfloat16()}


_FP8 = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "channel"}
PACKS: dict[str, tuple[Pack, dict[str, object]]] = {
    "gptq": (gptq, {"quant_method": "gptq", "bits": 4, "group_size": _GROUP, "sym": True}),
    "awq": (awq, {"quant_method": "awq", "bits": 4, "group_size": _GROUP, "version": "gemm", "zero_point": True}),
    "fp8": (
        float8,
        {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"group_0": {"weights": _FP8}}},
    ),
    "fp8-blocks": (float8_blocks, {"quant_method": "fp8", "weight_block_size": [128, 128]}),
    "bf16": (bfloat16, {}),
}


def write_random_folder(folder: Path, config: DecoderConfig, method: str) -> Path:
    """Layers have copies of the same random matrices."""
    pack, quantization = PACKS[method]
    folder.mkdir(parents=True)
    kv, queries = config.n_kv_heads * config.head_dim, config.n_heads * config.head_dim
    shapes = {
        "self_attn.q_proj": (queries, config.hidden),
        "self_attn.k_proj": (kv, config.hidden),
        "self_attn.v_proj": (kv, config.hidden),
        "self_attn.o_proj": (config.hidden, queries),
        "mlp.gate_proj": (config.feed_forward, config.hidden),
        "mlp.up_proj": (config.feed_forward, config.hidden),
        "mlp.down_proj": (config.hidden, config.feed_forward),
    }
    made = {name: pack(*shape) for name, shape in shapes.items()}
    weight_map: dict[str, str] = {}

    def save(file: str, tensors: dict[str, Tensor]) -> None:
        save_file(tensors, folder / file)
        weight_map.update(dict.fromkeys(tensors, file))

    norm = torch.ones(config.hidden, dtype=torch.bfloat16)
    for i in range(config.n_layers):
        at = f"model.layers.{i}"
        norms = {f"{at}.{name}.weight": norm.clone() for name in ("input_layernorm", "post_attention_layernorm")}
        packed = {f"{at}.{name}.{suffix}": array for name, arrays in made.items() for suffix, array in arrays.items()}
        save(f"layer-{i:03}.safetensors", norms | packed)
    embedding = torch.randn(config.vocab_size, config.hidden).bfloat16()
    save(
        "ends.safetensors",
        {"model.embed_tokens.weight": embedding, "lm_head.weight": embedding * config.hidden**-0.5, "model.norm.weight": norm},
    )
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    keys = {
        "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": config.norm_eps, "rope_theta": config.rope.base,
        "max_position_embeddings": config.context_length, "tie_word_embeddings": False, "num_hidden_layers": config.n_layers,
        "hidden_size": config.hidden, "intermediate_size": config.feed_forward, "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads, "head_dim": config.head_dim,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(keys | ({"quantization_config": quantization} if quantization else {})))
    return folder
