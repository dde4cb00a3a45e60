"""float8 products on a GPU, and the rounding of activations for them."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton")

from portico_engine.kernels import reference

DEVICE = "cuda"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]


@pytest.mark.parametrize("group", [128, 640])
def test_activations_are_rounded_as_by_the_reference(group: int) -> None:
    from portico_engine.kernels.float8 import quantize_float8

    x = torch.randn(9, 640, device=DEVICE).bfloat16() * torch.logspace(-3, 3, 9, device=DEVICE).unsqueeze(1).bfloat16()
    (values, scales), (expected, expected_scales) = quantize_float8(x, group), reference.quantize_float8(x, group)
    torch.testing.assert_close(scales, expected_scales)
    if scales.shape[1] > 1:
        assert scales.stride() == expected_scales.stride()
    off = (values.float() - expected.float()).abs() / expected.float().abs().clamp_min(2**-6)
    assert float(off.max()) <= 0.126  # a step of float8 where the division is rounded otherwise
    assert float((off > 0).float().mean()) < 0.01


@pytest.mark.parametrize("blocks", [False, True], ids=["channel", "blocks"])
@pytest.mark.parametrize("n", [1, 7, 16, 300])
def test_a_float8_product_is_that_of_its_numbers(blocks: bool, n: int) -> None:
    from portico_engine.linear.cuda_float8 import CUDAFloat8Linear

    weight = torch.randn(256, 640, device=DEVICE).to(torch.float8_e4m3fn)
    scale = torch.rand(*((2, 5) if blocks else (256, 1)), device=DEVICE) + 0.5
    bias = torch.randn(256, device=DEVICE).bfloat16()
    linear = CUDAFloat8Linear(weight, scale, bias, by_blocks=blocks)
    wide = scale.repeat_interleave(128, 0).repeat_interleave(128, 1) if blocks else scale
    x = torch.randn(n, 640, device=DEVICE).bfloat16()
    expected = x.float() @ (weight.float() * wide).T + bias.float()
    assert (linear(x).float() - expected).norm() <= 0.05 * expected.norm()
