"""What shape a decoder has, read from a model file's metadata.

It owns the list of supported architectures and the checks that the numbers make sense. It knows no tensors but the embedding's
shape. Keys are GGUF's; a Hugging Face folder presents its config.json under them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple, TypeAlias

from portico_engine.errors import ModelError, UnsupportedModel
from portico_engine.weights.model_file import ModelFile

Routing: TypeAlias = Literal["softmax", "sigmoid", "softmax of chosen"]
Activation: TypeAlias = Literal["silu", "gelu", "clamped"]  # of gates: SwiGLU, GeGLU (both Shazeer 2020), gpt-oss's own
NORM_OFFSET = "portico.norm_offset"  # metadata: what a folder's norms lack
_MOST_LAYERS = 1000


class _Family(NamedTuple):
    """What an architecture's name says and its metadata doesn't."""

    permuted: bool = False  # GGUF's converter stores query and key rows for interleaved rotary pairs
    normalized_experts: bool = True  # the chosen experts' weights add up to 1
    unrotated_every: int = 0  # 4: the fourth layer, the eighth, ... have no rotary embedding
    full_every: int = 0  # where there is a window of attention: 6: the sixth layer, the twelfth, ... see everything
    activation: Activation = "silu"
    scaled_embedding: bool = False  # by the root of its size
    local_base: float | None = None  # of rotary embedding in layers with a window
    routing: Routing = "softmax"
    whole_yarn: bool = False  # its bounds are no whole pairs of dimensions


_FAMILIES = {
    "llama": _Family(permuted=True),
    "qwen2": _Family(),
    "qwen3": _Family(),
    "qwen2moe": _Family(normalized_experts=False),
    "qwen3moe": _Family(),
    "granite": _Family(permuted=True),
    "granitemoe": _Family(permuted=True),
    "smollm3": _Family(permuted=True, unrotated_every=4),
    "phi3": _Family(),
    "internlm2": _Family(permuted=True),
    "ernie4_5": _Family(permuted=True),
    "exaone": _Family(),
    "gemma3": _Family(full_every=6, activation="gelu", scaled_embedding=True, local_base=10_000.0),
    "gpt-oss": _Family(full_every=2, activation="clamped", routing="softmax of chosen", whole_yarn=True),
    "mistral3": _Family(permuted=True),
    "deepseek2": _Family(normalized_experts=False),
    "lfm2": _Family(),
}
_GATING: dict[int, Routing] = {1: "softmax", 2: "sigmoid", 3: "softmax of chosen"}  # GGUF's numbers
_GEMMA3_27B = 62  # layers; it alone scales queries by the hidden size a head


@dataclass(frozen=True, slots=True)
class YarnConfig:
    """Rotary frequencies between those of training and those divided by the factor (Peng et al. 2023)."""

    factor: float
    original_context: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    whole: bool = True  # the bounds are rounded to whole pairs of dimensions


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding (Su et al. 2021). What divides single frequencies comes as tensors, for Llama 3 and LongRoPE."""

    base: float
    linear_factor: float = 1.0
    dimensions: int | None = None  # the first so many of a head; None: all
    yarn: YarnConfig | None = None
    magnitude: float = 1.0  # of cosines and sines
    long_beyond: int | None = None  # LongRoPE: contexts longer than this take the long factors


@dataclass(frozen=True, slots=True)
class ExpertsConfig:
    """A mixture of experts in place of each feed-forward (Shazeer et al. 2017), of which a token takes the likeliest `used`."""

    count: int
    used: int
    feed_forward: int
    normalized: bool
    shared_feed_forward: int = 0  # of an expert that every token takes
    routing: Routing = "softmax"
    scale: float = 1.0  # of the experts' shares
    groups: int = 1  # of experts, of which only `groups_used` are chosen from
    groups_used: int = 1
    dense_layers: int = 0  # the first so many have a feed-forward
    held: range | None = None  # those that this decoder has, the others being another rank's; None: all

    @property
    def own(self) -> range:
        """The experts that this decoder has."""
        return range(self.count) if self.held is None else self.held


@dataclass(frozen=True, slots=True)
class LatentConfig:
    """Multi-head latent attention: sizes of the latent vectors, and of the parts of a head."""

    query_rank: int  # 0: queries have no latent vector
    kv_rank: int
    plain: int  # of a head's keys, not rotated
    rope: int  # of all heads' one key, rotated
    value: int


