"""Packed matrices beside what their formats' published formulas say, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from packers import FORMATS, MXFP4, mxfp4
from portico_engine.quantization.packed_formats import E2M1, dequantize_rows, unpack_matrix
from portico_engine.quantization.packing import Packing
from portico_engine.weights.quantization_config import bitsandbytes_packing, read_packing

SHAPE = (160, 192)


def weights(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE) * np.linspace(0.2, 3, SHAPE[0])[:, None]


def read(name: str) -> tuple[dict[str, torch.Tensor], Packing, np.ndarray]:
    """Arrays as a folder's reader gives them, and what they stand for."""
    packer, config = FORMATS[name]
    arrays, values = packer(weights())
    packing = read_packing({"quantization_config": config}, Path("folder"))
    assert packing is not None
    state = arrays.pop("weight.quant_state.bitsandbytes__nf4", None)
    if state is not None:
        packing, shape = bitsandbytes_packing(state.numpy().tobytes(), packing, "a matrix")
        assert shape == SHAPE
        arrays = {key.removeprefix("weight."): array for key, array in arrays.items()}
    if packing.method == "FP8":
        arrays = {"weight" if key == "weight" else "scale": array for key, array in arrays.items()}
    return arrays, packing, values


@pytest.mark.parametrize("name", FORMATS)
def test_a_packed_matrix_is_what_its_formula_says(name: str) -> None:
    arrays, packing, values = read(name)
    wide = dequantize_rows(arrays, packing, SHAPE)
    np.testing.assert_allclose(wide.double().numpy(), values, rtol=2e-6, atol=1e-6 * np.abs(values).max())
    assert np.abs(values - weights()).max() < 3  # the packer's own rounding: nothing is where it doesn't belong
    for rows in (slice(7, 150), slice(0, 160, 2), slice(1, 160, 2)):
        torch.testing.assert_close(dequantize_rows(arrays, packing, SHAPE, rows), wide[rows])


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("float8")])
def test_codes_keep_their_meaning_in_smaller_groups_and_in_8_bits(name: str) -> None:
    arrays, packing, values = read(name)
    matrix = unpack_matrix(arrays, packing, SHAPE)
    assert int(matrix.codes.max()) < 1 << matrix.bits
    torch.testing.assert_close(matrix.regrouped(32).dequantize(), matrix.dequantize())
    if matrix.table is not None:
        largest = np.abs(values).max()
        assert np.abs(matrix.in_8bit().dequantize().numpy() - values).max() <= largest / 254 * 1.01


def test_act_order_leaves_columns_in_another_order() -> None:
    arrays, packing, _ = read("gptq, act-order")
    assert unpack_matrix(arrays, packing, SHAPE).order is not None
    arrays, packing, _ = read("gptq")
    assert unpack_matrix(arrays, packing, SHAPE).order is None


def test_microscaling_blocks_are_their_specifications() -> None:
    blocks, scales, values = mxfp4(weights())
    arrays = {"blocks": torch.from_numpy(blocks), "scales": torch.from_numpy(scales)}
    matrix = unpack_matrix(arrays, Packing("MXFP4", group_size=32), SHAPE)
    np.testing.assert_array_equal(matrix.dequantize().double().numpy(), values)
    np.testing.assert_array_equal(matrix.in_8bit().dequantize().double().numpy(), values)
    np.testing.assert_array_equal(E2M1, MXFP4)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gptq", lambda a: a | {"g_idx": torch.zeros(192, dtype=torch.int32)}, "in groups of different sizes"),
        ("gptq", lambda a: a | {"scales": a["scales"][:5], "qzeros": a["qzeros"][:5]}, "192 inputs in 5 groups"),
        ("awq", lambda a: a | {"qzeros": a["qzeros"][:5]}, "size|shape"),
        ("nf4", lambda a: a | {"absmax": a["absmax"][:-9]}, "invalid|shape"),
    ],
)
def test_arrays_that_dont_fit_together_are_refused(name: str, change: object, message: str) -> None:
    arrays, packing, _ = read(name)
    with pytest.raises((ValueError, RuntimeError), match=message):
        unpack_matrix(change(arrays), packing, SHAPE)  # type: ignore[operator]
