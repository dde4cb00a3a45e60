"""A GGUF file's tensors as a decoder's weights in torch, on a device of the caller's choice.

It owns names, the fusing of matrices that read the same input, the undoing of the converter's rotary permutation, and the
reading of the 4-bit formats without requantizing. It knows neither KV nor batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig
from portico_engine.weights.gguf_file import GGUFFile
from portico_engine.weights.linear import GROUP, Codes, Linear, Product

Progress = Callable[[str, float], None]
_AT_ONCE = 1 << 22  # elements converted at a time
_BLOCK_BYTES = {Q.Q4_0: 18, Q.Q4_1: 20, Q.Q8_0: 34}  # blocks of 32 that torch reads itself
_INT4_PASSES = {Q.Q4_0: 1, Q.Q4_1: 1, Q.Q8_0: 2}


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer. Norms are float32 [hidden]; qkv and gate_up are fused along their rows."""

    attention_norm: Tensor
    qkv: Product
    out: Product
    ffn_norm: Tensor
    gate_up: Product
    down: Product
    query_norm: Tensor | None = None  # [head_dim], Qwen3
    key_norm: Tensor | None = None


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    """All of a decoder. `embedding` and `head` are [vocab_size, hidden], the same where tied."""

    embedding: Product
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Product
    rope_factors: Tensor | None  # float32 [head_dim / 2], divides the frequencies


