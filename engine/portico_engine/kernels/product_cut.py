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
_STAGES = 4  # of tokens, in cuda/group_product.cuh
_CLUSTERS = (8, 5, 4, 2)  # blocks that share the columns of the same rows
_MOST_SHARED_BYTES = 200 << 10  # of a block that stays: of more columns warpgroups take any number of tokens


class StreamConfig(NamedTuple):
    """As cuda/stream_product.cuh says."""

    tokens: int
    grouped: int
    warps: int
    blocks: int
    depth: int
    slots: int


class GroupConfig(NamedTuple):
    """As cuda/group_product.cuh says."""

    tokens: int
    warpgroups: int
    blocks: int
    depth: int


# The fastest up to so many tokens, for units of one tile and of two.
_STREAMS = {
    2: (StreamConfig(1, 1, 16, 1, 3, 8), StreamConfig(1, 1, 8, 1, 3, 4)),
    8: (StreamConfig(1, 0, 16, 1, 2, 2), StreamConfig(1, 0, 8, 1, 2, 1)),
    16: (StreamConfig(2, 0, 16, 1, 1, 1), StreamConfig(2, 0, 8, 1, 2, 1)),
}
_GROUPS = {32: GroupConfig(4, 4, 1, 2), 64: GroupConfig(8, 4, 1, 2)}
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
    for most, configs in _STREAMS.items():
        found = _stream(configs[rows - 1], matrix.group_size, columns, units, rows, processors)
        if n <= most and found.shared_bytes <= _MOST_SHARED_BYTES:
            return found
    config = next((config for most, config in _GROUPS.items() if n <= most), _GROUPS[MOST_TOKENS])
    return _group(config, n, columns, units, rows, processors)


def settings(matrix: TiledMatrix, rows: int = 1) -> Iterator[Mapping[str, int]]:
    """All that `cut` has for such a matrix."""
    for n in SIZES:
        yield cut(matrix, n, rows).settings


def _stream(config: StreamConfig, group_size: int, columns: int, units: int, rows: int, processors: int) -> Cut:
    warps, halves, tokens = min(config.warps, columns), 2 if group_size == 16 else 1, 8 * config.tokens
    height = TILE_ROWS * rows
    part = 2 * height if config.grouped else tokens * (height + 4)  # sums of a warp
    sums = 8 * halves if config.grouped else 4 * halves * tokens  # of the inputs in a tile of columns
    compiled = {name.upper(): value for name, value in config._asdict().items()}
    compiled |= {"PRODUCT": STREAM, "ROWS": rows, "WARPS": warps}
    blocks = min(units, processors * config.blocks)
    return Cut(compiled, (blocks, 1, 1), 32 * warps, 4 * (columns * sums + config.slots * warps * part), 1)


def _group(config: GroupConfig, n: int, columns: int, units: int, rows: int, processors: int) -> Cut:
    tokens, height = 8 * config.tokens, 64 * config.warpgroups
    blocks, passes = -(-units * rows * TILE_ROWS // height), -(-n // tokens)
    room = config.blocks * processors // (blocks * passes)
    cluster = next((size for size in _CLUSTERS if size <= min(room, columns)), 1)
    compiled = {name.upper(): value for name, value in config._asdict().items()} | {"PRODUCT": WARPGROUP, "ROWS": rows}
    staged = max(_STAGES * tokens * TILE_COLUMNS * 2, tokens * (height + 4) * 4)
    return Cut(compiled, (blocks, passes, cluster), 2 * height, staged + 1024, cluster)


@cache
def _processors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
