"""Parts of matrices that a folder stores as several arrays: which dimension of each array are the matrix's rows, and which its
columns.

It owns that, for each method of `quantization.packing`; `quantization.packed_formats` says what the arrays are.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from portico_engine.errors import ModelError
from portico_engine.parallel.shard import Cut
from portico_engine.quantization.packing import Packing
from portico_engine.weights.model_file import TensorInfo

Arrays = Mapping[str, tuple[str, tuple[int, ...], npt.NDArray[np.uint8]]]


class _Axes(NamedTuple):
    """Which dimension of an array counts the matrix's rows, in whole or in groups, and which its columns."""

    rows: int | None
    columns: int | None


_BY_ROW, _BY_COLUMN = _Axes(0, 1), _Axes(1, 0)
_GROUP_INDEX = ("g_idx", "weight_g_idx")
_AXES: dict[str, dict[str, _Axes]] = {
    "GPTQ": {"qweight": _BY_COLUMN, "qzeros": _BY_COLUMN, "scales": _BY_COLUMN, "g_idx": _Axes(None, 0)},
    "AWQ": dict.fromkeys(("qweight", "qzeros", "scales"), _BY_COLUMN),
    "PACKED": dict.fromkeys(("weight_packed", "weight_scale", "weight_zero_point"), _BY_ROW) | {"weight_g_idx": _Axes(None, 0)},
    "INT8": dict.fromkeys(("weight", "weight_scale"), _BY_ROW),
    "FP8": dict.fromkeys(("weight", "scale"), _BY_ROW),
    "MXFP4": dict.fromkeys(("blocks", "scales"), _BY_ROW),
    "TRANSPOSED": {"weight": _BY_COLUMN},
}
_NUMBERS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}  # of so many bytes, whatever they mean


def check_packed(info: TensorInfo, arrays: Arrays, cut: Cut, path: Path) -> None:
    """Raises ModelError where this matrix can't be cut so, saying what can be."""
    assert isinstance(info.type, Packing)
    if info.type.method not in _AXES:
        raise ModelError(
            f"{path}: {info.name} is packed as {info.type.name}, whose blocks go on over the ends of rows and are not split "
            "over ranks; GGUF, GPTQ, AWQ, FP8 and bfloat16 are"
        )
    if cut.columns is None:
        return
    for name in _GROUP_INDEX:
        if name in arrays:
            groups = arrays[name][2].view(np.int32)
            if not np.array_equal(groups, np.sort(groups, kind="stable")):
                raise ModelError(
                    f"{path}: {info.name} has its columns in the order of their activations (act-order, desc_act), whose "
                    "groups lie on all ranks; a model quantized without it can be split"
                )


def cut_arrays(
    info: TensorInfo, arrays: Arrays, cut: Cut, path: Path
) -> dict[str, tuple[str, tuple[int, ...], npt.NDArray[np.uint8]]]:
    """The arrays of a part, which are a matrix of their own. Raises ModelError where a border lies within a word or a group."""
    assert info.packed is not None
    assert isinstance(info.type, Packing)
    (n_rows, n_columns), taken = info.packed.shape, range(info.packed.shape[0])[info.packed.rows]
    rows = taken if cut.rows is None else taken[cut.rows.start : cut.rows.stop]
    columns = range(n_columns) if cut.columns is None else cut.columns
    block = info.type.block or (None, None)
    out = {}
    for name, (kind, shape, raw) in arrays.items():
        axes = _AXES[info.type.method].get(name)
        if axes is None:
            out[name] = (kind, shape, raw)
            continue
        values = raw.view(_NUMBERS[raw.nbytes // prod(shape)]).reshape(shape)
        if axes.rows is not None and axes.rows < len(shape):
            values = _along(values, axes.rows, rows, n_rows, block[0] if name == "scale" else None, info, path)
        if axes.columns is not None and axes.columns < len(shape):
            values = _along(values, axes.columns, columns, n_columns, block[1] if name == "scale" else None, info, path)
        if name in _GROUP_INDEX:
            values = values - values.min(initial=np.iinfo(values.dtype).max)
        out[name] = (kind, values.shape, np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    return out


def _along(
    values: npt.NDArray[np.generic], axis: int, taken: range, whole: int, block: int | None, info: TensorInfo, path: Path
) -> npt.NDArray[np.generic]:
    """Of the `whole` rows or columns, which this axis counts in words or groups, those that are taken."""
    length = values.shape[axis]
    if length == 1 or len(taken) == whole:
        return values
    step = block or whole // length
    last = taken[-1] + 1
    if (taken.start % step or (last % step and last != whole)) or (taken.step > 1 and step > 1):
        raise ModelError(
            f"{path}: {info.name} keeps {step} rows or columns together, and a rank would have {len(taken)} from "
            f"{taken.start} on"
        )
    places = slice(taken.start // step, -(-last // step), taken.step)
    return values[(slice(None),) * axis + (places,)]