@dataclass(frozen=True, slots=True)
class Scales:
    """Constant factors of Granite."""

    embedding: float = 1.0
    residual: float = 1.0  # of what a layer adds
    logits: float = 1.0
    queries: float = 1.0  # beside 1 / sqrt(head_dim)
    long_queries: tuple[float, int] | None = None  # b, n: times 1 + b ln(1 + position // n), Llama 4's temperature


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
    experts: ExpertsConfig | None = None
    scales: Scales = Scales()
    unrotated_every: int = 0
    windows: tuple[int, ...] = ()  # by layer: how many positions a token sees, its own the last; 0: all. Empty: all of them 0
    local_rope: RopeConfig | None = None  # of layers with a window, where they have another
    activation: Activation = "silu"
    norm_offset: float = 0.0  # what is to be added to the file's norms
    latent: LatentConfig | None = None  # then one key/value head is cached, of head_dim kv_rank + rope
    conv_layers: tuple[bool, ...] = ()  # which layers have a short convolution in place of attention; empty: none
    conv_length: int = 0  # of its kernel

    @property
    def group(self) -> int:
        """Query heads a key/value head."""
        return self.n_heads // self.n_kv_heads

    @property
    def rotary_dim(self) -> int:
        """Dimensions of a head that are rotated."""
        return self.rope.dimensions or self.head_dim

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of bf16 keys and values of one position over all layers."""
        return self.kv_places[-1] * 2 * self.n_kv_heads * self.head_dim * 2

    @property
    def kv_places(self) -> tuple[int, ...]:
        """Where each layer's keys and values begin, in layers of keys and values, and where the last one's end. A convolution's
        inputs take as many as hold them.
        """
        of_conv = -(-self.hidden // (2 * self.n_kv_heads * self.head_dim))
        sizes = (of_conv if conv else 1 for conv in self.conv_layers or (False,) * self.n_layers)
        return tuple(accumulate(sizes, initial=0))

    @property
    def interleaves_rotary(self) -> bool:
        """Do GGUF files of this family, adapters among them, store query and key rows for interleaved rotary pairs?"""
        return _FAMILIES[self.architecture].permuted

    def window(self, layer: int) -> int:
        """Positions that a token sees in this layer, its own among them; 0: all."""
        return self.windows[layer] if self.windows else 0

    @property
    def widest_window(self) -> int:
        """Of positions that are further away no layer sees anything; 0 where one sees all."""
        return max(self.windows) if self.windows and all(self.windows) else 0

    def rotates(self, layer: int) -> bool:
        """Has this layer a rotary embedding?"""
        return self.unrotated_every == 0 or (layer + 1) % self.unrotated_every != 0


def read_config(file: ModelFile) -> DecoderConfig:
    """The decoder's shape. Raises ModelError where the architecture isn't one of the supported, or a number is off."""
    arch = file.get("general.architecture", str)
    family = _FAMILIES.get(arch)
    if family is None:
        raise UnsupportedModel(
            f"{file.path}: the architecture {arch!r} is not supported; supported are {', '.join(_FAMILIES)} "
            "(Llama, SmolLM, Mistral, Mixtral, TinyLlama and the like are 'llama')"
        )
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ModelError(f"{file.path} holds a vocabulary but no weights (token_embd.weight is missing)")
    n_layers = file.get(f"{arch}.block_count", int)
    if n_layers > len(file.tensors):  # before anything is made for each of them
        raise ModelError(f"{file.path}: {arch}.block_count is {n_layers}, more than the file's {len(file.tensors)} tensors")
    n_heads = file.get(f"{arch}.attention.head_count", int)
    hidden = file.get(f"{arch}.embedding_length", int)
    kv_heads = _read_kv_heads(file, arch, n_heads)
    head_dim = file.get(f"{arch}.attention.key_length", int, hidden // max(n_heads, 1))
    latent = _read_latent(file, arch)
    if latent is not None:
        head_dim = latent.kv_rank + latent.rope
    config = DecoderConfig(
        architecture=arch,
        n_layers=n_layers,
        hidden=hidden,
        feed_forward=file.get(f"{arch}.feed_forward_length", int),
        n_heads=n_heads,
        n_kv_heads=1 if latent else max(kv_heads),
        head_dim=head_dim,
        vocab_size=embedding.shape[0],
        context_length=file.get(f"{arch}.context_length", int),
        norm_eps=file.get(f"{arch}.attention.layer_norm_rms_epsilon", float),
        rope=_read_rope(file, arch, family),
        permuted_rotary=family.permuted and file.interleaves_rotary,
        experts=_read_experts(file, arch, family),
        scales=_read_scales(file, arch, head_dim, latent),
        unrotated_every=family.unrotated_every,
        windows=_read_windows(file, arch, family),
        local_rope=_local_rope(file, arch, family),
        activation=family.activation,
        norm_offset=file.get(NORM_OFFSET, float, 0.0),
        latent=latent,
        conv_layers=tuple(n == 0 for n in kv_heads) if 0 in kv_heads and len(kv_heads) > 1 else (),
        conv_length=file.get(f"{arch}.shortconv.l_cache", int, 0),
    )
    _check(file, config)
    return config


def _read_kv_heads(file: ModelFile, arch: str, n_heads: int) -> tuple[int, ...]:
    """Of all layers, or of each: 0 of those without attention."""
    key = f"{arch}.attention.head_count_kv"
    value = file.metadata.get(key)
    if value is None or isinstance(value, int | str | float):
        return (file.get(key, int, n_heads),)
    try:
        heads = tuple(int(n) for n in value)
    except (TypeError, ValueError):
        raise ModelError(f"{file.path}: the metadata key {key} must be a whole number, or one for each layer") from None
    if len(heads) != file.get(f"{arch}.block_count", int) or len(set(heads) - {0}) != 1:
        raise UnsupportedModel(f"{file.path}: {key} is {list(heads)}; one number for all layers with attention is supported")
    if 0 in heads and file.get(f"{arch}.shortconv.l_cache", int, 0) < 1:
        raise UnsupportedModel(f"{file.path}: {arch} has layers without attention, and no short convolution in them")
    return heads


def _read_latent(file: ModelFile, arch: str) -> LatentConfig | None:
    rank = file.get(f"{arch}.attention.kv_lora_rank", int, 0)
    if not rank:
        return None
    at = f"{arch}.attention"
    rope = file.get(f"{arch}.rope.dimension_count", int)
    key = file.get(f"{at}.key_length_mla", int, file.get(f"{at}.key_length", int, 0))
    value = file.get(f"{at}.value_length_mla", int, file.get(f"{at}.value_length", int, 0))
    if not 0 < rope < key or rope % 2 or value <= 0 or rank < 0:
        raise ModelError(f"{file.path}: heads of {key} with {rope} rotated, values of {value} make no sense")
    return LatentConfig(file.get(f"{at}.q_lora_rank", int, 0), rank, key - rope, rope, value)


def _read_windows(file: ModelFile, arch: str, family: _Family) -> tuple[int, ...]:
    window = file.get(f"{arch}.attention.sliding_window", int, 0)
    layers = file.get(f"{arch}.block_count", int)
    if not window or not 0 < layers <= _MOST_LAYERS:
        return ()
    if window < 0:
        raise ModelError(f"{file.path}: the metadata key {arch}.attention.sliding_window is {window}; it must be positive")
    key = f"{arch}.attention.sliding_window_pattern"
    pattern = file.metadata.get(key, family.full_every)
    if isinstance(pattern, int):
        return tuple(0 if pattern and (i + 1) % pattern == 0 else window for i in range(layers))
    if len(pattern) != layers:
        raise ModelError(f"{file.path}: the metadata key {key} is of {len(pattern)} layers, not {layers}")
    return tuple(window if one else 0 for one in pattern)


def _local_rope(file: ModelFile, arch: str, family: _Family) -> RopeConfig | None:
    base = file.get(f"{arch}.rope.freq_base_swa", float, family.local_base or 0.0)
    return RopeConfig(base, dimensions=file.get(f"{arch}.rope.dimension_count", int, 0) or None) if base > 1 else None


def _read_rope(file: ModelFile, arch: str, family: _Family) -> RopeConfig:
    base = file.get(f"{arch}.rope.freq_base", float, 10_000.0)
    dimensions = file.get(f"{arch}.rope.dimension_count", int, 0) or None
    at = f"{arch}.rope.scaling"
    kind = file.get(f"{at}.type", str, "none")
    magnitude = file.get(f"{at}.attn_factor", float, 1.0)
    original = file.get(f"{at}.original_context_length", int, file.get(f"{arch}.context_length", int))
    if kind == "linear":
        return RopeConfig(base, file.get(f"{at}.factor", float), dimensions)
    if kind == "yarn":
        factor = file.get(f"{at}.factor", float)
        fast, slow = file.get(f"{at}.yarn_beta_fast", float, 32.0), file.get(f"{at}.yarn_beta_slow", float, 1.0)
        if not 1 <= factor < math.inf:
            raise ModelError(f"{file.path}: the metadata key {at}.factor is {factor}; yarn stretches by 1 or more")
        magnitude *= 1 + 0.1 * math.log(factor)
        yarn = YarnConfig(factor, original, fast, slow, whole=not family.whole_yarn)
        return RopeConfig(base, dimensions=dimensions, yarn=yarn, magnitude=magnitude)
    if kind == "longrope":
        return RopeConfig(base, dimensions=dimensions, magnitude=magnitude, long_beyond=original)
    if kind != "none":
        raise UnsupportedModel(
            f"{file.path}: rotary scaling of type {kind!r} is not supported; "
            "'none', 'linear', 'yarn' and 'longrope' are, and factors as a tensor"
        )
    return RopeConfig(base, file.get(f"{arch}.rope.scale_linear", float, 1.0), dimensions)


def _read_experts(file: ModelFile, arch: str, family: _Family) -> ExpertsConfig | None:
    count = file.get(f"{arch}.expert_count", int, 0)
    if not count:
        return None
    used = file.get(f"{arch}.expert_used_count", int)
    if not 1 <= used <= count:
        raise ModelError(f"{file.path}: {used} of {count} experts can't be used for a token ({arch}.expert_used_count)")
    feed_forward = file.get(f"{arch}.expert_feed_forward_length", int, file.get(f"{arch}.feed_forward_length", int))
    shared = file.get(f"{arch}.expert_shared_feed_forward_length", int, 0)
    normalized = file.get(f"{arch}.expert_weights_norm", bool, family.normalized_experts)
    shared = shared or feed_forward * file.get(f"{arch}.expert_shared_count", int, 0)
    gating = file.get(f"{arch}.expert_gating_func", int, 0)
    groups, groups_used = file.get(f"{arch}.expert_group_count", int, 1), file.get(f"{arch}.expert_group_used_count", int, 1)
    if groups < 1 or count % groups or not 1 <= groups_used <= groups:
        raise ModelError(f"{file.path}: {groups_used} of {groups} groups of {count} experts can't be chosen from")
    return ExpertsConfig(
        count,
        used,
        feed_forward,
        normalized,
        shared,
        routing=_GATING.get(gating, family.routing),
        scale=file.get(f"{arch}.expert_weights_scale", float, 1.0) or 1.0,
        groups=groups,
        groups_used=groups_used,
        dense_layers=file.get(f"{arch}.leading_dense_block_count", int, 0),
    )


def _read_scales(file: ModelFile, arch: str, head_dim: int, latent: LatentConfig | None) -> Scales:
    attention = file.get(f"{arch}.attention.scale", float, 0.0)
    hidden = file.get(f"{arch}.embedding_length", int)
    if arch == "gemma3" and not attention and file.get(f"{arch}.block_count", int) == _GEMMA3_27B:
        attention = math.sqrt(file.get(f"{arch}.attention.head_count", int) / max(hidden, 1))
    if latent is not None:
        # GGUF keeps 0.1 times the scale of logarithms; both scores' factors have it.
        stretch = file.get(f"{arch}.rope.scaling.factor", float, 1.0)
        times = 1 + file.get(f"{arch}.rope.scaling.yarn_log_multiplier", float, 0.0) * math.log(max(stretch, 1.0))
        attention = (latent.plain + latent.rope) ** -0.5 * times * times
    scaled = math.sqrt(max(hidden, 1)) if _FAMILIES[arch].scaled_embedding else 1.0
    beta = file.get(f"{arch}.attention.temperature_scale", float, 0.0)
    scales = Scales(
        embedding=file.get(f"{arch}.embedding_scale", float, scaled),
        residual=file.get(f"{arch}.residual_scale", float, 1.0),
        logits=1 / (file.get(f"{arch}.logit_scale", float, 1.0) or math.nan),
        queries=attention * math.sqrt(max(head_dim, 1)) if attention else 1.0,
        long_queries=(beta, max(file.get(f"{arch}.rope.scaling.original_context_length", int, 1), 1)) if beta else None,
    )
    if not all(0 < value < math.inf for value in (scales.embedding, scales.residual, scales.logits, scales.queries)):
        raise ModelError(f"{file.path}: one of the scales of {arch} is not a positive number: {scales}")
    return scales


def _check(file: ModelFile, config: DecoderConfig) -> None:
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
    if config.head_dim % 2 or config.rotary_dim % 2:
        raise ModelError(f"{file.path}: {config.rotary_dim} rotary dimensions of {config.head_dim} are no pairs")
    if not 0 < config.rotary_dim <= config.head_dim:
        raise ModelError(
            f"{file.path}: rotary embedding over {config.rotary_dim} of {config.head_dim} dimensions makes no sense"
        )
    if config.latent is None and file.get(f"{arch}.attention.value_length", int, config.head_dim) != config.head_dim:
        raise UnsupportedModel(f"{file.path}: keys and values of different sizes are not supported")
    _check_rope(file, arch, config.rope)


def _check_rope(file: ModelFile, arch: str, rope: RopeConfig) -> None:
    numbers = {"freq_base": rope.base, "scaling.factor": rope.linear_factor, "scaling.attn_factor": rope.magnitude}
    if rope.yarn is not None:
        numbers |= {
            "freq_base - 1": rope.base - 1,
            "scaling.original_context_length": rope.yarn.original_context,
            "scaling.yarn_beta_fast": rope.yarn.beta_fast,
            "scaling.yarn_beta_slow": rope.yarn.beta_slow,
        }
    for key, value in numbers.items():
        if not 0 < value < math.inf:
            raise ModelError(f"{file.path}: the metadata key {arch}.rope.{key} is {value}; it must be positive and finite")
