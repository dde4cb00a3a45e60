"""A decoder's layers for a step of few tokens as one kernel of the CPU.

It owns the form in which the kernel takes weights. What it computes is what `models.decoder` does by the operations beside it,
but for one rounding less: what is added to the residual stream is no bfloat16 before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from portico_engine.kernels.cpu.attention import PagedBatch
from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.kernels.cpu.product import MatrixForm, PackedMatrix


class DecoderSizes(NamedTuple):
    """What all layers have in common."""

    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_dim: int


class LayerParts(NamedTuple):
    """A layer's weights: norms float32 [hidden], matrices stacked by their rows, sinks float32 [heads]; `kv` is the layer's,
    bf16 [2 kv_heads, slots, head_dim]."""

    attention_norm: Tensor
    qkv: Sequence[PackedMatrix]
    out: Sequence[PackedMatrix]
    ffn_norm: Tensor
    gate_up: Sequence[PackedMatrix]
    down: Sequence[PackedMatrix]
    kv: Tensor
    sinks: Tensor | None
    window: int
    rotates: bool


class _Linear(ctypes.Structure):
    _fields_ = (("parts", ctypes.c_void_p), ("n_parts", ctypes.c_int64))


class _Layer(ctypes.Structure):
    """`DecoderLayer` in layers.cpp."""

    _fields_ = (
        ("attention_norm", ctypes.c_void_p),
        ("ffn_norm", ctypes.c_void_p),
        ("sinks", ctypes.c_void_p),
        ("qkv", _Linear),
        ("out", _Linear),
        ("gate_up", _Linear),
        ("down", _Linear),
        ("kv", ctypes.c_void_p),
        ("window", ctypes.c_int32),
        ("rotates", ctypes.c_int32),
    )


class _Shape(ctypes.Structure):
    """`DecoderShape` in layers.cpp."""

    _fields_ = (
        ("layers", ctypes.c_void_p),
        ("eps", ctypes.c_void_p),
        ("slots", ctypes.c_int64),
        ("n_layers", ctypes.c_int32),
        *((name, ctypes.c_int32) for name in DecoderSizes._fields),
    )


class DecoderLayers:
    """All of them, ready to be computed."""

    def __init__(self, library: KernelLibrary, sizes: DecoderSizes, eps: Tensor, layers: Sequence[LayerParts]) -> None:
        """Matrices are in order (`PackedMatrix.in_order`); eps float32."""
        self._run = library.layers
        self._head_dim = sizes.head_dim
        self._held: list[object] = [eps, *layers]  # for their addresses
        forms = (_Layer * len(layers))(*map(self._form, layers))
        self._shape = _Shape(ctypes.addressof(forms), eps.data_ptr(), layers[0].kv.shape[1], len(layers), *sizes)
        self._held.append(forms)
        self._address = ctypes.addressof(self._shape)

    def _form(self, layer: LayerParts) -> _Layer:
        sinks = None if layer.sinks is None else layer.sinks.data_ptr()
        matrices = map(self._linear, (layer.qkv, layer.out, layer.gate_up, layer.down))
        norms = layer.attention_norm.data_ptr(), layer.ffn_norm.data_ptr()
        return _Layer(*norms, sinks, *matrices, layer.kv.data_ptr(), layer.window, layer.rotates)

    def _linear(self, parts: Sequence[PackedMatrix]) -> _Linear:
        forms = (MatrixForm * len(parts))(*(part.form for part in parts))
        self._held.append(forms)
        return _Linear(ctypes.addressof(forms), len(parts))

    def run(self, x: Tensor, rotary: Sequence[Tensor], batch: PagedBatch) -> None:
        """x float32 [n, hidden], embedded tokens, becomes the residual stream after the last layer. `rotary`: cosines and
        sines, float32 [n, 1, head_dim] each, of layers without a window and of those with one.
        """
        addresses = (ctypes.c_void_p * len(rotary))(*(table.data_ptr() for table in rotary))
        self._run(self._address, x.data_ptr(), x.shape[0], ctypes.addressof(addresses), *batch.addresses)
