"""Logits of tiny models of each family by transformers in float32, recorded for tests that run without it.

    python checks/family_logits.py [NAME ...]     writes tests/engine/models/transformers_logits/NAME.json

Weights are random numbers that depend on a tensor's name and shape alone: a test makes the same folder from what is recorded,
which is config.json, names and shapes, and the logits.
"""

from __future__ import annotations

import argparse
import base64
import json
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

RECORDS = Path(__file__).parents[1] / "tests" / "engine" / "models" / "transformers_logits"
VOCABULARY = 96
TOKENS = tuple(int(t) for t in np.random.default_rng(9).integers(0, VOCABULARY, 40))
_SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "tie_word_embeddings": False,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2, "hidden_size": 64}
_YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 32}
_LATENT = {
    "head_dim": 8, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 12,
    "num_key_value_heads": 4, "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
    "n_shared_experts": 2, "first_k_dense_replace": 1,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {  # transformers' configuration class, and what it is given
    "gemma3": (
        "Gemma3TextConfig",
        {
            "num_hidden_layers": 7, "sliding_window": 8, "query_pre_attn_scalar": 16, "tie_word_embeddings": True,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        },
    ),
    "gpt_oss": ("GptOssConfig", _EXPERTS | {"sliding_window": 8, "rope_parameters": _YARN | {"truncate": False}}),
    "mistral, window": ("MistralConfig", {"sliding_window": 8}),
    "ministral": (
        "MinistralConfig",
        {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    "ministral3": (
        "Ministral3Config",
        {"rope_parameters": _YARN | {"mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.3}},
    ),
    "deepseek_v2": (
        "DeepseekV2Config",
        _LATENT | {
            "q_lora_rank": None, "topk_method": "group_limited_greedy", "n_group": 2, "topk_group": 1,
            "routed_scaling_factor": 1.5, "rope_parameters": _YARN | {"mscale": 0.7, "mscale_all_dim": 0.7},
        },
    ),
    "deepseek_v3": ("DeepseekV3Config", _LATENT | {"q_lora_rank": 24, "n_group": 2, "topk_group": 1}),
    "lfm2": (
        "Lfm2Config",
        {
            "layer_types": ["conv", "full_attention", "conv"], "block_ff_dim": 96, "block_multiple_of": 8, "hidden_size": 80,
            "num_attention_heads": 5, "num_key_value_heads": 1,
        },
    ),
    "qwen3_moe": (
        "Qwen3MoeConfig", {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True},
    ),
}  # fmt: skip


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of this name: norms about 1 (0 where a family adds 1), biases and matrices about 0."""
    random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = torch.randn(shape, generator=random)
    if len(shape) > 1:
        return values.mul_(1.5 / shape[-1] ** 0.5)
    return values.mul_(0.3).add_(1 if "norm" in name else 0)


def record(name: str) -> dict[str, Any]:
    """What a test needs."""
    import transformers

    kind, given = FAMILIES[name]
    config = getattr(transformers, kind)(**_SMALL | given, attn_implementation="eager")
    with tempfile.TemporaryDirectory() as folder:  # names and shapes are those of its files, not of its modules
        transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        shapes = {key: list(value.shape) for key, value in load_file(file).items()}
        save_file({key: weight(key, tuple(shape)) for key, shape in shapes.items()}, file, {"format": "pt"})
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        with torch.inference_mode():
            logits = model.eval()(torch.tensor([TOKENS])).logits[0].float()
    kept = {key: value for key, value in config.to_dict().items() if key not in ("transformers_version", "dtype")}
    return {
        "transformers": transformers.__version__,
        "config": kept,
        "shapes": shapes,
        "logits": base64.b64encode(logits.numpy().astype("<f4").tobytes()).decode(),
    }


def main() -> None:
    """Write records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(FAMILIES))
    RECORDS.mkdir(exist_ok=True)
    for name in parser.parse_args().names:
        path = RECORDS / f"{name.replace(', ', '-')}.json"
        path.write_text(json.dumps(record(name), indent=1) + "\n")
        print("written:", path.name)


if __name__ == "__main__":
    main()
