from __future__ import annotations

import torch

from portico_engine.quantization.quantized_matrix import quantize_8bit


def test_eight_bits_are_off_by_half_a_step_at_most() -> None:
    values = torch.randn(4, 96, generator=torch.Generator().manual_seed(1))
    values[1, 32:64] = 0
    matrix = quantize_8bit(values)
    step = values.view(4, 3, 32).abs().amax(-1, keepdim=True) / 127
    assert bool(((matrix.dequantize() - values).view(4, 3, 32).abs() <= step * 0.501).all())
    assert matrix.dequantize()[1, 32:64].abs().max() == 0