def load_weights(reader: Reader, progress: Progress | None = None) -> DecoderWeights:
    """Read everything.

    Raises ModelError naming a tensor that is missing or of another shape than the metadata says.
    """
    config = reader.config
    layers = []
    for i in range(config.n_layers):
        if progress:
            progress("weights", i / config.n_layers)
        layers.append(reader.layer(i))
    tied = "output.weight" not in reader.file.tensors
    head = reader.linear(("token_embd" if tied else "output", config.vocab_size, None), n_in=config.hidden)
    embedding = head if tied else reader.embedding("token_embd", config.vocab_size, config.hidden)
    factors = reader.vector("rope_freqs.weight", config.head_dim // 2) if "rope_freqs.weight" in reader.file.tensors else None
    norm = reader.vector("output_norm.weight", config.hidden)
    weights = DecoderWeights(embedding, tuple(layers), norm, head, factors)
    if progress:
        progress("weights", 1.0)
    return weights


class Reader:
    """A file's tensors for a CPU: bfloat16, with copies in 4 bits where `codes` allows and the format has them."""

    def __init__(self, file: GGUFFile, config: DecoderConfig, *, codes: bool, device: str = "cpu") -> None:
        self.file = file
        self.config = config
        self.codes = codes
        self.device = device

    def layer(self, i: int) -> LayerWeights:
        config, at = self.config, f"blk.{i}"
        q, kv = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        has_norms = f"{at}.attn_q_norm.weight" in self.file.tensors
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
        self.expect(name, (size,))
        return torch.from_numpy(np.array(self.file.dequantize(name))).to(self.device)

    def _head_norm(self, name: str) -> Tensor:
        return ordered(self.vector(name, self.config.head_dim), self._rotary_order(1))

    def matrix(self, name: str, n_out: int, n_in: int) -> Tensor:
        """bf16 [n_out, n_in], converted some rows at a time: float32 copies of whole matrices would double the peak."""
        self.expect(name, (n_out, n_in))
        out = torch.empty(n_out, n_in, dtype=torch.bfloat16, device=self.device)
        step = max(1, _AT_ONCE // n_in)
        for at in range(0, n_out, step):
            rows = slice(at, min(at + step, n_out))
            out[rows] = self._float_rows(name, rows, n_in)
        return out

    def linear(self, *parts: tuple[str, int, Tensor | None], n_in: int) -> Product:
        """A product with matrices stacked by rows, each with its own order of rows."""
        return Linear(self.stacked(parts, n_in), self.biases(parts), self._codes(parts, n_in))

    def embedding(self, name: str, n_out: int, n_in: int) -> Product:
        """A matrix that only rows are taken of."""
        return Linear(self.matrix(f"{name}.weight", n_out, n_in))

    def stacked(self, parts: tuple[tuple[str, int, Tensor | None], ...], n_in: int) -> Tensor:
        """The parts of `linear` in bf16 [out, in]."""
        return torch.cat([ordered(self.matrix(f"{name}.weight", n_out, n_in), order) for name, n_out, order in parts])

    def biases(self, parts: tuple[tuple[str, int, Tensor | None], ...]) -> Tensor | None:
        """bf16 [out]; None where no part has one."""
        if not any(f"{name}.bias" in self.file.tensors for name, _, _ in parts):
            return None
        biases = [
            ordered(self.vector(f"{name}.bias", n_out), order)
            if f"{name}.bias" in self.file.tensors
            else torch.zeros(n_out, device=self.device)
            for name, n_out, order in parts
        ]
        return torch.cat(biases).to(torch.bfloat16)

    def _codes(self, parts: tuple[tuple[str, int, Tensor | None], ...], n_in: int) -> Iterator[Codes]:
        """The matrices for the 4-bit product in one or two passes; none where their format has no such codes."""
        kinds = {self.file.tensors[f"{name}.weight"].type for name, _, _ in parts}
        if not self.codes or len(kinds) > 1 or any(n_out % 16 for _, n_out, _ in parts):
            return
        for half in range(_INT4_PASSES.get(kinds.pop(), 0)):
            codes, scales = [], []
            for name, n_out, order in parts:
                q, scale, offset = self._four_bit(f"{name}.weight", n_out, n_in, half)
                codes.append(ordered(q, order))
                scales.append(ordered(torch.stack([scale, offset], dim=-1), order))
            yield Codes(torch.cat(codes), torch.cat(scales).transpose(0, 1).contiguous())

    def _four_bit(self, name: str, n_out: int, n_in: int, half: int) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 codes [n_out, n_in], float32 scale and offset [n_out, n_in/32] with w = (code - 8) scale + offset."""
        kind = self.file.tensors[name].type
        blocks = self._blocks(name, slice(0, n_out), n_in)
        d = _half(blocks, 0)
        if kind == Q.Q8_0:  # its code is 16 (high - 8) + low, low without a sign
            codes = (blocks[..., 2:] ^ 128).reshape(n_out, n_in)
            return (codes & 15, d, 8 * d) if half else (codes >> 4, 16 * d, torch.zeros_like(d))
        if kind == Q.Q4_1:
            return _nibbles(blocks[..., 4:]).view(n_out, n_in), d, _half(blocks, 2) + 8 * d
        return _nibbles(blocks[..., 2:]).view(n_out, n_in), d, torch.zeros_like(d)

    def _float_rows(self, name: str, rows: slice, n_in: int) -> Tensor:
        """float32 or bf16 [rows, n_in]. The commonest formats in torch; gguf reads the rest."""
        kind = self.file.tensors[name].type
        if kind in _BLOCK_BYTES:
            blocks = self._blocks(name, rows, n_in)
            d = _half(blocks, 0).unsqueeze(-1)
            if kind == Q.Q8_0:
                values = blocks[..., 2:].contiguous().view(torch.int8) * d
            elif kind == Q.Q4_1:
                values = torch.addcmul(_half(blocks, 2).unsqueeze(-1), _nibbles(blocks[..., 4:]), d)
            else:
                values = (_nibbles(blocks[..., 2:]).to(torch.int8) - 8) * d
            return values.view(-1, n_in)
        return torch.from_numpy(np.array(self.file.dequantize(name, rows)))

    def _blocks(self, name: str, rows: slice, n_in: int) -> Tensor:
        """uint8 [rows, n_in/32, bytes of a block]."""
        block_bytes = _BLOCK_BYTES[self.file.tensors[name].type]
        return torch.from_numpy(self.file.raw(name, rows).copy()).to(self.device).view(-1, n_in // GROUP, block_bytes)

    def _rotary_order(self, n_heads: int) -> Tensor | None:
        """Rows from interleaved rotary pairs to halves, which torch rotates in fewer operations."""
        if not self.config.permuted_rotary:
            return None
        half = self.config.head_dim // 2
        return torch.arange(n_heads * half * 2).view(n_heads, half, 2).transpose(1, 2).reshape(-1)

    def expect(self, name: str, shape: tuple[int, ...]) -> None:
        info = self.file.tensors.get(name)
        if info is None:
            raise ModelError(f"{self.file.path}: the tensor {name} is missing")
        if info.shape != shape:
            raise ModelError(f"{self.file.path}: the tensor {name} has the shape {info.shape}; the metadata calls for {shape}")


def ordered(rows: Tensor, order: Tensor | None) -> Tensor:
    """Rows in this order."""
    return rows if order is None else rows[order]


def _nibbles(packed: Tensor) -> Tensor:
    """Two codes a byte, the low halves first: [..., 16] -> [..., 32]."""
    return torch.cat([packed & 15, packed >> 4], dim=-1)


def _half(blocks: Tensor, at: int) -> Tensor:
    """The float16 at this byte of every block, in float32."""
    return blocks[..., at : at + 2].contiguous().view(torch.float16).squeeze(-1).to(torch.float32)
