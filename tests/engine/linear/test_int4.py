"""The sum of 4-bit matrices beside the matrix that they stand for."""

from __future__ import annotations

import pytest
import torch
from tests.engine.quantization.test_block_formats import KINDS, Q, random_rows

from portico_engine.linear.int4 import int4_terms
from portico_engine.quantization.block_formats import FORMATS, unpack_blocks
from portico_engine.quantization.quantized_matrix import GROUP_SIZE, QuantizedMatrix, quantize_8bit


def total(matrix: QuantizedMatrix) -> torch.Tensor:
    """The sum of all 4-bit terms, float32 [rows, in]."""
    out = torch.zeros(*matrix.scale.shape, matrix.group_size)
    for codes, scales in int4_terms(matrix):
        scale, offset = scales.transpose(0, 1).unsqueeze(-1).unbind(2)
        out += (codes.view(out.shape).float() - 8) * scale + offset
    return out.flatten(1)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if FORMATS[kind].group_size == GROUP_SIZE], ids=lambda kind: kind.name)
def test_4_bit_terms_add_up_to_the_matrix(kind: Q) -> None:
    matrix = unpack_blocks(torch.from_numpy(random_rows(kind)), kind)
    torch.testing.assert_close(total(matrix), matrix.dequantize(), rtol=1e-5, atol=1e-4)
    made = list(int4_terms(matrix))
    assert len(made) == (1 if matrix.bits == 4 and matrix.table is None else 2)
    assert all(int(codes.max()) < 16 for codes, _ in made)


def test_4_bit_terms_add_up_to_a_matrix_in_8_bits() -> None:
    values = torch.randn(4, 96, generator=torch.Generator().manual_seed(1))
    values[1, 32:64] = 0
    matrix = quantize_8bit(values)
    torch.testing.assert_close(total(matrix), matrix.dequantize(), rtol=1e-5, atol=1e-5)
