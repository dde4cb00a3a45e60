"""A decoder layer for a step of few tokens in five kernels, where single operations are ten to fourteen.

    qkv            norm, product, rotary embedding, storing of keys and values   cuda/decode_qkv.cu
    attention      over paged KV, all parts of a context in one launch           cuda/decode_attention.cu
    add_product    a product added to the residual stream, twice a layer         cuda/decode_residual.cu
    gate_up        norm, product, SwiGLU                                         cuda/decode_gate_up.cu
    logits         norm of the wanted tokens, product in float32                 cuda/decode_logits.cu

Each starts while the one before it is at work and reads its first weights meanwhile. What they compute is what `reference` and
`quantized_matmul` do one after another, rounded in the same places; the order of sums differs from those of `fused.add_norm`
and of `paged_attention`. It owns launch configurations and launches. It knows neither layers nor files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from portico_engine.kernels.cuda_module import CUDA_SOURCES, CUDAModule
from portico_engine.kernels.quantized_layout import TILE_ROWS, TiledMatrix
from portico_engine.kernels.quantized_matmul import MatrixFormat, matrix_format
from portico_engine.plan import BLOCK_TOKENS

MOST_TOKENS = 16
_MOST_PARTS = 32  # of a context
_PROGRAMS = 264  # attention's, beside which more parts bring nothing
_NORM_WARPS = 8
_OVERLAP_FROM = 9, 0  # compute capability


class DecodeTuning(NamedTuple):
    """How the kernels cut their work and follow each other."""

    overlap: bool = True  # start while the kernel before is at work
    prefetch: bool = True  # and read weights before it has ended
    warps: int = 8  # that share the columns of a tile of rows
    units: int = 1  # that a block takes one after another
    normed_bytes: int = 24 << 10  # of inputs that a product norms for itself, in shared memory
    attention_warps: int = 8
    attention_span: int = 16  # blocks of the cache that make another part worthwhile


MEASURED = DecodeTuning()


class Norm(NamedTuple):
    """RMS norm: float32 [hidden] and []."""

    weight: Tensor
    eps: Tensor


class Places(NamedTuple):
    """Where a step's tokens stand, int32 [n]: see `reference.store`. All three are there before the step's first kernel."""

    positions: Tensor
    slots: Tensor
    tables: Tensor


class HeadShape(NamedTuple):
    """Of a layer's attention."""

    heads: int
    kv_heads: int
    dim: int


