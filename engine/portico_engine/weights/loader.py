"""A model file's tensors as a decoder's weights in torch, on a device of the caller's choice.

It owns names, the fusing of matrices that read the same input, and the undoing of the converter's rotary permutation. It knows
neither KV nor batches, and block formats are `blocks`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.models.config import DecoderConfig, ExpertsConfig
from portico_engine.weights.blocks import FORMATS, Affine, eight_bit, n_passes, nothing, passes, unpack
from portico_engine.weights.decoder_weights import DecoderWeights, ExpertsWeights, GatedWeights, LayerWeights
from portico_engine.weights.linear import GROUP, Codes, Linear
from portico_engine.weights.model_file import ModelFile

Progress = Callable[[str, float], None]
_AT_ONCE = 1 << 22  # elements converted at a time
_ALL = slice(None)


def load_weights(
    file: ModelFile,
    config: DecoderConfig,
    *,
    int4: bool,
    linear: type[Linear] = Linear,
    device: str = "cpu",
    progress: Progress | None = None,
) -> DecoderWeights:
    """Read everything; `linear` is the kind of product that fits the device.

    Raises ModelError naming a tensor that is missing or of another shape than the metadata says.
    """
    reader = _Reader(file, config, int4, linear, device)
    layers = []
    for i in range(config.n_layers):
        if progress:
            progress("weights", i / config.n_layers)
        layers.append(reader.layer(i))
    tied = "output.weight" not in file.tensors
    head = reader.linear(("token_embd" if tied else "output", config.vocab_size, None), n_in=config.hidden)
    embedding = head.weight if tied else reader.matrix("token_embd.weight", config.vocab_size, config.hidden)
    norm = reader.vector("output_norm.weight", config.hidden)
    if config.rope.long_beyond is None:
        factors, long_factors = reader.optional("rope_freqs.weight", config.rotary_dim // 2), None
    else:
        factors, long_factors = (
            reader.vector(f"rope_factors_{which}.weight", config.rotary_dim // 2) for which in ("short", "long")
        )
    weights = DecoderWeights(embedding, tuple(layers), norm, head, factors, long_factors)
    if progress:
        progress("weights", 1.0)
    return weights


class _Reader:
    def __init__(self, file: ModelFile, config: DecoderConfig, int4: bool, linear: type[Linear], device: str) -> None:
        self._file = file
        self._config = config
        self._int4 = int4
        self._linear = linear
        self._device = device

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
            feed_forward=self._experts(at, config.experts) if config.experts else self._gated(at, "", config.feed_forward),
            query_norm=self._head_norm(f"{at}.attn_q_norm.weight") if has_norms else None,
            key_norm=self._head_norm(f"{at}.attn_k_norm.weight") if has_norms else None,
        )

    def _gated(self, at: str, suffix: str, size: int) -> GatedWeights:
        gate, up, down = (f"{at}.ffn_{name}{suffix}" for name in ("gate", "up", "down"))
        hidden = self._config.hidden
        return GatedWeights(
            self.linear((gate, size, None), (up, size, None), n_in=hidden), self.linear((down, hidden, None), n_in=size)
        )

    def _experts(self, at: str, experts: ExpertsConfig) -> ExpertsWeights:
        return ExpertsWeights(
            router=self.vector(f"{at}.ffn_gate_inp.weight", experts.count, self._config.hidden),
            experts=tuple(self._gated(at, f".{i}", experts.feed_forward) for i in range(experts.count)),
            shared=self._gated(at, "_shexp", experts.shared_feed_forward) if experts.shared_feed_forward else None,
            shared_gate=self.optional(f"{at}.ffn_gate_inp_shexp.weight", self._config.hidden),
        )

    def optional(self, name: str, size: int) -> Tensor | None:
        return self.vector(name, size) if name in self._file.tensors else None

    def vector(self, name: str, *shape: int) -> Tensor:
        """float32, of one dimension or more."""
        self._expect(name, shape)
        return self._finite(name, torch.from_numpy(np.array(self._file.dequantize(name))).to(self._device))

    def _finite(self, name: str, values: Tensor) -> Tensor:
        if not values.sum(dtype=torch.float32).isfinite():
            raise ModelError(f"{self._file.path}: the tensor {name} holds numbers that are none (NaN or infinite)")
        return values

    def _head_norm(self, name: str) -> Tensor:
        return _ordered(self.vector(name, self._config.head_dim), self._rotary_order(1))

    def matrix(self, name: str, n_out: int, n_in: int) -> Tensor:
        """bf16 [n_out, n_in], converted some rows at a time: float32 copies of whole matrices would double the peak."""
        self._expect(name, (n_out, n_in))
        out = torch.empty(n_out, n_in, dtype=torch.bfloat16, device=self._device)
        for rows in _spans(n_out, n_in):
            out[rows] = self._float_rows(name, rows)
        return self._finite(name, out)

    def linear(self, *parts: tuple[str, int, Tensor | None], n_in: int) -> Linear:
        """A product with matrices stacked by rows, each with its own order of rows."""
        weight = torch.cat([_ordered(self.matrix(f"{name}.weight", n_out, n_in), order) for name, n_out, order in parts])
        biases = [
            _ordered(self.vector(f"{name}.bias", n_out), order)
            if f"{name}.bias" in self._file.tensors
            else torch.zeros(n_out, device=self._device)
            for name, n_out, order in parts
        ]
        any_bias = any(f"{name}.bias" in self._file.tensors for name, _, _ in parts)
        return self._linear(weight, torch.cat(biases).to(torch.bfloat16) if any_bias else None, self._codes(parts, n_in))

    def _codes(self, parts: tuple[tuple[str, int, Tensor | None], ...], n_in: int) -> Iterator[Codes]:
        """The matrices for the 4-bit product in one or two passes; none where a part isn't quantized."""
        wanted = [n_passes(self._file.tensors[f"{name}.weight"].type) for name, _, _ in parts]
        if not self._int4 or not all(wanted) or n_in % GROUP or any(n_out % 16 for _, n_out, _ in parts):
            return
        for halves in zip_longest(*(self._passes(f"{name}.weight", order) for name, _, order in parts)):
            made = [
                nothing(n_out, n_in, self._device) if half is None else half
                for half, (_, n_out, _) in zip(halves, parts, strict=True)
            ]
            yield Codes(torch.cat([codes for codes, _ in made]), torch.cat([scales for _, scales in made], 1))

    def _passes(self, name: str, order: Tensor | None) -> Iterator[Codes]:
        for codes, scales in passes(self._affine(name)):
            yield Codes(_ordered(codes, order), scales if order is None else scales[:, order])

    def _affine(self, name: str) -> Affine:
        info = self._file.tensors[name]
        if info.type in FORMATS:
            return unpack(self._raw(name), info.type)
        spans = [eight_bit(self._float_rows(name, rows)) for rows in _spans(*info.shape)]
        codes, scale, offset, bits = zip(*spans, strict=True)
        return Affine(torch.cat(codes), torch.cat(scale), torch.cat(offset), bits[0])

    def _float_rows(self, name: str, rows: slice) -> Tensor:
        """float32 [rows, in]."""
        kind = self._file.tensors[name].type
        if kind in FORMATS:
            return unpack(self._raw(name, rows), kind).values()
        return torch.from_numpy(np.array(self._file.dequantize(name, rows))).to(self._device)

    def _raw(self, name: str, rows: slice = _ALL) -> Tensor:
        return torch.from_numpy(self._file.raw(name, rows).copy()).to(self._device)

    def _rotary_order(self, n_heads: int) -> Tensor | None:
        """Rows from rotary pairs as the file has them to halves of the head, with the dimensions that aren't rotated last in
        each: torch rotates whole heads in fewer operations."""
        head, rotary = self._config.head_dim, self._config.rotary_dim
        if rotary == head and not self._config.permuted_rotary:
            return None
        rotated, still = torch.arange(rotary), torch.arange(rotary, head)
        pairs = rotated.view(-1, 2).T if self._config.permuted_rotary else rotated.view(2, -1)
        order = torch.cat([pairs, still.view(2, -1)], 1).reshape(-1)
        return (torch.arange(0, n_heads * head, head).unsqueeze(1) + order).reshape(-1)

    def _expect(self, name: str, shape: tuple[int, ...]) -> None:
        info = self._file.tensors.get(name)
        if info is None:
            raise ModelError(f"{self._file.path}: the tensor {name} is missing")
        if info.shape != shape:
            raise ModelError(f"{self._file.path}: the tensor {name} has the shape {info.shape}; the metadata calls for {shape}")


def _ordered(rows: Tensor, order: Tensor | None) -> Tensor:
    return rows if order is None else rows[order]


def _spans(n_out: int, n_in: int) -> Iterable[slice]:
    step = max(1, _AT_ONCE // n_in)
    return (slice(at, min(at + step, n_out)) for at in range(0, n_out, step))
