"""A GGUF file of a given shape with random weights: speed without a download. Its answers are noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import gguf
import numpy as np
import numpy.typing as npt

from portico_engine.conversion.metadata_values import write_values
from portico_engine.models.config import DecoderConfig, ExpertsConfig, RopeConfig
from portico_engine.weights.gguf_file import GGUFFile

Q = gguf.GGMLQuantizationType
LLAMA_8B = DecoderConfig(
    architecture="llama",
    n_layers=32,
    hidden=4096,
    feed_forward=14336,
    n_heads=32,
    n_kv_heads=8,
    head_dim=128,
    vocab_size=128256,
    context_length=8192,
    norm_eps=1e-5,
    rope=RopeConfig(500_000.0),
    permuted_rotary=True,
)
SMOLLM2_135M = DecoderConfig(
    architecture="llama",
    n_layers=30,
    hidden=576,
    feed_forward=1536,
    n_heads=9,
    n_kv_heads=3,
    head_dim=64,
    vocab_size=49152,
    context_length=8192,
    norm_eps=1e-5,
    rope=RopeConfig(100_000.0),
    permuted_rotary=True,
)
QWEN3_0_6B = DecoderConfig(
    architecture="qwen3",
    n_layers=28,
    hidden=1024,
    feed_forward=3072,
    n_heads=16,
    n_kv_heads=8,
    head_dim=128,
    vocab_size=151936,
    context_length=4096,
    norm_eps=1e-6,
    rope=RopeConfig(1_000_000.0),
    permuted_rotary=False,
)
QWEN3_MOE = replace(  # a small Qwen3-30B-A3B: an eighth of the experts' rows are read for a token
    QWEN3_0_6B, architecture="qwen3moe", n_layers=16, experts=ExpertsConfig(64, 8, 384, normalized=True)
)


class _Layout(NamedTuple):
    """Where a block's float16s are, and what they are for weights of standard deviation 1."""

    scale: int
    minimum: int | None
    deviation: float  # of code times inner scale
    middle: float  # of the codes


_LAYOUTS = {
    Q.Q4_0: _Layout(0, None, 4.6, 0),
    Q.Q4_1: _Layout(0, 2, 4.6, -7.5),
    Q.Q5_0: _Layout(0, None, 9.2, 0),
    Q.Q8_0: _Layout(0, None, 73, 0),
    Q.Q4_K: _Layout(0, 2, 31 * 4.6, 7.5),
    Q.Q5_K: _Layout(0, 2, 31 * 9.2, 15.5),
    Q.Q6_K: _Layout(208, None, 73 * 18, 0),
}
Recipe = Callable[[str, int], gguf.GGMLQuantizationType]


def q4_1(name: str, layer: int) -> gguf.GGMLQuantizationType:
    """Layers in Q4_1, embedding and head in Q8_0."""
    return Q.Q8_0 if layer < 0 else Q.Q4_1


def mixture(kind: gguf.GGMLQuantizationType, n_layers: int, embedding: gguf.GGMLQuantizationType = Q.Q6_K) -> Recipe:
    """llama.cpp's `_M`: more bits where they matter, in `attn_v` and `ffn_down` of half of the layers, and in the head."""

    def recipe(name: str, layer: int) -> gguf.GGMLQuantizationType:
        if layer < 0:
            return embedding if name == "token_embd" else Q.Q6_K
        more = layer < n_layers // 8 or layer >= 7 * n_layers // 8 or (layer - n_layers // 8) % 3 == 2
        return Q.Q6_K if name in ("attn_v", "ffn_down") and more else kind

    return recipe


def write_random(
    path: Path, config: DecoderConfig, tokenizer: GGUFFile, recipe: Recipe = q4_1, *, tied: bool = False, padded: bool = False
) -> Path:
    """`recipe` names a matrix's format by its name and layer (-1: embedding and head). The tokenizer is another file's,
    whose vocabulary may be smaller; `padded` fills it up, which llama.cpp wants."""
    writer = gguf.GGUFWriter(path, config.architecture)
    writer.add_name(path.stem)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.feed_forward)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope.base)
    writer.add_rope_dimension_count(config.head_dim)
    if config.experts is not None:
        writer.add_expert_count(config.experts.count)
        writer.add_expert_used_count(config.experts.used)
        writer.add_expert_feed_forward_length(config.experts.feed_forward)
    _copy_tokenizer(writer, tokenizer, config.vocab_size if padded else 0)
    _Tensors(writer, config, recipe).add_all(tied=tied)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _copy_tokenizer(writer: gguf.GGUFWriter, source: GGUFFile, size: int) -> None:
    values = {key: value for key, value in source.metadata.items() if key.startswith("tokenizer.")}
    for key, value in values.items():
        if key.endswith(".tokens"):
            values[key] = [*value, *(f"<unused {i}>" for i in range(len(value), size))]
        elif key.endswith(".token_type"):
            values[key] = [*map(int, value), *[gguf.TokenType.UNUSED] * (size - len(value))]
    write_values(writer, values)