class DecodeStep:
    """Launches for one decoder on one device; owns what they leave to each other."""

    def __init__(self, shape: HeadShape, hidden: int, device: torch.device, tuning: DecodeTuning = MEASURED) -> None:
        self._shape = shape
        self._hidden = hidden
        able = torch.cuda.get_device_capability(device) >= _OVERLAP_FROM
        self._tuning = tuning if able else tuning._replace(overlap=False)
        self._device = device
        self._finished = torch.zeros(MOST_TOKENS * shape.kv_heads, dtype=torch.int32, device=device)

    def qkv(
        self,
        x: Tensor,
        norm: Norm,
        parts: Sequence[TiledMatrix],
        bias: Tensor | None,
        rotary: tuple[Tensor, Tensor] | None,
        kv: Tensor,
        places: Places,
        *,
        first: bool = False,
    ) -> Tensor:
        """x float32 [n, hidden] -> queries bf16 [n, heads, head_dim]; keys and values go to their places in kv.

        `rotary` are cos and sin of all positions, see `reference.rotate`; None rotates nothing. The `first` of a step comes
        behind something else than these kernels, and waits for it.
        """
        n = x.shape[0]
        shape = self._shape
        queries = torch.empty(n, shape.heads, shape.dim, dtype=torch.bfloat16, device=x.device)
        cos, sin = rotary or (None, None)
        inputs, normed = self._inputs(x, norm, first=first)
        at = 0
        for part in parts:
            settings = self._settings(part, n, 2, normed) | _head_settings(shape)
            self._product(
                "decode_qkv", part, settings, normed,
                inputs, norm.weight, norm.eps, part.low, part.high, part.scales, _rows(bias, at, part),
                n, part.n_in, part.n_out, at, cos, sin, *places, places.tables.stride(0), queries, kv, kv.stride(0),
                units=part.n_out // (2 * TILE_ROWS), n=n, first=first and normed and at == 0,
            )  # fmt: skip
            at += part.n_out
        return queries

    def attention(self, queries: Tensor, kv: Tensor, places: Places) -> Tensor:
        """`reference.paged_attention`."""
        n, (heads, kv_heads, dim), tuning = queries.shape[0], self._shape, self._tuning
        parts = max(1, min(_MOST_PARTS, _PROGRAMS // (n * kv_heads)))
        out = torch.empty(n, heads * dim, dtype=torch.bfloat16, device=queries.device)
        mixed = torch.empty(n, parts, heads, dim, dtype=torch.float32, device=queries.device)
        tops = torch.empty(n, parts, heads, dtype=torch.float32, device=queries.device)
        settings = {
            "HEAD_DIM": dim, "GROUP": heads // kv_heads, "KV_HEADS": kv_heads, "BLOCK": BLOCK_TOKENS,
            "PARTS": parts, "SPAN": tuning.attention_span, "WARPS": tuning.attention_warps,
        }  # fmt: skip
        _module("decode_attention", tuple(settings.items()), self._device).launch(
            "decode_attention", (n, kv_heads, parts), 32 * tuning.attention_warps,
            queries, kv, kv.stride(0), *places, places.tables.stride(0), out, mixed, tops, self._finished,
            overlap=tuning.overlap,
        )  # fmt: skip
        return out

    def add_product(self, x: Tensor, parts: Sequence[TiledMatrix], bias: Tensor | None, stream: Tensor) -> None:
        """stream float32 [n, out] += the product of x bf16 [n, in], rounded to bf16."""
        n, first = x.shape[0], 0
        for part in parts:
            self._product(
                "decode_residual", part, self._settings(part, n, 1, normed=False), False,
                x, part.low, part.high, part.scales, _rows(bias, first, part),
                n, part.n_in, part.n_out, stream[:, first:], stream.stride(0),
                units=-(-part.n_out // TILE_ROWS), n=n,
            )  # fmt: skip
            first += part.n_out

    def gate_up(self, x: Tensor, norm: Norm, matrix: TiledMatrix, bias: Tensor | None) -> Tensor:
        """x float32 [n, hidden] -> SwiGLU of the normed, bf16 [n, out / 2]; the gate's rows are the matrix's first."""
        n = x.shape[0]
        out = torch.empty(n, matrix.n_out // 2, dtype=torch.bfloat16, device=x.device)
        inputs, normed = self._inputs(x, norm)
        self._product(
            "decode_gate_up", matrix, self._settings(matrix, n, 2, normed), normed,
            inputs, norm.weight, norm.eps, matrix.low, matrix.high, matrix.scales, bias,
            n, matrix.n_in, matrix.n_out, out,
            units=matrix.n_out // (2 * TILE_ROWS), n=n,
        )  # fmt: skip
        return out

    def logits(self, x: Tensor, rows: Tensor, norm: Norm, head: TiledMatrix, bias: Tensor | None, out: Tensor) -> None:
        """out float32 [n, vocab_size] = the head's product with the normed rows of x float32 [tokens, hidden]; rows int32 [n]
        are there before the step's first kernel.
        """
        n = len(rows)
        inputs, normed = self._inputs(x, norm, rows, first=True)
        self._product(
            "decode_logits", head, self._settings(head, n, 1, normed), normed,
            inputs, rows if normed else None, norm.weight, norm.eps, head.low, head.high, head.scales, bias,
            n, head.n_in, head.n_out, out, out.stride(0),
            units=-(-head.n_out // TILE_ROWS), n=n, first=normed,
        )  # fmt: skip

    def precompile(
        self,
        qkv: Sequence[TiledMatrix],
        residual: Sequence[TiledMatrix],
        gate_up: Sequence[TiledMatrix],
        head: Sequence[TiledMatrix],
    ) -> None:
        """Compile what products with these need, side by side."""
        wanted = {
            (name, tuple((self._settings(part, n, rows, normed) | more).items()))
            for name, parts, rows, more in (
                ("decode_qkv", qkv, 2, _head_settings(self._shape)),
                ("decode_residual", residual, 1, {}),
                ("decode_gate_up", gate_up, 2, {}),
                ("decode_logits", head, 1, {}),
            )
            for part in parts
            for n, normed in self._sizes(norms=name != "decode_residual")
        }
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda each: _module(*each, self._device), wanted):
                pass

    def _sizes(self, *, norms: bool) -> Iterator[tuple[int, bool]]:
        return iter({(8 if n <= 8 else 16, norms and self._norms(n)) for n in range(1, MOST_TOKENS + 1)})

    def _norms(self, n: int) -> bool:
        """Does a product norm so many tokens for itself? Else it is done before, once for all of its blocks."""
        return n * _stride(self._hidden) * 2 <= self._tuning.normed_bytes

    def _inputs(self, x: Tensor, norm: Norm, rows: Tensor | None = None, *, first: bool = False) -> tuple[Tensor, bool]:
        """What a product takes, and whether it is still to be normed: the `rows` of x, None for all."""
        n = x.shape[0] if rows is None else len(rows)
        if self._norms(n):
            return x, True
        out = torch.empty(n, self._hidden, dtype=torch.bfloat16, device=x.device)
        settings = {"HIDDEN": self._hidden, "WARPS": _NORM_WARPS}
        _module("decode_norm", tuple(settings.items()), self._device).launch(
            "decode_norm", (n, 1, 1), 32 * _NORM_WARPS, x, rows, *norm, out, overlap=self._tuning.overlap and not first
        )
        return out, False

    def _settings(self, part: TiledMatrix, n: int, rows: int, normed: bool) -> dict[str, int]:
        few = n <= 8
        return _format_settings(matrix_format(part)) | {
            "TOKENS": 1 if few else 2, "ROWS": rows, "WARPS": self._tuning.warps, "SCALE_FIRST": int(not few), "WIDE": 0,
            "NORM": int(normed), "HIDDEN": self._hidden if normed else 0, "PREFETCH": int(self._tuning.prefetch),
        }  # fmt: skip

    def _product(
        self,
        name: str,
        part: TiledMatrix,
        settings: dict[str, int],
        normed: bool,
        *arguments: Tensor | int | None,
        units: int,
        n: int,
        first: bool = False,
    ) -> None:
        assert part.n_in % 8 == 0
        _module(name, tuple(settings.items()), self._device).launch(
            name, (-(-units // self._tuning.units), 1, 1), 32 * self._tuning.warps, *arguments,
            shared_bytes=n * _stride(self._hidden) * 2 if normed else 0, overlap=self._tuning.overlap and not first,
        )  # fmt: skip


def _stride(hidden: int) -> int:
    """Of normed tokens in shared memory, in numbers: as decode_product.cuh has it."""
    return -(-hidden // 64) * 64 + 32


def _rows(bias: Tensor | None, first: int, part: TiledMatrix) -> Tensor | None:
    return None if bias is None else bias[first : first + part.n_out]


def _head_settings(shape: HeadShape) -> dict[str, int]:
    return {"HEAD_DIM": shape.dim, "HEADS": shape.heads, "KV_HEADS": shape.kv_heads, "BLOCK": BLOCK_TOKENS}


def _format_settings(form: MatrixFormat) -> dict[str, int]:
    return {name.upper(): int(value) for name, value in form._asdict().items()}


@cache
def _module(name: str, settings: tuple[tuple[str, int], ...], device: torch.device) -> CUDAModule:
    return CUDAModule(CUDA_SOURCES / f"{name}.cu", dict(settings), device)
