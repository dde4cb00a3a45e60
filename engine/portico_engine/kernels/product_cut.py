"""How a product with a quantized matrix is cut into blocks on a GPU of compute capability 9.0: cuda/product.cuh's kernels.

Few tokens go through blocks that stay (cuda/stream_product.cuh), more through warpgroups (cuda/group_product.cuh). It owns what
they are compiled for and launched with, by the matrix and the number of tokens. It knows neither devices' streams nor layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import torch

from portico_engine.kernels.quantized_layout import TILE_COLUMNS, TILE_ROWS, TiledMatrix

RING, STREAM, WARPGROUP = range(3)  # as cuda/product.cuh has them
_CAPABILITY = (9, 0)
_CLUSTERS = (5, 4, 2)  # blocks that share the columns of the same rows; of eight fewer fit on the GPU at once
_STAGED_BYTES = 92 << 10  # of tiles in a block that stays, of which a processor has two: this kernel's and the next one's
_MOST_SHARED_BYTES = 200 << 10  # of a block that stays: of more columns warpgroups take any number of tokens


class StreamConfig(NamedTuple):
    """As cuda/stream_product.cuh says."""

    tokens: int
    grouped: int
    warps: int
    blocks: int
    stages: int  # at most
    slots: int


class GroupConfig(NamedTuple):
    """As cuda/group_product.cuh says."""

    tokens: int
    warpgroups: int
    blocks: int
    stages: int


# The fastest up to so many tokens.
_STREAMS = {2: StreamConfig(1, 1, 16, 2, 4, 8), 8: StreamConfig(1, 0, 16, 2, 4, 1), 16: StreamConfig(2, 0, 16, 1, 4, 1)}
_GROUPS = {32: GroupConfig(4, 4, 1, 4), 64: GroupConfig(8, 4, 1, 4)}
MOST_TOKENS = max(_GROUPS)  # that a block takes
SIZES = (*_STREAMS, *_GROUPS)


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


def cut(matrix: TiledMatrix, n: int, rows: int = 1) -> Cut:
    """For n tokens; `rows`: tiles of a unit, 1 or 2."""
    columns, units = -(-matrix.n_in // TILE_COLUMNS), -(-matrix.n_out // (TILE_ROWS * rows))
    processors = _processors(matrix.low.device)
    for most, config in _STREAMS.items():
        found = _stream(config, matrix, columns, units, rows, processors)
        if n <= most and found.shared_bytes <= _MOST_SHARED_BYTES:
            return found
    group = next((config for most, config in _GROUPS.items() if n <= most), _GROUPS[MOST_TOKENS])
    return _group(group, n, matrix, columns, units, rows, processors)


def settings(matrix: TiledMatrix, rows: int = 1) -> Iterator[Mapping[str, int]]:
    """All that `cut` has for such a matrix."""
    for n in SIZES:
        yield cut(matrix, n, rows).settings


def _stream(config: StreamConfig, matrix: TiledMatrix, columns: int, units: int, rows: int, processors: int) -> Cut:
    warps, halves, tokens = min(config.warps, columns), 2 if matrix.group_size == 16 else 1, 8 * config.tokens
    stages = max(2, min(config.stages, _STAGED_BYTES // (warps * matrix.tile_bytes)))
    height = TILE_ROWS * rows
    part = 2 * height if config.grouped else tokens * (height + 4)  # sums of a warp
    sums = 8 * halves if config.grouped else 4 * halves * tokens  # of the inputs in a tile of columns
    compiled = _compiled(config._replace(warps=warps, stages=stages)._asdict(), STREAM, rows)
    shared = warps * stages * matrix.tile_bytes + 4 * (columns * sums + config.slots * warps * part)
    return Cut(compiled, (min(units, processors), 1, 1), 32 * warps, shared, 1)


def _group(config: GroupConfig, n: int, matrix: TiledMatrix, columns: int, units: int, rows: int, processors: int) -> Cut:
    tokens, height = 8 * config.tokens, 64 * config.warpgroups
    blocks, passes = -(-units * rows * TILE_ROWS // height), -(-n // tokens)
    room = config.blocks * processors * 7 // 8 // (blocks * passes)  # clusters can't span what processors are grouped in
    cluster = next((size for size in _CLUSTERS if size <= min(room, columns)), 1)
    staged = config.stages * (tokens * TILE_COLUMNS * 2 + height // TILE_ROWS * matrix.tile_bytes)
    shared = max(staged, tokens * (height + 4) * 4) + 1024
    return Cut(_compiled(config._asdict(), WARPGROUP, rows), (blocks, passes, cluster), 2 * height, shared, cluster)


def _compiled(config: Mapping[str, int], kind: int, rows: int) -> Mapping[str, int]:
    return {name.upper(): value for name, value in config.items()} | {"PRODUCT": kind, "ROWS": rows}


@cache
def _processors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
