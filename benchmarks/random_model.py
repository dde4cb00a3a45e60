"""A GGUF file of a given shape with random weights: speed without a download. Its answers are noise."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from portico_engine.models.config import DecoderConfig, RopeConfig
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
_Q4_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("qs", "u1", 16)])
_Q8_0 = np.dtype([("d", "<f2"), ("qs", "i1", 32)])


def write_random(path: Path, config: DecoderConfig, tokenizer: GGUFFile) -> Path:
    """Layers in Q4_1, embedding and head in Q8_0, and the tokenizer of another file, whose vocabulary may be smaller."""
    writer = gguf.GGUFWriter(path, config.architecture)
    writer.add_name(path.stem)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.feed_forward)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope.base)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    _copy_tokenizer(writer, tokenizer)
    _Tensors(writer, config).add_all()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _copy_tokenizer(writer: gguf.GGUFWriter, source: GGUFFile) -> None:
    for key, value in source.metadata.items():
        if not key.startswith("tokenizer."):
            continue
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value if isinstance(value, list) else value.tolist())


class _Tensors:
    """Matrices of one format are views of the same random blocks: the speed is that of different ones, since each tensor has
    its own place in the file and on the device."""

    def __init__(self, writer: gguf.GGUFWriter, config: DecoderConfig) -> None:
        self._writer = writer
        self._config = config
        rng = np.random.default_rng(1)
        scale = config.hidden**-0.5
        self._q4 = np.zeros(config.feed_forward * config.hidden // 32, _Q4_1)
        self._q4["d"] = scale / 4.6
        self._q4["m"] = -7.5 * scale / 4.6
        self._q4["qs"] = np.frombuffer(rng.bytes(self._q4.size * 16), np.uint8).reshape(-1, 16)
        self._q8 = np.zeros(config.vocab_size * config.hidden // 32, _Q8_0)
        self._q8["d"] = scale / 73
        self._q8["qs"] = np.frombuffer(rng.bytes(self._q8.size * 32), np.int8).reshape(-1, 32)

    def add_all(self) -> None:
        config = self._config
        kv = config.n_kv_heads * config.head_dim
        self._matrix("token_embd", config.vocab_size, config.hidden, Q.Q8_0)
        self._matrix("output", config.vocab_size, config.hidden, Q.Q8_0)
        self._norm("output_norm")
        for i in range(config.n_layers):
            at = f"blk.{i}"
            self._norm(f"{at}.attn_norm")
            self._norm(f"{at}.ffn_norm")
            self._matrix(f"{at}.attn_q", config.n_heads * config.head_dim, config.hidden)
            self._matrix(f"{at}.attn_k", kv, config.hidden)
            self._matrix(f"{at}.attn_v", kv, config.hidden)
            self._matrix(f"{at}.attn_output", config.hidden, config.n_heads * config.head_dim)
            self._matrix(f"{at}.ffn_gate", config.feed_forward, config.hidden)
            self._matrix(f"{at}.ffn_up", config.feed_forward, config.hidden)
            self._matrix(f"{at}.ffn_down", config.hidden, config.feed_forward)

    def _matrix(self, name: str, n_out: int, n_in: int, kind: gguf.GGMLQuantizationType = Q.Q4_1) -> None:
        blocks = self._q4 if kind == Q.Q4_1 else self._q8
        data = blocks[: n_out * n_in // 32].view(np.uint8).reshape(n_out, -1)
        self._writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)

    def _norm(self, name: str) -> None:
        self._writer.add_tensor(f"{name}.weight", np.ones(self._config.hidden, np.float32))
