"""Block formats beside gguf's own reading, on random blocks."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch

from portico_engine.linear.cpu_linear import GROUP
from portico_engine.quantization.block_formats import FORMATS, Affine, eight_bit, passes, unpack

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


def total(matrix: Affine) -> torch.Tensor:
    """The sum of all passes, float32 [rows, in]."""
    out = torch.zeros(*matrix.scale.shape, matrix.group)
    for codes, scales in passes(matrix):
        scale, offset = scales.transpose(0, 1).unsqueeze(-1).unbind(2)
        out += (codes.view(out.shape).float() - 8) * scale + offset
    return out.flatten(1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_blocks_are_read_as_by_gguf(kind: Q) -> None:
    raw = random_rows(kind)
    expected = gguf.quants.dequantize(raw, kind)
    assert np.array_equal(unpack(torch.from_numpy(raw), kind).values().numpy(), expected)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if FORMATS[kind].group == GROUP], ids=lambda kind: kind.name)
def test_passes_add_up_to_the_matrix(kind: Q) -> None:
    matrix = unpack(torch.from_numpy(random_rows(kind)), kind)
    torch.testing.assert_close(total(matrix), matrix.values(), rtol=1e-5, atol=1e-4)
    made = list(passes(matrix))
    assert len(made) == (1 if matrix.bits == 4 else 2)
    assert all(int(codes.max()) < 16 for codes, _ in made)


def test_eight_bits_are_off_by_half_a_step_at_most() -> None:
    values = torch.randn(4, 96, generator=torch.Generator().manual_seed(1))
    values[1, 32:64] = 0
    matrix = eight_bit(values)
    step = values.view(4, 3, 32).abs().amax(-1, keepdim=True) / 127
    assert bool(((matrix.values() - values).view(4, 3, 32).abs() <= step * 0.501).all())
    torch.testing.assert_close(total(matrix), matrix.values(), rtol=1e-5, atol=1e-5)
    assert matrix.values()[1, 32:64].abs().max() == 0
