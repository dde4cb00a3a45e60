"""A Hugging Face config.json under GGUF's metadata keys.

It owns the translation of names, and the refusal of what would change the forward pass. It opens no files, and whether the
numbers fit together is checked where all metadata is, in `models.config`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portico_engine.errors import ModelError

ARCHITECTURES = {  # model_type -> GGUF's name
    "llama": "llama",
    "mistral": "llama",
    "mixtral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
    "granite": "granite",
    "smollm3": "smollm3",
    "phi3": "phi3",
    "gemma3": "gemma3",
    "gemma3_text": "gemma3",
    "gpt_oss": "gpt-oss",
    "ministral": "mistral3",
    "ministral3": "mistral3",
    "mistral3": "mistral3",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "lfm2": "lfm2",
}
_LEFT = {  # model_type -> what it has that torch's decoder hasn't
    "gemma3n": "per-layer embeddings",
    "gemma4": "heads of several sizes",
    "gemma4_text": "heads of several sizes",
    "qwen3_5": "linear attention",
    "qwen3_5_text": "linear attention",
    "qwen3_5_moe": "linear attention",
    "qwen3_next": "linear attention",
    "falcon_h1": "state space layers",
    "granitemoehybrid": "state space layers",
    "jamba": "state space layers",
    "mamba": "state space layers",
    "mamba2": "state space layers",
    "nemotron_h": "state space layers",
}
_KEYS = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "num_local_experts": "expert_count",
    "num_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "shared_expert_intermediate_size": "expert_shared_feed_forward_length",
    "norm_topk_prob": "expert_weights_norm",
    "embedding_multiplier": "embedding_scale",
    "residual_multiplier": "residual_scale",
    "attention_multiplier": "attention.scale",
    "logits_scaling": "logit_scale",
    "kv_lora_rank": "attention.kv_lora_rank",
    "q_lora_rank": "attention.q_lora_rank",
    "v_head_dim": "attention.value_length_mla",
    "n_routed_experts": "expert_count",
    "n_shared_experts": "expert_shared_count",
    "first_k_dense_replace": "leading_dense_block_count",
    "routed_scaling_factor": "expert_weights_scale",
    "norm_eps": "attention.layer_norm_rms_epsilon",
    "conv_L_cache": "shortconv.l_cache",
}
_ROPE_KEYS = {
    "factor": "factor",
    "beta_fast": "yarn_beta_fast",
    "beta_slow": "yarn_beta_slow",
    "original_max_position_embeddings": "original_context_length",
}
# What these models could do otherwise, and the one value that this forward pass is for.
_FIXED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "hidden_activation": ("gelu_pytorch_tanh",),
    "decoder_sparse_step": (1,),
    "mlp_only_layers": ([],),
    "final_logit_softcapping": (None,),
    "attn_logit_softcapping": (None,),
    "use_bidirectional_attention": (False,),
    "swiglu_alpha": (1.702,),
    "swiglu_limit": (7.0,),
}
Factors = dict[str, npt.NDArray[np.float32]]  # tensors that GGUF files have for what is a number in config.json


def translate(config: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], Factors]:
    """Metadata, and rotary factors by tensor name. Raises ModelError naming the key of config.json that is not supported."""
    text = config.get("text_config")
    if isinstance(text, dict):  # of a model that sees, too
        config = {**config, **text, "model_type": config.get("model_type")}
    arch = _architecture(config, path)
    for key, allowed in _FIXED.items():
        if key in config and config[key] is not None and config[key] not in allowed:
            raise ModelError(f"{path}: {key} is {config[key]!r} in config.json; only {allowed[0]!r} is supported")
    metadata: dict[str, Any] = {"general.architecture": arch}
    for theirs, ours in _KEYS.items():
        if config.get(theirs) is not None:
            metadata[f"{arch}.{ours}"] = config[theirs]
    _windows(config, arch, metadata, path)
    if arch == "gemma3":
        metadata["portico.norm_offset"] = 1.0
        head = config.get("query_pre_attn_scalar", config.get("head_dim"))
        metadata[f"{arch}.attention.scale"] = _number(head, "query_pre_attn_scalar", path) ** -0.5
    if arch == "lfm2":
        _lfm2(config, metadata, path)
    if arch == "deepseek2":
        config = _deepseek(config, metadata, path)
    factors = _rope(config, arch, metadata, path)
    if arch == "smollm3" and config.get("no_rope_layers") not in (None, _every_fourth(config)):
        raise ModelError(f"{path}: no_rope_layers in config.json is not every fourth layer, which is not supported")
    return metadata, factors


def _architecture(config: Mapping[str, Any], path: Path) -> str:
    kind = config.get("model_type")
    if isinstance(kind, str) and kind in _LEFT:
        raise ModelError(f"{path}: {kind} has {_LEFT[kind]}, which only llama.cpp computes here: take the model as a GGUF file")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise ModelError(
            f"{path}: the model_type {kind!r} in config.json is not supported; supported are {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[kind]


def _windows(config: Mapping[str, Any], arch: str, metadata: dict[str, Any], path: Path) -> None:
    """Which layers see only so many positions."""
    window, layers = config.get("sliding_window"), config.get("num_hidden_layers")
    if window is None or not config.get("use_sliding_window", True) or not isinstance(layers, int):
        return
    if not isinstance(window, int) or isinstance(window, bool) or window < 1:
        raise ModelError(f"{path}: sliding_window in config.json is {window!r}, not a positive number")
    at = f"{arch}.attention.sliding_window"
    metadata[at] = window
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        unknown = sorted({str(kind) for kind in kinds} - {"sliding_attention", "full_attention"})
        if unknown:
            raise ModelError(f"{path}: layers of type {unknown[0]!r} (layer_types in config.json) are not supported")
        metadata[f"{at}_pattern"] = [kind == "sliding_attention" for kind in kinds]
    elif isinstance(config.get("max_window_layers"), int) and "use_sliding_window" in config:
        metadata[f"{at}_pattern"] = [i >= config["max_window_layers"] for i in range(layers)]  # Qwen 2
    elif isinstance(config.get("sliding_window_pattern"), int):
        metadata[f"{at}_pattern"] = config["sliding_window_pattern"]


def _lfm2(config: Mapping[str, Any], metadata: dict[str, Any], path: Path) -> None:
    """Which layers convolve, and how wide a feed-forward is."""
    kinds, heads = config.get("layer_types"), config.get("num_key_value_heads")
    if not isinstance(kinds, list) or not set(kinds) <= {"conv", "full_attention"} or not isinstance(heads, int):
        raise ModelError(
            f"{path}: layer_types in config.json is {str(kinds)[:80]}; a list of 'conv' and 'full_attention' is supported"
        )
    metadata["lfm2.attention.head_count_kv"] = [0 if kind == "conv" else heads for kind in kinds]
    size = config.get("block_ff_dim", config.get("intermediate_size"))
    if config.get("block_auto_adjust_ff_dim", True):
        size = int(2 * _number(size, "intermediate_size", path) / 3)
        if config.get("block_ffn_dim_multiplier") is not None:
            multiple = int(_number(config.get("block_multiple_of", 256), "block_multiple_of", path))
            size = int(_number(config["block_ffn_dim_multiplier"], "block_ffn_dim_multiplier", path) * size)
            size = multiple * -(-size // multiple)
    metadata["lfm2.feed_forward_length"] = size


def _deepseek(config: Mapping[str, Any], metadata: dict[str, Any], path: Path) -> Mapping[str, Any]:
    """What is said otherwise; the configuration with the size of what is rotated for that of a head."""
    plain, rope = (config.get(key) for key in ("qk_nope_head_dim", "qk_rope_head_dim"))
    if not isinstance(plain, int) or not isinstance(rope, int) or plain < 1 or rope < 1:
        raise ModelError(
            f"{path}: qk_nope_head_dim and qk_rope_head_dim in config.json are {plain!r} and {rope!r}, not positive"
        )
    if config.get("moe_layer_freq", 1) != 1:
        raise ModelError(f"{path}: moe_layer_freq in config.json is {config['moe_layer_freq']!r}; only 1 is supported")
    sigmoid = config.get("model_type") == "deepseek_v3"
    metadata |= {
        "deepseek2.attention.key_length_mla": plain + rope,
        "deepseek2.attention.key_length": plain + rope,
        "deepseek2.expert_gating_func": 2 if sigmoid else 1,
    }
    if not sigmoid:
        metadata["deepseek2.expert_weights_norm"] = False  # as its own code has it, whatever norm_topk_prob says
    if config.get("topk_method", "noaux_tc" if sigmoid else "greedy") != "greedy" and config.get("n_group"):
        metadata |= {
            "deepseek2.expert_group_count": config["n_group"],
            "deepseek2.expert_group_used_count": config.get("topk_group") or 1,
        }
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if isinstance(scaling, dict) and scaling.get("mscale_all_dim"):
        metadata["deepseek2.rope.scaling.yarn_log_multiplier"] = 0.1 * _number(
            scaling["mscale_all_dim"], "mscale_all_dim", path
        )
    return {**config, "head_dim": rope, "partial_rotary_factor": None}


def _every_fourth(config: Mapping[str, Any]) -> list[int]:
    """1 for layers that rotate."""
    layers = config.get("num_hidden_layers")
    return [int((i + 1) % 4 != 0) for i in range(layers)] if isinstance(layers, int) else []


def _rope(config: Mapping[str, Any], arch: str, metadata: dict[str, Any], path: Path) -> Factors:
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(scaling, dict):
        raise ModelError(f"{path}: rope_scaling in config.json is {scaling!r}, not an object")
    local_base = config.get("rope_local_base_freq")
    if isinstance(scaling.get("full_attention"), dict):  # by the kind of layer
        local = scaling.get("sliding_attention")
        local_base = local.get("rope_theta", local_base) if isinstance(local, dict) else local_base
        scaling = scaling["full_attention"]
    if local_base is not None:
        metadata[f"{arch}.rope.freq_base_swa"] = _number(local_base, "rope_theta", path)
    if scaling.get("llama_4_scaling_beta"):
        metadata[f"{arch}.attention.temperature_scale"] = _number(scaling["llama_4_scaling_beta"], "llama_4_scaling_beta", path)
    base = scaling.get("rope_theta", config.get("rope_theta"))
    if base is not None:
        metadata[f"{arch}.rope.freq_base"] = base
    head = _head_dim(config)
    partial = scaling.get("partial_rotary_factor", config.get("partial_rotary_factor"))
    rotary = head if partial is None else int(head * _number(partial, "partial_rotary_factor", path))
    metadata[f"{arch}.rope.dimension_count"] = rotary
    kind = str(scaling.get("rope_type") or scaling.get("type") or "default")
    if kind == "llama3":
        return {"rope_freqs.weight": _llama3_factors(scaling, _number(base, "rope_theta", path), rotary, path)}
    at = f"{arch}.rope.scaling"
    metadata[f"{at}.type"] = {"default": "none", "su": "longrope"}.get(kind, kind)
    for theirs, ours in _ROPE_KEYS.items():
        value = scaling.get(theirs, config.get(theirs))
        if value is not None:
            metadata[f"{at}.{ours}"] = value
    if kind == "yarn":
        metadata |= _yarn_magnitude(scaling, at, path)
    if metadata[f"{at}.type"] != "longrope":
        return {}
    metadata[f"{at}.attn_factor"] = _longrope_magnitude(config, scaling, path)
    return {f"rope_factors_{which}.weight": _floats(scaling, f"{which}_factor", path) for which in ("short", "long")}


def _yarn_magnitude(scaling: Mapping[str, Any], at: str, path: Path) -> dict[str, float]:
    """What cosines and sines have beside 1 + 0.1 ln(factor), where that is not all."""
    logarithm = math.log(max(_number(scaling.get("factor"), "factor", path), 1.0))
    usual = 1 + 0.1 * logarithm
    if scaling.get("attention_factor") is not None:
        return {f"{at}.attn_factor": _number(scaling["attention_factor"], "attention_factor", path) / usual}
    over, under = scaling.get("mscale"), scaling.get("mscale_all_dim")
    if over and under:
        own, others = (1 + 0.1 * _number(value, "mscale", path) * logarithm for value in (over, under))
        return {f"{at}.attn_factor": own / others / usual}
    return {}


def _head_dim(config: Mapping[str, Any]) -> int:
    """0 where the numbers are none: `models.config` refuses those by name."""
    head, hidden, heads = (config.get(key) for key in ("head_dim", "hidden_size", "num_attention_heads"))
    if isinstance(head, int):
        return head
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads > 0 else 0


def _llama3_factors(scaling: Mapping[str, Any], base: float, dim: int, path: Path) -> npt.NDArray[np.float32]:
    """What Llama 3.1 divides frequencies by: nothing for short waves, `factor` for long ones, in between what lies between."""
    factor, low, high, original = (
        _number(scaling.get(key), key, path)
        for key in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    turns = original / (2 * np.pi * base ** (np.arange(0, dim, 2) / dim))  # over the original context
    kept = ((turns - low) / (high - low)).clip(0, 1)
    factors: npt.NDArray[np.float32] = (1 / ((1 - kept) / factor + kept)).astype(np.float32)
    return factors


def _longrope_magnitude(config: Mapping[str, Any], scaling: Mapping[str, Any], path: Path) -> float:
    if scaling.get("attention_factor") is not None:
        return _number(scaling["attention_factor"], "attention_factor", path)
    key = "original_max_position_embeddings"
    original = _number(scaling.get(key, config.get(key)), key, path)
    stretch = _number(config.get("max_position_embeddings"), "max_position_embeddings", path) / original
    return math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0


def _floats(scaling: Mapping[str, Any], key: str, path: Path) -> npt.NDArray[np.float32]:
    values = scaling.get(key)
    if not isinstance(values, list) or not values:
        raise ModelError(f"{path}: {key} in config.json is {values!r}, not a list of numbers")
    return np.array([_number(value, key, path) for value in values], dtype=np.float32)


def _number(value: object, key: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(f"{path}: {key} in config.json is {value!r}, not a positive number")
    return float(value)
