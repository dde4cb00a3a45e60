"""Block formats beside gguf's own reading, on random blocks."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch

from portico_engine.quantization.block_formats import FORMATS, unpack_blocks

Q = gguf.GGMLQuantizationType
WITH_MINIMUM = (Q.Q4_1, Q.Q5_1, Q.Q4_K, Q.Q5_K, Q.Q2_K)  # two float16
KINDS = sorted(FORMATS)


def random_rows(kind: Q) -> np.ndarray:
    """Three rows of four blocks, random but for their float16s."""
    rng = np.random.default_rng(5)
    blocks = rng.integers(0, 256, (12, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    if kind == Q.MXFP4:
        blocks[:, 0] = rng.integers(110, 140, 12)
        return blocks.reshape(3, -1)
    if kind == Q.IQ1_M:
        blocks[:, 49::2] = blocks[:, 49::2] & 15 | np.array([0x10, 0x20, 0x30, 0x20], np.uint8)  # a float16 in four pieces
        return blocks.reshape(3, -1)
    n_halves = 2 if kind in WITH_MINIMUM else 1
    at = {Q.Q6_K: 208, Q.Q2_K: 80, Q.Q3_K: 108}.get(kind, 0)
    blocks[:, at : at + 2 * n_halves] = rng.standard_normal((12, n_halves)).astype(np.float16).view(np.uint8)
    return blocks.reshape(3, -1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_blocks_are_read_as_by_gguf(kind: Q) -> None:
    raw = random_rows(kind)
    expected = gguf.quants.dequantize(raw, kind)
    matrix = unpack_blocks(torch.from_numpy(raw), kind)
    form = FORMATS[kind]
    assert (matrix.group_size, matrix.offset is not None) == (form.group_size, form.has_offsets)
    assert int(matrix.codes.max()) < 1 << form.bits
    if kind == Q.Q2_K:  # its codes are moved, and what that adds is taken away
        np.testing.assert_allclose(matrix.dequantize().numpy(), expected, rtol=1e-5, atol=1e-4)
    else:
        assert np.array_equal(matrix.dequantize().numpy(), expected)
