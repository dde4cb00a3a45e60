"""A quantized matrix as the kernels of cuda/ read it: the order of codes and scales in memory, and back again.

It owns that order, in plain torch on any device. It knows no products.

Tiles have 16 rows and 128 columns; missing rows and columns have scale 0. In a tile, lane g * 4 + t of a warp has rows g and
g + 8, and of each 32 columns the eight from 8 t, or, where each 16 have a scale, the four from 4 t and the four from 16 + 4 t:
what the tensor cores' m16n8k16 wants of it, columns being in any order there. A lane's 8 codes lie in pairs, so that shifting
and masking once yields two 16-bit numbers; bits above the lower four, where a format has them, lie in a plane of their own in
the same order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from portico_engine.quantization.quantized_matrix import QuantizedMatrix

TILE_ROWS, TILE_COLUMNS = 16, 128


@dataclass(frozen=True, slots=True)
class TiledMatrix:
    """A `QuantizedMatrix` in tiles of [out / 16] rows and [in / 128] columns, both rounded up."""

    low: Tensor  # int32 [tiles, tiles, 2, 8, 4, 4]: side, row, quarter, group of 32
    high: Tensor | None  # int32 [tiles, tiles, 2, 8, 4, bits - 4]
    scales: Tensor  # float16 [tiles, tiles, 16, groups, 1 or 2]: scale, then offset; groups of 16, 32, 64 or 128
    n_out: int
    n_in: int
    bits: int
    zero_point: int
    table: tuple[float, ...] | None = None  # see `QuantizedMatrix`
    order: Tensor | None = None

    @property
    def group_size(self) -> int:
        return TILE_COLUMNS // self.scales.shape[3]

    @property
    def has_offsets(self) -> bool:
        return self.scales.shape[4] == 2

    @property
    def tile_bytes(self) -> int:
        """Of one tile, codes and scales."""
        return self.n_bytes // (self.low.shape[0] * self.low.shape[1])

    @property
    def n_bytes(self) -> int:
        return self.low.nbytes + self.scales.nbytes + (0 if self.high is None else self.high.nbytes)


def pack_tiles(matrix: QuantizedMatrix) -> TiledMatrix:
    """Into tiles. Scales are rounded to float16, a table to bfloat16. Groups of 128 get offsets: so they fill a word."""
    if matrix.group_size == TILE_COLUMNS and matrix.offset is None:
        if matrix.table is None:
            matrix = matrix._replace(offset=matrix.scale * -matrix.zero_point, zero_point=0)
        else:
            matrix = matrix.regrouped(TILE_COLUMNS // 2)
    n_out, n_in = matrix.codes.shape
    tiles = -(-n_out // TILE_ROWS), -(-n_in // TILE_COLUMNS)
    padded = _padded(matrix.codes, tiles[0] * TILE_ROWS, tiles[1] * TILE_COLUMNS)
    at = (tiles[0], 2, 8, tiles[1], 4)  # row = side 8 + g; column = tile 128 + group 32 + ...
    if matrix.group_size != 16:  # ... quarter 8 + 2 pair + second
        split = padded.view(*at, 4, 8).permute(0, 3, 1, 2, 5, 4, 6)
    else:  # ... half 16 + quarter 4 + 2 (pair mod 2) + second
        split = padded.view(*at, 2, 4, 4).permute(0, 3, 1, 2, 6, 4, 5, 7)
    lanes = split.reshape(*tiles, 2, 8, 4, 4, 4, 2)  # ..., quarter, group, pair, second
    above = matrix.bits - 4
    groups = TILE_COLUMNS // matrix.group_size
    numbers = [matrix.scale] if matrix.offset is None else [matrix.scale, matrix.offset]
    scales = [_padded(part, tiles[0] * TILE_ROWS, tiles[1] * groups).view(tiles[0], 16, tiles[1], groups) for part in numbers]
    return TiledMatrix(
        _planes(lanes & 15, 4),
        _planes(lanes >> 4, above) if above else None,
        torch.stack(scales, dim=-1).transpose(1, 2).to(torch.float16).contiguous(),
        n_out,
        n_in,
        matrix.bits,
        matrix.zero_point,
        None if matrix.table is None else tuple(matrix.table.bfloat16().tolist()),
        matrix.order,
    )


def unpack_tiles(packed: TiledMatrix) -> QuantizedMatrix:
    """The inverse of `pack_tiles`, up to the rounding of scales."""
    rows, columns = packed.low.shape[:2]
    lanes = _from_planes(packed.low, 4)
    if packed.high is not None:
        lanes |= _from_planes(packed.high, packed.bits - 4) << 4
    if packed.group_size != 16:
        split = lanes.view(rows, columns, 2, 8, 4, 4, 8).permute(0, 2, 3, 1, 5, 4, 6)
    else:
        split = lanes.view(rows, columns, 2, 8, 4, 4, 2, 4).permute(0, 2, 3, 1, 5, 6, 4, 7)
    codes = split.reshape(rows * TILE_ROWS, columns * TILE_COLUMNS)[: packed.n_out, : packed.n_in]
    wide = packed.scales.transpose(1, 2).float()  # tiles, 16, tiles, groups, numbers
    numbers = wide.reshape(rows * TILE_ROWS, -1, wide.shape[-1])[: packed.n_out, : packed.n_in // packed.group_size]
    scale, offset = numbers[..., 0], numbers[..., 1] if packed.has_offsets else None
    table = None if packed.table is None else torch.tensor(packed.table, device=codes.device)
    return QuantizedMatrix(codes.contiguous(), scale, offset, packed.bits, packed.zero_point, table, packed.order)


def _padded(rows: Tensor, n_rows: int, n_columns: int) -> Tensor:
    if rows.shape == (n_rows, n_columns):
        return rows.contiguous()
    out = rows.new_zeros(n_rows, n_columns)
    out[: rows.shape[0], : rows.shape[1]] = rows
    return out


def _places(bits: int) -> list[tuple[int, int, int, int, int]]:
    """Where the parts of a lane's 32 codes are: group, pair, second; word and shift."""
    return [
        (group, pair, second, bits * group // 4, 4 * bits * group % 16 + bits * pair + 16 * second)
        for group in range(4)
        for pair in range(4)
        for second in range(2)
    ]


def _planes(codes: Tensor, bits: int) -> Tensor:
    """uint8 [..., 4, 4, 2] of so many bits -> int32 [..., bits]."""
    out = torch.zeros(*codes.shape[:-3], bits, dtype=torch.int32, device=codes.device)
    for group, pair, second, word, shift in _places(bits):
        out[..., word] |= codes[..., group, pair, second].int() << shift
    return out


def _from_planes(words: Tensor, bits: int) -> Tensor:
    """The inverse of `_planes`."""
    out = torch.empty(*words.shape[:-1], 4, 4, 2, dtype=torch.uint8, device=words.device)
    for group, pair, second, word, shift in _places(bits):
        out[..., group, pair, second] = (words[..., word] >> shift & ((1 << bits) - 1)).to(torch.uint8)
    return out
