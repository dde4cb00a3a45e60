"""A model file's tensors as a decoder's weights in torch.

It owns names, the stacking of matrices that read the same input, and the undoing of the converter's rotary permutation. The
form that weights have on a device is a subclass's. It knows neither KV nor batches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from portico_engine.errors import ModelError
from portico_engine.linear.protocol import Linear
from portico_engine.models.config import DecoderConfig, ExpertsConfig, LatentConfig
from portico_engine.models.decoder_weights import (
    DecoderWeights,
    ExpertsWeights,
    GatedWeights,
    LatentWeights,
    LayerWeights,
    StackedExperts,
)
from portico_engine.models.rotary_order import rotary_order
from portico_engine.quantization.block_formats import FORMATS, is_quantized, unpack_blocks
from portico_engine.quantization.packed_formats import dequantize_rows, unpack_matrix
from portico_engine.quantization.packing import Packing
from portico_engine.quantization.quantized_matrix import QuantizedMatrix, quantize_8bit
from portico_engine.weights.model_file import ModelFile

Progress = Callable[[str, float], None]
_AT_ONCE = 1 << 22  # elements converted at a time
_ALL = slice(None)
_DTYPES = {
    "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
    "I8": torch.int8, "U8": torch.uint8, "F8_E4M3": torch.float8_e4m3fn,
}  # fmt: skip


class StackedMatrix(NamedTuple):
    """A matrix of the file among those that are stacked into one linear layer."""

    name: str
    n_out: int
    order: Tensor | None = None  # of its rows


class WeightLoader(ABC):
    """A file's tensors on a device; what a linear layer becomes there is a subclass's to say."""

    def __init__(self, file: ModelFile, config: DecoderConfig, *, codes: bool, device: str) -> None:
        """`codes` allows linear layers straight from quantized codes."""
        self.file = file
        self.config = config
        self.codes = codes
        self.device = device

    dense_dtype = torch.bfloat16

    @abstractmethod
    def linear(self, *parts: StackedMatrix, n_in: int) -> Linear:
        """A layer of stacked matrices."""

    @abstractmethod
    def embedding(self, name: str, n_out: int, n_in: int) -> Linear:
        """A matrix that only rows are taken of."""

    def weights(self, progress: Progress | None = None) -> DecoderWeights:
        """Read everything.

        Raises ModelError naming a tensor that is missing, of another shape than the metadata says, or of no numbers.
        """
        config = self.config
        layers = []
        for i in range(config.n_layers):
            if progress:
                progress("weights", i / config.n_layers)
            layers.append(self._layer(i))
        tied = "output.weight" not in self.file.tensors
        n_tokens = self.file.tensors["token_embd.weight"].shape[0]  # a rank has some of the vocabulary
        head = self.linear(StackedMatrix("token_embd" if tied else "output", n_tokens), n_in=config.hidden)
        embedding = head if tied else self.embedding("token_embd", n_tokens, config.hidden)
        # LFM2 calls its last norm by the embedding's name.
        last = "output_norm" if "output_norm.weight" in self.file.tensors else "token_embd_norm"
        norm = self._vector(f"{last}.weight" if f"{last}.weight" in self.file.tensors else "output_norm.weight", config.hidden)
        weights = DecoderWeights(embedding, tuple(layers), norm, head, *self._rope_factors())
        if progress:
            progress("weights", 1.0)
        return weights

    def stacked(self, parts: Iterable[StackedMatrix], n_in: int) -> Tensor:
        """The parts of a linear layer in bf16 [out, in]."""
        return torch.cat([permute_rows(self.matrix(f"{name}.weight", n_out, n_in), order) for name, n_out, order in parts])

    def biases(self, parts: Iterable[StackedMatrix]) -> Tensor | None:
        """bf16 [out]; None where no part has one."""
        made = [
            (permute_rows(self._vector(f"{name}.bias", n_out), order) if f"{name}.bias" in self.file.tensors else None, n_out)
            for name, n_out, order in parts
        ]
        if all(bias is None for bias, _ in made):
            return None
        zeros = (torch.zeros(n_out, device=self.device) if bias is None else bias for bias, n_out in made)
        return torch.cat(list(zeros)).to(torch.bfloat16)

    def matrix(self, name: str, n_out: int, n_in: int) -> Tensor:
        """bf16 [n_out, n_in], converted some rows at a time: float32 copies of whole matrices would double the peak."""
        self.expect(name, (n_out, n_in))
        out = torch.empty(n_out, n_in, dtype=torch.bfloat16, device=self.device)
        read = self._float_rows(name)
        for rows in _spans(n_out, n_in):
            out[rows] = read(rows)
        self.check_finite(name, out)
        return out

    def quantized(self, name: str, group_sizes: Collection[int]) -> QuantizedMatrix:
        """A quantized matrix as codes with scales, one for the largest of `group_sizes` that it can have; in 8 bits where its
        format has no codes, or groups of no such size.
        """
        info = self.file.tensors[name]
        if isinstance(info.type, Packing):
            matrix = self._unpacked(name)
            fitting = [size for size in group_sizes if matrix.group_size % size == 0]
            if fitting:
                return matrix.regrouped(max(fitting))
        elif info.type in FORMATS and FORMATS[info.type].group_size in group_sizes:
            return unpack_blocks(self._raw(name), info.type)
        read = self._float_rows(name)
        spans = [quantize_8bit(read(rows)) for rows in _spans(*info.shape)]
        return spans[0]._replace(
            codes=torch.cat([span.codes for span in spans]), scale=torch.cat([span.scale for span in spans])
        )

    def all_quantized(self, parts: Iterable[StackedMatrix]) -> bool:
        """Have all of them codes?"""
        infos = [self.file.tensors.get(f"{part.name}.weight") for part in parts]
        return all(info is not None and is_quantized(info.type) for info in infos)

    def expect(self, name: str, shape: tuple[int, ...]) -> None:
        """Raises ModelError where the tensor is missing or of another shape."""
        info = self.file.tensors.get(name)
        if info is None:
            raise ModelError(f"{self.file.path}: the tensor {name} is missing")
        if info.shape != shape:
            raise ModelError(f"{self.file.path}: the tensor {name} has the shape {info.shape}; the metadata calls for {shape}")

    def check_finite(self, name: str, values: Tensor) -> None:
        """Raises ModelError where a value is no number."""
        if not values.sum(dtype=torch.float32).isfinite():
            raise ModelError(f"{self.file.path}: the tensor {name} holds numbers that are none (NaN or infinite)")

    def _layer(self, i: int) -> LayerWeights:
        config, at = self.config, f"blk.{i}"
        q, kv = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        has_norms = f"{at}.attn_q_norm.weight" in self.file.tensors
        # gpt-oss calls the norm before its feed-forward by the name that others have for one behind attention.
        ffn_norm, post_norm = "ffn_norm", f"{at}.post_attention_norm.weight"
        if f"{at}.ffn_norm.weight" not in self.file.tensors and post_norm in self.file.tensors:
            ffn_norm, post_norm = "post_attention_norm", ""
        sinks = self._optional(f"{at}.attn_sinks.weight", config.n_heads)
        latent, kernel, out = None, None, f"{at}.attn_output"
        if config.conv_layers and config.conv_layers[i]:
            q, out = config.hidden, f"{at}.shortconv.out_proj"
            stacked = [StackedMatrix(f"{at}.shortconv.in_proj", 3 * config.hidden)]
            kernel = self._vector(f"{at}.shortconv.conv.weight", config.hidden, config.conv_length)
            if f"{at}.shortconv.conv.bias" in self.file.tensors:
                raise ModelError(f"{self.file.path}: biases of short convolutions are not supported")
        elif config.latent is not None:
            q = config.n_heads * config.latent.value
            stacked, latent = self._latent(at, config.latent)
        else:
            stacked = [
                StackedMatrix(f"{at}.attn_q", q, self._rotary_order(config.n_heads)),
                StackedMatrix(f"{at}.attn_k", kv, self._rotary_order(config.n_kv_heads)),
                StackedMatrix(f"{at}.attn_v", kv),
            ]
        mixture = config.experts if config.experts is not None and i >= config.experts.dense_layers else None
        return LayerWeights(
            attention_norm=self._vector(f"{at}.attn_norm.weight", config.hidden),
            qkv=self.linear(*stacked, n_in=config.hidden),
            out=self.linear(StackedMatrix(out, config.hidden), n_in=q),
            kernel=kernel,
            ffn_norm=self._vector(f"{at}.{ffn_norm}.weight", config.hidden),
            feed_forward=self._experts(at, mixture) if mixture else self.gated(at, "", config.feed_forward),
            sinks=sinks,
            latent=latent,
            attention_post_norm=self._optional(post_norm, config.hidden),
            ffn_post_norm=self._optional(f"{at}.post_ffw_norm.weight", config.hidden),
            query_norm=self._head_norm(f"{at}.attn_q_norm.weight") if has_norms else None,
            key_norm=self._head_norm(f"{at}.attn_k_norm.weight") if has_norms else None,
        )

    def _latent(self, at: str, config: LatentConfig) -> tuple[list[StackedMatrix], LatentWeights]:
        """What is stacked into the layer's first product, and the rest."""
        heads, head = self.config.n_heads, config.plain + config.rope
        order, n_latent = _halved(heads, head, config.rope), config.kv_rank + config.rope
        keys = StackedMatrix(f"{at}.attn_kv_a_mqa", n_latent, _halved(1, n_latent, config.rope))
        kv_norm = self._vector(f"{at}.attn_kv_a_norm.weight", config.kv_rank)
        by_head = self._latent_heads(at, config)
        if not config.query_rank:
            return [StackedMatrix(f"{at}.attn_q", heads * head, order), keys], LatentWeights(kv_norm, *by_head)
        query_norm = self._vector(f"{at}.attn_q_a_norm.weight", config.query_rank)
        query_b = self.linear(StackedMatrix(f"{at}.attn_q_b", heads * head, order), n_in=config.query_rank)
        return [StackedMatrix(f"{at}.attn_q_a", config.query_rank), keys], LatentWeights(kv_norm, *by_head, query_norm, query_b)

    def _latent_heads(self, at: str, config: LatentConfig) -> tuple[Tensor, Tensor]:
        """Keys [heads, plain, kv_rank] and values [heads, value, kv_rank] of the latent vector: in one matrix, or in two, the
        keys transposed.
        """
        heads, rank = self.config.n_heads, config.kv_rank
        if f"{at}.attn_kv_b.weight" in self.file.tensors:
            both = self.dense(f"{at}.attn_kv_b.weight", heads * (config.plain + config.value), rank)
            both = both.view(heads, config.plain + config.value, rank)
            return both[:, : config.plain].contiguous(), both[:, config.plain :].contiguous()
        self.expect(f"{at}.attn_k_b.weight", (heads, rank, config.plain))
        self.expect(f"{at}.attn_v_b.weight", (heads, config.value, rank))
        keys, values = (self._float_rows(f"{at}.attn_{which}_b.weight")(_ALL) for which in "kv")
        keys, values = keys.view(heads, rank, config.plain).transpose(1, 2), values.view(heads, config.value, rank)
        return keys.to(self.dense_dtype).contiguous(), values.to(self.dense_dtype)

    def dense(self, name: str, n_out: int, n_in: int) -> Tensor:
        """A matrix that is multiplied as it is, in `dense_dtype`."""
        return self.matrix(name, n_out, n_in).to(self.dense_dtype)

    def experts(self, at: str, experts: ExpertsConfig) -> tuple[GatedWeights, ...] | StackedExperts:
        """A layer's mixture, whose names begin with `at`."""
        return tuple(self.gated(at, f".{i}", experts.feed_forward) for i in experts.own)

    def gated(self, at: str, suffix: str, size: int) -> GatedWeights:
        """A feed-forward of `size`; `suffix` tells several of a layer apart."""
        gate, up, down = (f"{at}.ffn_{name}{suffix}" for name in ("gate", "up", "down"))
        hidden = self.config.hidden
        return GatedWeights(
            gate_up=self.linear(StackedMatrix(gate, size), StackedMatrix(up, size), n_in=hidden),
            down=self.linear(StackedMatrix(down, hidden), n_in=size),
        )

    def _experts(self, at: str, experts: ExpertsConfig) -> ExpertsWeights:
        return ExpertsWeights(
            router=self._vector(f"{at}.ffn_gate_inp.weight", experts.count, self.config.hidden),
            experts=self.experts(at, experts),
            tokens=torch.zeros(experts.count, dtype=torch.int64, device=self.device),
            shared=self.gated(at, "_shexp", experts.shared_feed_forward) if experts.shared_feed_forward else None,
            shared_gate=self._optional(f"{at}.ffn_gate_inp_shexp.weight", self.config.hidden),
            router_bias=self._optional(f"{at}.ffn_gate_inp.bias", experts.count),
            correction=self._optional(f"{at}.exp_probs_b.bias", experts.count),
        )

    def _rope_factors(self) -> tuple[Tensor | None, Tensor | None]:
        """For all contexts, or for short and long ones."""
        half = self.config.rotary_dim // 2
        if self.config.rope.long_beyond is None:
            return self._optional("rope_freqs.weight", half), None
        return self._vector("rope_factors_short.weight", half), self._vector("rope_factors_long.weight", half)

    def _optional(self, name: str, size: int) -> Tensor | None:
        return self._vector(name, size) if name in self.file.tensors else None

    def _vector(self, name: str, *shape: int) -> Tensor:
        """float32, of one dimension or more."""
        self.expect(name, shape)
        if self.file.tensors[name].packed is not None:
            values = self._float_rows(name)(_ALL).reshape(shape)
        else:
            values = torch.from_numpy(np.array(self.file.dequantize(name))).to(self.device)
        self.check_finite(name, values)
        return values + self.config.norm_offset if name.endswith("norm.weight") else values

    def _head_norm(self, name: str) -> Tensor:
        return permute_rows(self._vector(name, self.config.head_dim), self._rotary_order(1))

    def _float_rows(self, name: str) -> Callable[[slice], Tensor]:
        """What reads some rows of a matrix, float32 [rows, in]."""
        info = self.file.tensors[name]
        kind = info.type
        if info.packed is not None and isinstance(kind, Packing):
            arrays, whole, taken = self.arrays(name), info.packed.shape, range(info.packed.shape[0])[info.packed.rows]

            def unpack(rows: slice) -> Tensor:
                own = taken[rows]
                with self._packed(name):
                    return dequantize_rows(arrays, kind, whole, slice(own.start, own.stop, own.step))

            return unpack
        if kind in FORMATS:
            return lambda rows: unpack_blocks(self._raw(name, rows), kind).dequantize()
        return lambda rows: torch.from_numpy(np.array(self.file.dequantize(name, rows))).to(self.device)

    def _unpacked(self, name: str) -> QuantizedMatrix:
        info = self.file.tensors[name]
        assert info.packed is not None
        assert isinstance(info.type, Packing)
        with self._packed(name):
            return unpack_matrix(self.arrays(name), info.type, info.packed.shape, info.packed.rows)

    def arrays(self, name: str) -> dict[str, Tensor]:
        """Of a packed matrix, on the device."""
        return {
            key: torch.from_numpy(raw.copy()).view(_DTYPES[kind]).view(shape).to(self.device)
            for key, (kind, shape, raw) in self.file.packed(name).items()
        }

    @contextmanager
    def _packed(self, name: str) -> Iterator[None]:
        """Raises ModelError where a packed matrix's arrays are of shapes that don't fit together."""
        try:
            yield
        except (ValueError, RuntimeError, IndexError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            what = self.file.tensors[name]
            raise ModelError(
                f"{self.file.path}: the matrix {name}, packed as {what.type.name}, does not fit together "
                f"({str(error).splitlines()[0]}); download it again"
            ) from None

    def _raw(self, name: str, rows: slice = _ALL) -> Tensor:
        return torch.from_numpy(self.file.raw(name, rows).copy()).to(self.device)

    def _rotary_order(self, n_heads: int) -> Tensor | None:
        order = rotary_order(self.config, n_heads, interleaved=self.config.permuted_rotary)
        return None if order is None else torch.from_numpy(order)


def permute_rows(rows: Tensor, order: Tensor | None) -> Tensor:
    """Rows in this order."""
    return rows if order is None else rows[order]


def _halved(heads: int, head: int, rope: int) -> Tensor:
    """Rows of heads whose last `rope` are rotary pairs of neighbours, with those in halves."""
    order = torch.arange(head)
    order[head - rope :] = head - rope + torch.arange(rope).view(-1, 2).T.reshape(-1)
    return (torch.arange(heads).unsqueeze(1) * head + order).reshape(-1)


def _spans(n_out: int, n_in: int) -> Iterable[slice]:
    step = max(1, _AT_ONCE // n_in)
    return (slice(at, min(at + step, n_out)) for at in range(0, n_out, step))
