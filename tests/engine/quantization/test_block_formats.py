"""Block formats beside gguf's own reading, on random blocks."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch

from portico_engine.quantization.block_formats import FORMATS, unpack_blocks

Q = gguf.GGMLQuantizationType
WITH_MINIMUM = (Q.Q4_1, Q.Q5_1, Q.Q4_K, Q.Q5_K)  # two float16 at their start
KINDS = sorted(FORMATS)


def random_rows(kind: Q) -> np.ndarray:
    """Three rows of four blocks, random but for their float16s."""
    rng = np.random.default_rng(5)
    blocks = rng.integers(0, 256, (12, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    n_halves = 2 if kind in WITH_MINIMUM else 1
    at = 208 if kind == Q.Q6_K else 0
    blocks[:, at : at + 2 * n_halves] = rng.standard_normal((12, n_halves)).astype(np.float16).view(np.uint8)
    return blocks.reshape(3, -1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_blocks_are_read_as_by_gguf(kind: Q) -> None:
    raw = random_rows(kind)
    expected = gguf.quants.dequantize(raw, kind)
    assert np.array_equal(unpack_blocks(torch.from_numpy(raw), kind).dequantize().numpy(), expected)
