"""A model's decoder in transformers' form: what an adapter is trained beside is what serves it.

It owns the names that GGUF and transformers give to the same tensor, and the order of rotary rows. A GGUF file is dequantized,
and of Llama's architecture; a Hugging Face folder of any that transformers has. Either can be quantized to NF4.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig, read_config
from portico_engine.tune.training.low_rank import TARGETS
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.hugging_face import HuggingFaceFolder

_LAYER = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
MODULES = {short: module for short, module in _LAYER.items() if "norm" not in short}
_VARIANTS = 24  # of a layer: with its adapter and without, with gradients and without, one row or several
_STORED = {module: short for short, module in MODULES.items()}


def load_base(path: Path, device: str, dtype: torch.dtype, *, nf4: bool = False) -> Any:
    """A causal LM of transformers'. `nf4`: its linear layers as QLoRA has them. Raises ModelError where it can't be trained
    beside: another architecture, or an NF4 base without a GPU or bitsandbytes.
    """
    if nf4:
        _check_nf4(device)
    model = _from_folder(path, dtype) if path.is_dir() else _from_gguf(path).to(dtype=dtype)
    if nf4:
        quantize_nf4(model, device)
    return model.to(device=device).eval()


def compile_layers(model: Any, backend: str = "inductor") -> None:
    """Each decoder layer's kernels fused, for any shape of batch; the layers share what is compiled. It takes a minute, and
    pays where a step spends its time in small operations over many tokens: on a GPU. What enters the first layer carries
    gradients as what enters the others does, or that layer would be compiled apart.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    model.get_input_embeddings().register_forward_hook(lambda module, given, hidden: hidden.requires_grad_())
    for layer in model.model.layers:
        layer.compile(backend=backend, dynamic=True)


def decoder_config(path: Path) -> DecoderConfig:
    """What adapters of the model have to fit. Raises ModelError."""
    return read_config(HuggingFaceFolder(path) if path.is_dir() else GGUFFile(path))


def stored_name(module: str) -> str:
    """GGUF's name, without `.weight`, of one of transformers' modules of a Llama."""
    _, _, layer, rest = module.split(".", 3)
    return f"blk.{layer}.{_STORED[rest]}"


def quantize_nf4(model: torch.nn.Module, device: str) -> None:
    """The linear layers that adapters change, as NF4 with double quantization, one by one (Dettmers et al. 2023)."""
    import bitsandbytes

    for name, module in list(model.named_modules()):
        parent, _, own = name.rpartition(".")
        if own not in TARGETS or not isinstance(module, torch.nn.Linear):
            continue
        quantized = bitsandbytes.nn.Linear4bit(
            module.in_features, module.out_features, bias=module.bias is not None, compute_dtype=torch.bfloat16,
            compress_statistics=True, quant_type="nf4", device="meta",
        )  # fmt: skip
        quantized.weight = bitsandbytes.nn.Params4bit(
            module.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4"
        )
        quantized.bias = module.bias
        setattr(model.get_submodule(parent), own, quantized.to(device))


def _check_nf4(device: str) -> None:
    if device != "cuda":
        raise ModelError("an NF4 base (--qlora) needs an NVIDIA GPU; without one, train beside the base as it is")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError('an NF4 base (--qlora) needs bitsandbytes: pip install "portico-mcp[tune-gpu]"')


def _from_folder(path: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(path, dtype=dtype, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} can't be trained beside: {str(error).splitlines()[0]}") from None


def _from_gguf(path: Path) -> Any:
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
    return model


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