class _Tensors:
    """Matrices of one format are views of the same random blocks: the speed is that of different ones, since each tensor has
    its own place in the file and on the device."""

    def __init__(self, writer: gguf.GGUFWriter, config: DecoderConfig, recipe: Recipe) -> None:
        self._writer = writer
        self._config = config
        self._recipe = recipe
        self._pools: dict[gguf.GGMLQuantizationType, npt.NDArray[np.uint8]] = {}

    def add_all(self, *, tied: bool) -> None:
        config = self._config
        kv = config.n_kv_heads * config.head_dim
        self._matrix("token_embd", config.vocab_size, config.hidden)
        if not tied:
            self._matrix("output", config.vocab_size, config.hidden)
        self._norm("output_norm", config.hidden)
        for i in range(config.n_layers):
            at = f"blk.{i}"
            self._norm(f"{at}.attn_norm", config.hidden)
            self._norm(f"{at}.ffn_norm", config.hidden)
            if config.architecture.startswith("qwen3"):
                self._norm(f"{at}.attn_q_norm", config.head_dim)
                self._norm(f"{at}.attn_k_norm", config.head_dim)
            self._matrix(f"{at}.attn_q", config.n_heads * config.head_dim, config.hidden, i)
            self._matrix(f"{at}.attn_k", kv, config.hidden, i)
            self._matrix(f"{at}.attn_v", kv, config.hidden, i)
            self._matrix(f"{at}.attn_output", config.hidden, config.n_heads * config.head_dim, i)
            if config.experts is None:
                self._matrix(f"{at}.ffn_gate", config.feed_forward, config.hidden, i)
                self._matrix(f"{at}.ffn_up", config.feed_forward, config.hidden, i)
                self._matrix(f"{at}.ffn_down", config.hidden, config.feed_forward, i)
            else:
                self._experts(at, config.experts, i)

    def _experts(self, at: str, experts: ExpertsConfig, layer: int) -> None:
        hidden, size = self._config.hidden, experts.feed_forward
        router = np.random.default_rng(layer).standard_normal((experts.count, hidden), np.float32)
        self._writer.add_tensor(f"{at}.ffn_gate_inp.weight", router)
        self._matrix(f"{at}.ffn_gate_exps", size, hidden, layer, experts.count)
        self._matrix(f"{at}.ffn_up_exps", size, hidden, layer, experts.count)
        self._matrix(f"{at}.ffn_down_exps", hidden, size, layer, experts.count)

    def _matrix(self, name: str, n_out: int, n_in: int, layer: int = -1, stacked: int = 0) -> None:
        kind = self._recipe(name.rpartition(".")[2], layer)
        block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        rows = n_out * max(stacked, 1)
        data = self._blocks(kind)[: rows * n_in // block * block_bytes].reshape(*([stacked] if stacked else []), n_out, -1)
        self._writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)

    def _blocks(self, kind: gguf.GGMLQuantizationType) -> npt.NDArray[np.uint8]:
        """Random blocks of a format, enough for the largest matrix."""
        if kind not in self._pools:
            config, layout = self._config, _LAYOUTS[kind]
            block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
            together = config.experts.count * config.experts.feed_forward if config.experts else 0
            count = config.hidden * max(config.vocab_size, config.feed_forward, together) // block
            blocks = np.frombuffer(np.random.default_rng(1).bytes(count * block_bytes), np.uint8).reshape(count, -1).copy()
            scale = config.hidden**-0.5 / layout.deviation
            for at, value in ((layout.scale, scale), (layout.minimum, layout.middle * scale)):
                if at is not None:
                    blocks[:, at : at + 2] = np.array([value], np.float16).view(np.uint8)
            self._pools[kind] = blocks.reshape(-1)
        return self._pools[kind]

    def _norm(self, name: str, size: int) -> None:
        self._writer.add_tensor(f"{name}.weight", np.ones(size, np.float32))
