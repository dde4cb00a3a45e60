"""A GGUF file's tensors as a decoder's weights in torch.

It owns names, the fusing of matrices that read the same input, the undoing of the converter's rotary permutation, and the
reading of the 4-bit formats without requantizing. It knows neither KV nor batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.linear import GROUP, Codes, Linear

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer. Norms are float32 [hidden]; qkv and gate_up are fused along their rows."""

    attention_norm: Tensor
    qkv: Linear
    out: Linear
    ffn_norm: Tensor
    gate_up: Linear
    down: Linear
    query_norm: Tensor | None = None  # [head_dim], Qwen3
    key_norm: Tensor | None = None


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    """All of a decoder. `embedding` and `head` are bf16 [vocab_size, hidden], the same tensor where tied."""

    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Linear
    rope_factors: Tensor | None  # float32 [head_dim / 2], divides the frequencies

    @property
    def has_int4(self) -> bool:
        return any(layer.down.has_int4 for layer in self.layers)


def load_weights(file: GGUFFile, config: DecoderConfig, *, int4: bool, progress: Progress | None = None) -> DecoderWeights:
    """Read everything. Raises ModelError naming a tensor that is missing or of another shape than the metadata says."""
    reader = _Reader(file, config, int4)
    layers = []
    for i in range(config.n_layers):
        if progress:
            progress("weights", i / config.n_layers)
        layers.append(reader.layer(i))
    tied = "output.weight" not in file.tensors
    head = reader.linear(("token_embd" if tied else "output", config.vocab_size, None), n_in=config.hidden)
    embedding = head.weight if tied else reader.matrix("token_embd.weight", config.vocab_size, config.hidden)
    factors = reader.vector("rope_freqs.weight", config.head_dim // 2) if "rope_freqs.weight" in file.tensors else None
    norm = reader.vector("output_norm.weight", config.hidden)
    weights = DecoderWeights(embedding, tuple(layers), norm, head, factors)
    if progress:
        progress("weights", 1.0)
    return weights


class _Reader:
    def __init__(self, file: GGUFFile, config: DecoderConfig, int4: bool) -> None:
        self._file = file
        self._config = config
        self._int4 = int4

    def layer(self, i: int) -> LayerWeights:
        config, at = self._config, f"blk.{i}"
        q, kv = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        has_norms = f"{at}.attn_q_norm.weight" in self._file.tensors
        return LayerWeights(
            attention_norm=self.vector(f"{at}.attn_norm.weight", config.hidden),
            qkv=self.linear(
                (f"{at}.attn_q", q, self._rotary_order(config.n_heads)),
                (f"{at}.attn_k", kv, self._rotary_order(config.n_kv_heads)),
                (f"{at}.attn_v", kv, None),
                n_in=config.hidden,
            ),
            out=self.linear((f"{at}.attn_output", config.hidden, None), n_in=q),
            ffn_norm=self.vector(f"{at}.ffn_norm.weight", config.hidden),
            gate_up=self.linear(
                (f"{at}.ffn_gate", config.feed_forward, None), (f"{at}.ffn_up", config.feed_forward, None), n_in=config.hidden
            ),
            down=self.linear((f"{at}.ffn_down", config.hidden, None), n_in=config.feed_forward),
            query_norm=self._head_norm(f"{at}.attn_q_norm.weight") if has_norms else None,
            key_norm=self._head_norm(f"{at}.attn_k_norm.weight") if has_norms else None,
        )

    def vector(self, name: str, size: int) -> Tensor:
        self._expect(name, (size,))
        return torch.from_numpy(np.array(self._file.dequantize(name)))

    def _head_norm(self, name: str) -> Tensor:
        return _ordered(self.vector(name, self._config.head_dim), self._rotary_order(1))

    def matrix(self, name: str, n_out: int, n_in: int) -> Tensor:
        """bf16 [n_out, n_in]."""
        self._expect(name, (n_out, n_in))
        kind = self._file.tensors[name].type
        if kind == Q.Q8_0:
            blocks = self._blocks(name, n_out, n_in, 34)
            codes = blocks[..., 2:].contiguous().view(torch.int8)
            return codes.mul(_half(blocks, 0).unsqueeze(-1)).to(torch.bfloat16).view(n_out, n_in)
        unpacked = self._four_bit(name, n_out, n_in)
        if unpacked is not None:
            codes, d, low = unpacked
            return torch.addcmul(low.unsqueeze(-1), codes, d.unsqueeze(-1)).to(torch.bfloat16).view(n_out, n_in)
        return torch.from_numpy(np.array(self._file.dequantize(name))).to(torch.bfloat16)

    def linear(self, *parts: tuple[str, int, Tensor | None], n_in: int) -> Linear:
        """A product of matrices stacked by rows, each with its own order of rows."""
        rows = [self.matrix(f"{name}.weight", n_out, n_in) for name, n_out, _ in parts]
        weight = torch.cat([_ordered(matrix, order) for matrix, (_, _, order) in zip(rows, parts, strict=True)])
        biases = [
            _ordered(self.vector(f"{name}.bias", n_out), order) if f"{name}.bias" in self._file.tensors else torch.zeros(n_out)
            for name, n_out, order in parts
        ]
        any_bias = any(f"{name}.bias" in self._file.tensors for name, _, _ in parts)
        int4 = self._codes(parts, n_in) if self._int4 else ()
        return Linear(weight, torch.cat(biases).to(torch.bfloat16) if any_bias else None, int4)

    def _codes(self, parts: tuple[tuple[str, int, Tensor | None], ...], n_in: int) -> tuple[Codes, ...]:
        """The matrix for the 4-bit product in one or two passes; none where a part's format has no such codes."""
        passes: list[list[Codes]] = []
        for name, n_out, order in parts:
            halves = self._passes(f"{name}.weight", n_out, n_in)
            if not halves or n_out % 16:
                return ()
            passes.append([Codes(_ordered(codes, order), _ordered(scales, order)) for codes, scales in halves])
        if len({len(halves) for halves in passes}) > 1:
            return ()
        return tuple(
            Codes(
                torch.cat([part.codes for part in same]).to(torch.int32),
                torch.cat([part.scales for part in same]).transpose(0, 1).to(torch.bfloat16).contiguous(),
            )
            for same in zip(*passes, strict=True)
        )

    def _passes(self, name: str, n_out: int, n_in: int) -> list[tuple[Tensor, Tensor]]:
        """Codes [n_out, n_in] and float32 scales [n_out, n_in/32, 2] whose products add up to the matrix's."""
        four = self._four_bit(name, n_out, n_in)
        if four is not None:
            codes, d, low = four
            return [(codes.view(n_out, n_in), torch.stack([d, low + 8 * d], dim=-1))]
        if self._file.tensors[name].type == Q.Q8_0:  # code = 16 (high - 8) + low
            blocks = self._blocks(name, n_out, n_in, 34)
            d = _half(blocks, 0)
            codes = (blocks[..., 2:] ^ 128).reshape(n_out, n_in)
            return [
                (codes >> 4, torch.stack([16 * d, torch.zeros_like(d)], dim=-1)),
                (codes & 15, torch.stack([d, 8 * d], dim=-1)),
            ]
        return []

    def _four_bit(self, name: str, n_out: int, n_in: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Codes uint8 [n_out, n_in/32, 32] and float32 d, low [n_out, n_in/32]: w = code d + low. None for other formats."""
        kind = self._file.tensors[name].type
        if kind == Q.Q4_1:
            blocks = self._blocks(name, n_out, n_in, 20)
            d, low, nibbles = _half(blocks, 0), _half(blocks, 2), blocks[..., 4:]
        elif kind == Q.Q4_0:
            blocks = self._blocks(name, n_out, n_in, 18)
            d, nibbles = _half(blocks, 0), blocks[..., 2:]
            low = -8 * d
        else:
            return None
        return torch.cat([nibbles & 15, nibbles >> 4], dim=-1), d, low

    def _blocks(self, name: str, n_out: int, n_in: int, block_bytes: int) -> Tensor:
        self._expect(name, (n_out, n_in))
        return torch.from_numpy(self._file.raw(name).copy()).view(n_out, n_in // GROUP, block_bytes)

    def _rotary_order(self, n_heads: int) -> Tensor | None:
        """Rows from interleaved rotary pairs to halves, which torch rotates in fewer operations."""
        if not self._config.permuted_rotary:
            return None
        half = self._config.head_dim // 2
        return torch.arange(n_heads * half * 2).view(n_heads, half, 2).transpose(1, 2).reshape(-1)

    def _expect(self, name: str, shape: tuple[int, ...]) -> None:
        info = self._file.tensors.get(name)
        if info is None:
            raise ModelError(f"{self._file.path}: the tensor {name} is missing")
        if info.shape != shape:
            raise ModelError(f"{self._file.path}: the tensor {name} has the shape {info.shape}; the metadata calls for {shape}")


def _ordered(rows: Tensor, order: Tensor | None) -> Tensor:
    return rows if order is None else rows[order]


def _half(blocks: Tensor, at: int) -> Tensor:
    """The float16 at this byte of every block, in float32."""
    return blocks[..., at : at + 2].contiguous().view(torch.float16).squeeze(-1).to(torch.float32)
