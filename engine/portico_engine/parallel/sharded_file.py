"""A model file as one rank sees it: of each tensor its part, read from where it lies and no more.

It owns the places of parts. Which part is a rank's, `shard` says; what numbers mean, the loader knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from portico_engine.parallel.packed_shards import check_packed, cut_arrays
from portico_engine.parallel.shard import WHOLE, Cut, ShardRules
from portico_engine.quantization.packing import Packing
from portico_engine.weights.model_file import ModelFile, PackedArrays, TensorInfo

_ALL = slice(None)


class ShardedFile(ModelFile):
    """What the loader reads in place of the whole file."""

    def __init__(self, whole: ModelFile, rules: ShardRules) -> None:
        """Raises ModelError naming a tensor that can't be cut where it would have to be."""
        super().__init__(whole.path)
        self._whole = whole
        self.interleaves_rotary = whole.interleaves_rotary
        self.size = whole.size
        self.metadata = whole.metadata
        self.buffers = whole.buffers
        self._cuts: dict[str, Cut] = {}
        for name, info in whole.tensors.items():
            cut = rules.cut(info)
            if cut is not None:
                self._cuts[name] = cut
                self.tensors[name] = self._part(info, cut)

    def raw(self, name: str, rows: slice = _ALL) -> npt.NDArray[np.uint8]:
        """See `ModelFile.raw`; a copy where it is some of the columns."""
        found = super().raw(name, rows)
        info, columns = self._info(name), self._cuts[name].columns
        if columns is None:
            return found
        assert not isinstance(info.type, Packing)
        block, block_bytes = gguf.GGML_QUANT_SIZES[info.type]
        return np.ascontiguousarray(found[:, columns.start // block * block_bytes : columns.stop // block * block_bytes])

    def packed(self, name: str) -> dict[str, tuple[str, tuple[int, ...], npt.NDArray[np.uint8]]]:
        """See `ModelFile.packed`; copies."""
        arrays, cut = self._whole.packed(name), self._cuts[name]
        return arrays if cut == WHOLE else cut_arrays(self._whole.tensors[name], arrays, cut, self.path)

    def cut(self, name: str) -> Cut:
        """Which part of this tensor it is."""
        return self._cuts[name]

    def _part(self, info: TensorInfo, cut: Cut) -> TensorInfo:
        """Of columns the place is that of whole rows, which `raw` cuts."""
        if cut == WHOLE:
            return info
        rows = range(info.shape[0]) if cut.rows is None else cut.rows
        if info.packed is not None:
            columns = range(info.packed.shape[1]) if cut.columns is None else cut.columns
            check_packed(info, self._whole.packed(info.name), cut, self.path)
            shape = (len(rows), len(columns)) if len(info.shape) > 1 else (len(rows),)
            packed = PackedArrays(info.packed.arrays, (len(rows), len(columns)))
            return replace(info, shape=shape, packed=packed)
        if cut.rows is not None:
            info = info.part(info.name, rows.start, len(rows))
        return info if cut.columns is None else replace(info, shape=(*info.shape[:-1], len(cut.columns)))

    def _headers(self) -> Sequence[bytes]:
        return self._whole._headers()

    def _files(self) -> Sequence[Path]:
        return self._whole._files()
