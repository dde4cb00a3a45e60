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
from portico_engine.kernels.quantized_layout import TILE_COLUMNS, TILE_ROWS, TiledMatrix
from portico_engine.kernels.quantized_matmul import matrix_format
from portico_engine.plan import BLOCK_TOKENS

MOST_TOKENS = 16
_MOST_PARTS = 32  # of a context
_PROGRAMS = 264  # attention's, beside which more parts bring nothing
_NORM_WARPS = 8
_SHARED_BYTES = 48 << 10  # of a block, without asking


class DecodeTuning(NamedTuple):
    """How the kernels cut their work and follow each other."""

    overlap: bool = True  # start while the kernel before is at work
    prefetch: bool = True  # and ask for weights before it has ended
    warps: int = 8  # that share the columns of a tile of rows, where there are many
    most_warps: int = 16  # a tile of columns each, where there are so few
    ring_bytes: int = 84 << 10  # of weights that are on their way to a block
    units: int = 1  # that a block takes one after another,
    many_units: int = 2048  # unless these are so many: then in as few blocks
    normed_tokens: int = 2  # that a product norms for itself
    attention_warps: int = 8
    attention_span: int = 32  # blocks of the cache that make another part worthwhile
    attention_prefetch: bool = True  # read what earlier steps have left before this one's is there


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
        self._tuning = tuning
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
                "decode_qkv", part, settings,
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
        warps = min(tuning.attention_warps, _SHARED_BYTES // (heads // kv_heads * (dim + 2) * 4))
        settings = {
            "HEAD_DIM": dim, "GROUP": heads // kv_heads, "KV_HEADS": kv_heads, "BLOCK": BLOCK_TOKENS,
            "PARTS": parts, "SPAN": tuning.attention_span, "WARPS": warps,
            "PREFETCH": int(tuning.attention_prefetch),
        }  # fmt: skip
        _module("decode_attention", tuple(settings.items()), self._device).launch(
            "decode_attention", (n, kv_heads, parts), 32 * warps,
            queries, kv, kv.stride(0), *places, places.tables.stride(0), out, mixed, tops, self._finished,
            overlap=tuning.overlap,
        )  # fmt: skip
        return out

    def add_product(self, x: Tensor, parts: Sequence[TiledMatrix], bias: Tensor | None, stream: Tensor) -> None:
        """stream float32 [n, out] += the product of x bf16 [n, in], rounded to bf16."""
        n, first = x.shape[0], 0
        for part in parts:
            self._product(
                "decode_residual", part, self._settings(part, n, 1, normed=False),
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
            "decode_gate_up", matrix, self._settings(matrix, n, 2, normed),
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
            "decode_logits", head, self._settings(head, n, 1, normed),
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
        return n <= self._tuning.normed_tokens

    def _units(self, part: TiledMatrix) -> int:
        """That a block takes: more where there are so many that making a block's inputs for each would cost."""
        return max(self._tuning.units, part.n_out // (TILE_ROWS * self._tuning.many_units))

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
        few, tuning = n <= 8, self._tuning
        columns = -(-part.n_in // TILE_COLUMNS)
        narrow = columns <= tuning.most_warps
        warps = columns if narrow else tuning.warps
        chunk = columns if narrow else 2 * warps
        stage_bytes = rows * chunk * part.tile_bytes
        if not narrow and 2 * stage_bytes > tuning.ring_bytes:
            chunk, stage_bytes = warps, stage_bytes // 2
        chunks = -(-columns // chunk) * self._units(part)
        return matrix_format(part).settings() | {
            "TOKENS": 1 if few else 2, "ROWS": rows, "WARPS": warps, "SCALE_FIRST": int(not few), "WIDE": 0,
            "CHUNK": chunk, "STAGES": max(1, min(chunks, tuning.ring_bytes // stage_bytes)),
            "NORM": int(normed), "HIDDEN": self._hidden if normed else 0, "PREFETCH": int(tuning.prefetch),
        }  # fmt: skip

    def _product(
        self,
        name: str,
        part: TiledMatrix,
        settings: dict[str, int],
        *arguments: Tensor | int | None,
        units: int,
        n: int,
        first: bool = False,
    ) -> None:
        staged = settings["STAGES"] * settings["ROWS"] * settings["CHUNK"] * part.tile_bytes
        normed = n * _stride(self._hidden) * 2 if settings["NORM"] else 0
        _module(name, tuple(settings.items()), self._device).launch(
            name, (-(-units // self._units(part)), 1, 1), 32 * settings["WARPS"], *arguments,
            shared_bytes=staged + normed, overlap=self._tuning.overlap and not first,
        )  # fmt: skip


def _stride(hidden: int) -> int:
    """Of normed tokens in shared memory, in numbers: as decode_product.cuh has it."""
    return -(-hidden // 64) * 64 + 32


def _rows(bias: Tensor | None, first: int, part: TiledMatrix) -> Tensor | None:
    return None if bias is None else bias[first : first + part.n_out]


def _head_settings(shape: HeadShape) -> dict[str, int]:
    return {"HEAD_DIM": shape.dim, "HEADS": shape.heads, "KV_HEADS": shape.kv_heads, "BLOCK": BLOCK_TOKENS}


@cache
def _module(name: str, settings: tuple[tuple[str, int], ...], device: torch.device) -> CUDAModule:
    return CUDAModule(CUDA_SOURCES / f"{name}.cu", dict(settings), device)
