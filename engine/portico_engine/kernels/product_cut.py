"""How a product with a quantized matrix is cut into blocks on a GPU of compute capability 9.0: cuda/product_tokens.cu's.

One or two tokens of a large matrix go through blocks that stay (cuda/stream_product.cuh), more than 16 through warpgroups
(cuda/group_product.cuh); what is between and beside them is few_tokens.cu's. It owns what these kernels are compiled for and
launched with, by the matrix and the number of tokens. It knows neither devices' streams nor layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import torch

from portico_engine.kernels.quantized_layout import TILE_COLUMNS, TILE_ROWS, TiledMatrix

_CAPABILITY = (9, 0)
_STREAM_TOKENS, _STREAM_BYTES = (
    2,
    30_000_000,
)  # at most, and of a matrix at least: smaller ones are over before blocks pay that stay
_FEW_TOKENS = 16  # up to which sums are scaled, not weights
_SHARED_BYTES = 226 << 10  # of a block
_CLUSTERS = (6, 4, 2)  # blocks that share the columns of the same rows; of seven or eight fewer fit on the GPU at once
_CLUSTERED = 3, 4  # share of the processors that such blocks may take: clusters can't span what processors are grouped in


class StreamConfig(NamedTuple):
    """As cuda/stream_product.cuh says."""

    warps: int = 16
    stages: int = 6
    slots: int = 8


class GroupConfig(NamedTuple):
    """As cuda/group_product.cuh says."""

    tokens: int
    warpgroups: int = 4
    stages: int = 4


_STREAM = StreamConfig()
_GROUPS = {32: GroupConfig(4), 64: GroupConfig(8)}  # up to so many tokens of a block


class Cut(NamedTuple):
    """What a kernel is compiled for, and how it is launched."""

    settings: Mapping[str, int]  # beside the matrix's format
    grid: tuple[int, int, int]
    threads: int
    shared_bytes: int
    cluster: int  # blocks, along the grid's third dimension


@cache
def fits(device: torch.device) -> bool:
    """Has the device what these kernels are made of? No other architecture has warpgroups' products."""
    return torch.cuda.get_device_capability(device) == _CAPABILITY


def cut(matrix: TiledMatrix, n: int) -> Cut | None:
    """For n tokens; None where few_tokens.cu is faster."""
    if n > _FEW_TOKENS:
        return _group(_GROUPS[min((most for most in _GROUPS if n <= most), default=max(_GROUPS))], n, matrix)
    return _stream(_STREAM, matrix) if n <= _STREAM_TOKENS and matrix.n_bytes >= _STREAM_BYTES else None


def settings(matrix: TiledMatrix) -> Iterator[Mapping[str, int]]:
    """All that `cut` has for such a matrix."""
    for n in (_STREAM_TOKENS, *_GROUPS):
        found = cut(matrix, n)
        if found is not None:
            yield found.settings


def _stream(config: StreamConfig, matrix: TiledMatrix) -> Cut:
    columns, tiles = _tiles(matrix)
    halves = 2 if matrix.group_size == 16 else 1
    warps = min(config.warps, columns)
    sums = 4 * (columns * 8 * halves + config.slots * warps * 2 * TILE_ROWS)  # of the inputs' groups, and of the warps
    stages = min(config.stages, (_SHARED_BYTES - sums) // (warps * matrix.tile_bytes))
    compiled = {"WARPGROUP": 0, "TOKENS": 1, "WARPS": warps, "STAGES": stages, "SLOTS": config.slots}
    return Cut(
        compiled, (min(tiles, _processors(matrix.low.device)), 1, 1), 32 * warps, warps * stages * matrix.tile_bytes + sums, 1
    )


def _group(config: GroupConfig, n: int, matrix: TiledMatrix) -> Cut:
    columns, tiles = _tiles(matrix)
    tokens, of_block = 8 * config.tokens, 4 * config.warpgroups
    blocks, passes = -(-tiles // of_block), -(-n // tokens)
    room = _processors(matrix.low.device) * _CLUSTERED[0] // _CLUSTERED[1] // (blocks * passes)
    cluster = next((size for size in _CLUSTERS if size <= min(room, columns)), 1)
    staged = tokens * TILE_COLUMNS * 2 + of_block * matrix.tile_bytes
    stages = min(config.stages, (_SHARED_BYTES - 1024) // staged)
    shared = max(stages * staged, tokens * (of_block * TILE_ROWS + 4) * 4) + 1024  # sums take the stages' place
    compiled = {"WARPGROUP": 1, "TOKENS": config.tokens, "WARPGROUPS": config.warpgroups, "STAGES": stages}
    return Cut(compiled, (blocks, passes, cluster), 32 * of_block, shared, cluster)


def _tiles(matrix: TiledMatrix) -> tuple[int, int]:
    return -(-matrix.n_in // TILE_COLUMNS), -(-matrix.n_out // TILE_ROWS)


@cache
def _processors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
