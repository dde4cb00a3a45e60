"""Products with quantized matrices, and their rows in bfloat16, by the kernels in cuda/.

It owns the choice of kernel and launch configuration for the number of tokens, and launches. `quantized_layout` says how a
matrix lies in memory and has the plain torch twin: `unpack_tiles(matrix).dequantize()`.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from portico_engine.kernels import product_cut
from portico_engine.kernels.cuda_module import CUDA_SOURCES, CUDAModule
from portico_engine.kernels.product_cut import Cut
from portico_engine.kernels.quantized_layout import TILE_COLUMNS, TILE_ROWS, TiledMatrix

_PRODUCT = "product_tokens.cu"
_THREADS = 256
_BLOCKS_PER_PROCESSOR = 2  # of many_tokens.cu, which its registers allow
_LEAST_SPAN = 8  # tiles of columns: adding up costs more than it gains below


class FewTokensConfig(NamedTuple):
    """How few_tokens.cu cuts the work; it says what the words mean."""

    tokens: int
    rows: int
    warps: int
    scale_first: bool


class ManyTokensConfig(NamedTuple):
    """How many_tokens.cu cuts the work."""

    tokens: int
    rows: int
    warps: int


# The fastest up to so many tokens; those of many are for a mixture's experts and where `product_cut` does not fit.
_FEW = {8: FewTokensConfig(1, 1, 8, False), 16: FewTokensConfig(2, 1, 8, True)}
_MANY = {32: ManyTokensConfig(4, 2, 4), 64: ManyTokensConfig(8, 2, 4)}


def matmul(x: Tensor, matrix: TiledMatrix, out: Tensor, bias: Tensor | None = None) -> None:
    """out = x W^T (+ bias): x bf16 [n, in]; out bf16 or float32 [n, out], whose rows may be part of wider ones.

    Inputs are gathered first where the matrix has its columns in another order, as in all functions here.
    """
    n, n_in = x.shape
    if matrix.order is not None:
        x = x.index_select(1, matrix.order)
    assert x.is_contiguous()
    assert (n, n_in, out.stride(1)) == (out.shape[0], matrix.n_in, 1)
    if n == 0:
        return
    cut = product_cut.cut(matrix, n) if product_cut.fits(x.device) else None
    if cut is not None:
        _by_cut(cut, x, matrix, out, bias)
    elif n <= max(_FEW):
        _few_tokens(_FEW[min(most for most in _FEW if n <= most)], x, matrix, out, bias)
    else:
        _many_tokens(_MANY[min((most for most in _MANY if n <= most), default=max(_MANY))], x, matrix, out, bias)


def precompile(matrices: Iterable[tuple[TiledMatrix, torch.dtype]]) -> None:
    """Compile what products with these in this type need, side by side: one after another it takes seconds."""
    wanted: set[tuple[Any, ...]] = set()
    for matrix, dtype in matrices:
        form, device = matrix_format(matrix), matrix.low.device
        wanted.add(("rows.cu", form, (), dtype, device))
        wanted |= {("few_tokens.cu", form, _settings(config), dtype, device) for config in _FEW.values()}
        if product_cut.fits(device):
            wanted |= {(_PRODUCT, form, tuple(settings.items()), dtype, device) for settings in product_cut.settings(matrix)}
        else:
            wanted |= {("many_tokens.cu", form, _settings(config), dtype, device) for config in _MANY.values()}
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda each: _module(*each), wanted):
            pass


class ExpertGroups(NamedTuple):
    """Pairs of a token and one of its experts, by expert (cuda/expert_groups.cu)."""

    pairs: Tensor  # int32 [pairs]: token times experts a token, plus which of those
    groups: Tensor  # int32 [groups, 4]: expert, first of `pairs`, count
    ends: Tensor  # int32 [experts]: where each one's pairs end
    config: FewTokensConfig | ManyTokensConfig  # for groups of this size


def group_by_expert(chosen: Tensor, positions: Tensor | None, tokens: Tensor) -> ExpertGroups:
    """chosen int64 [n, used]; positions int32 [n], negative ones are padding without part. tokens int64 [experts] counts."""
    n_pairs, n_experts = chosen.numel(), tokens.numel()
    configs = _FEW | _MANY
    most = min((most for most in configs if n_pairs <= most * n_experts), default=max(configs))
    n_groups = min(n_pairs, n_pairs // most + n_experts)
    pairs, groups, ends = (
        torch.empty(*shape, dtype=torch.int32, device=chosen.device) for shape in ((n_pairs,), (n_groups, 4), (n_experts,))
    )
    threads = max(_THREADS, 1 << (n_experts - 1).bit_length())
    _grouping(n_experts, threads, chosen.device).launch(
        "expert_groups", (1, 1, 1), threads,
        chosen, positions, pairs, groups, ends, tokens, n_pairs, chosen.shape[1], most, n_groups,
    )  # fmt: skip
    return ExpertGroups(pairs, groups, ends, configs[most])


@cache
def _grouping(n_experts: int, threads: int, device: torch.device) -> CUDAModule:
    return CUDAModule(CUDA_SOURCES / "expert_groups.cu", {"EXPERTS": n_experts, "THREADS": threads}, device)


def expert_matmul(
    x: Tensor, matrix: TiledMatrix, n_experts: int, groups: ExpertGroups, used: int, out: Tensor, bias: Tensor | None = None
) -> None:
    """out[pair] = x[pair / used] W^T (+ bias) with the W of the pair's expert: the matrix has all experts' rows, one expert
    after the other, each a multiple of 16. x bf16 [n, in]; out bf16 or float32 [pairs, out of one expert]. Padding's rows stay
    as they are.
    """
    n_out, config = matrix.n_out // n_experts, groups.config
    rows = TILE_ROWS * config.rows * (config.warps if isinstance(config, ManyTokensConfig) else 1)
    blocks = -(-n_out // rows), groups.groups.shape[0], 1
    arguments = (x, matrix.low, matrix.high, matrix.scales, bias, out)
    sizes = (out.shape[0], matrix.n_in, n_out, out.stride(0))
    experts = (groups.pairs, groups.groups, used)
    if isinstance(config, FewTokensConfig):
        module = _module("few_tokens.cu", matrix_format(matrix), _settings(config), out.dtype, x.device, experts=True)
        module.launch("few_tokens", blocks, 32 * config.warps, *arguments, *sizes, *experts)
        return
    columns = -(-matrix.n_in // TILE_COLUMNS)
    module = _module("many_tokens.cu", matrix_format(matrix), _settings(config), out.dtype, x.device, experts=True)
    module.launch("many_tokens", blocks, 32 * config.warps, *arguments, None, *sizes, columns, *experts)


def precompile_experts(matrices: Iterable[tuple[TiledMatrix, torch.dtype]]) -> None:
    """As `precompile`, for `expert_matmul`."""
    settings = {
        (source, matrix_format(matrix), _settings(config), dtype, x)
        for matrix, dtype in matrices
        for x in [torch.device("cuda", torch.cuda.current_device())]
        for source, configs in (("few_tokens.cu", _FEW.values()), ("many_tokens.cu", _MANY.values()))
        for config in configs
    }
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda each: _module(*each, experts=True), settings):
            pass


def _by_cut(cut: Cut, x: Tensor, matrix: TiledMatrix, out: Tensor, bias: Tensor | None) -> None:
    n, n_in = x.shape
    _module(_PRODUCT, matrix_format(matrix), tuple(cut.settings.items()), out.dtype, x.device).launch(
        "product_tokens", cut.grid, cut.threads,
        x, matrix.low, matrix.high, matrix.scales, bias, out, n, n_in, matrix.n_out, out.stride(0),
        shared_bytes=cut.shared_bytes, overlap=True, cluster=cut.cluster,
    )  # fmt: skip


def _few_tokens(config: FewTokensConfig, x: Tensor, matrix: TiledMatrix, out: Tensor, bias: Tensor | None) -> None:
    n, n_in = x.shape
    blocks = -(-matrix.n_out // (TILE_ROWS * config.rows)), -(-n // (8 * config.tokens)), 1
    _module("few_tokens.cu", matrix_format(matrix), _settings(config), out.dtype, x.device).launch(
        "few_tokens", blocks, 32 * config.warps,
        x, matrix.low, matrix.high, matrix.scales, bias, out, n, n_in, matrix.n_out, out.stride(0),
    )  # fmt: skip


def _many_tokens(config: ManyTokensConfig, x: Tensor, matrix: TiledMatrix, out: Tensor, bias: Tensor | None) -> None:
    n, n_in = x.shape
    blocks = -(-matrix.n_out // (TILE_ROWS * config.rows * config.warps)), -(-n // (8 * config.tokens))
    span, n_parts = _division(-(-n_in // TILE_COLUMNS), blocks[0] * blocks[1], x.device)
    parts = torch.empty(n_parts, n, matrix.n_out, dtype=torch.float32, device=x.device) if n_parts > 1 else None
    module = _module("many_tokens.cu", matrix_format(matrix), _settings(config), out.dtype, x.device)
    module.launch(
        "many_tokens", (*blocks, n_parts), 32 * config.warps,
        x, matrix.low, matrix.high, matrix.scales, bias, out, parts, n, n_in, matrix.n_out, out.stride(0), span,
    )  # fmt: skip
    if parts is not None:
        blocks = -(-matrix.n_out // _THREADS), n
        module.launch("add_parts", (*blocks, 1), _THREADS, parts, bias, out, n, matrix.n_out, out.stride(0), n_parts)


def _division(columns: int, blocks: int, device: torch.device) -> tuple[int, int]:
    """Tiles of columns a part, and parts: as many as give every processor of the GPU its blocks."""
    span = max(min(_LEAST_SPAN, columns), -(-columns // max(1, _room(device) // blocks)))
    return span, -(-columns // span)


@cache
def _room(device: torch.device) -> int:
    return _BLOCKS_PER_PROCESSOR * int(torch.cuda.get_device_properties(device).multi_processor_count)


def gather_rows(matrix: TiledMatrix, indices: Tensor) -> Tensor:
    """Rows of the matrix, in bf16 [n, in]; indices int32 [n]."""
    return _in_order(matrix, _rows(matrix, indices, 0, len(indices)))


def dequantize_rows(matrix: TiledMatrix, first: int, n: int) -> Tensor:
    """Consecutive rows, in bf16 [n, in]."""
    return _in_order(matrix, _rows(matrix, None, first, n))


def _in_order(matrix: TiledMatrix, rows: Tensor) -> Tensor:
    return rows if matrix.order is None else torch.empty_like(rows).index_copy_(1, matrix.order, rows)


def _rows(matrix: TiledMatrix, indices: Tensor | None, first: int, n: int) -> Tensor:
    out = torch.empty(n, matrix.n_in, dtype=torch.bfloat16, device=matrix.low.device)
    threads = n * -(-matrix.n_in // TILE_COLUMNS) * 16
    _module("rows.cu", matrix_format(matrix), (), out.dtype, out.device).launch(
        "rows", (-(-threads // _THREADS), 1, 1), _THREADS,
        matrix.low, matrix.high, matrix.scales, indices, out, first, n, matrix.n_in,
    )  # fmt: skip
    return out


class MatrixFormat(NamedTuple):
    """What quantized.cuh is compiled for."""

    high: int
    zero: int
    offset: bool
    group: int
    ragged: bool
    table: tuple[float, ...] | None

    def settings(self) -> dict[str, int]:
        """By the names that it says."""
        flags = {name.upper(): int(value) for name, value in self._asdict().items() if name != "table"}
        if self.table is None:
            return flags | {"TABLE": 0}
        halves = torch.tensor(self.table).bfloat16().view(torch.uint8).view(-1, 2).T.contiguous().view(torch.int32)
        parts = {
            f"TABLE_{name}{i}": int(word) & 0xFFFFFFFF
            for name, words in zip(("LOW", "HIGH"), halves.tolist(), strict=True)
            for i, word in enumerate(words)
        }
        return flags | {"TABLE": 1} | parts


def matrix_format(matrix: TiledMatrix) -> MatrixFormat:
    return MatrixFormat(
        matrix.bits - 4,
        matrix.zero_point,
        matrix.has_offsets,
        matrix.group_size,
        matrix.n_in % TILE_COLUMNS != 0,
        matrix.table,
    )


@cache
def _module(
    source: str,
    format_: MatrixFormat,
    settings: tuple[tuple[str, int], ...],
    dtype: torch.dtype,
    device: torch.device,
    *,
    experts: bool = False,
) -> CUDAModule:
    defines = format_.settings() | dict(settings) | {"WIDE": int(dtype == torch.float32), "EXPERTS": int(experts)}
    return CUDAModule(CUDA_SOURCES / source, defines, device)


def _settings(config: FewTokensConfig | ManyTokensConfig) -> tuple[tuple[str, int], ...]:
    return tuple((name.upper(), int(value)) for name, value in config._asdict().items())
