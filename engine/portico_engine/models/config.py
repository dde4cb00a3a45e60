"""What shape a decoder has, read from a GGUF file's metadata.

It owns the list of supported architectures and the checks that the numbers make sense. It knows no tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from portico_engine.errors import ModelError
from portico_engine.weights.gguf_file import GGUFFile

# Llama-type decoders. `permuted`: the converter stored query and key rows for interleaved rotary pairs.
_PERMUTED = {"llama": True, "qwen2": False, "qwen3": False}


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding (Su et al. 2021), with linear position scaling. Llama 3's frequency factors come as a tensor."""

    base: float
    linear_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Shape of a Llama-type decoder."""

    architecture: str
    n_layers: int
    hidden: int
    feed_forward: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    norm_eps: float
    rope: RopeConfig
    permuted_rotary: bool

    @property
    def group(self) -> int:
        """Query heads a key/value head."""
        return self.n_heads // self.n_kv_heads

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of bf16 keys and values of one position over all layers."""
        return self.n_layers * 2 * self.n_kv_heads * self.head_dim * 2


def read_config(file: GGUFFile) -> DecoderConfig:
    """The decoder's shape. Raises ModelError where the architecture isn't one of the supported, or a number is off."""
    arch = file.get("general.architecture", str)
    if arch not in _PERMUTED:
        raise ModelError(
            f"{file.path}: the architecture {arch!r} is not supported; supported are {', '.join(_PERMUTED)} "
            "(Llama, SmolLM, Mistral, TinyLlama and the like are 'llama')"
        )
    if file.get(f"{arch}.expert_count", int, 0):
        raise ModelError(f"{file.path} is a mixture of experts ({arch}), which is not supported")
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ModelError(f"{file.path} holds a vocabulary but no weights (token_embd.weight is missing)")
    n_heads = file.get(f"{arch}.attention.head_count", int)
    hidden = file.get(f"{arch}.embedding_length", int)
    config = DecoderConfig(
        architecture=arch,
        n_layers=file.get(f"{arch}.block_count", int),
        hidden=hidden,
        feed_forward=file.get(f"{arch}.feed_forward_length", int),
        n_heads=n_heads,
        n_kv_heads=file.get(f"{arch}.attention.head_count_kv", int, n_heads),
        head_dim=file.get(f"{arch}.attention.key_length", int, hidden // max(n_heads, 1)),
        vocab_size=embedding.shape[0],
        context_length=file.get(f"{arch}.context_length", int),
        norm_eps=file.get(f"{arch}.attention.layer_norm_rms_epsilon", float),
        rope=_read_rope(file, arch),
        permuted_rotary=_PERMUTED[arch],
    )
    _check(file, config)
    return config


def _read_rope(file: GGUFFile, arch: str) -> RopeConfig:
    base = file.get(f"{arch}.rope.freq_base", float, 10_000.0)
    kind = file.get(f"{arch}.rope.scaling.type", str, "none")
    if kind == "linear":
        return RopeConfig(base, file.get(f"{arch}.rope.scaling.factor", float))
    if kind != "none":
        raise ModelError(
            f"{file.path}: rotary scaling of type {kind!r} is not supported; 'none' and 'linear' are, and factors as a tensor"
        )
    return RopeConfig(base, file.get(f"{arch}.rope.scale_linear", float, 1.0))


def _check(file: GGUFFile, config: DecoderConfig) -> None:
    arch = config.architecture
    sizes = {
        "block_count": config.n_layers,
        "embedding_length": config.hidden,
        "feed_forward_length": config.feed_forward,
        "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.n_kv_heads,
        "context_length": config.context_length,
    }
    for key, value in sizes.items():
        if value <= 0:
            raise ModelError(f"{file.path}: the metadata key {arch}.{key} is {value}; it must be positive")
    if config.n_heads % config.n_kv_heads:
        raise ModelError(f"{file.path}: {config.n_heads} query heads can't share {config.n_kv_heads} key/value heads")
    if config.head_dim % 2:
        raise ModelError(f"{file.path}: a head size of {config.head_dim} has no rotary pairs")
    rotary = file.get(f"{arch}.rope.dimension_count", int, config.head_dim)
    if rotary != config.head_dim:
        raise ModelError(f"{file.path}: rotary embedding over {rotary} of {config.head_dim} dimensions is not supported")
    if file.get(f"{arch}.attention.value_length", int, config.head_dim) != config.head_dim:
        raise ModelError(f"{file.path}: keys and values of different sizes are not supported")
    if not (config.rope.base > 0 and math.isfinite(config.rope.base) and config.rope.linear_factor > 0):
        raise ModelError(
            f"{file.path}: a rotary base of {config.rope.base} or factor of {config.rope.linear_factor} makes no sense"
        )
