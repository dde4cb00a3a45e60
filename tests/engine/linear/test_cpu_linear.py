from __future__ import annotations

import pytest
import torch

from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.linear.int4 import Int4Matrix, int4_supported

pytestmark = pytest.mark.skipif(not int4_supported(), reason="this CPU has no fast 4-bit product")


def four_bit(n_out: int, n_in: int) -> tuple[torch.Tensor, Int4Matrix]:
    """A random matrix in float32, and its codes."""
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 16, (n_out, n_in), generator=generator, dtype=torch.uint8)
    scales = (torch.rand(n_in // 32, n_out, 2, generator=generator) / 10).to(torch.bfloat16)
    wide = scales.float().transpose(0, 1).repeat_interleave(32, 1)
    return (codes.float() - 8) * wide[..., 0] + wide[..., 1], Int4Matrix(codes, scales)


@pytest.mark.parametrize("rows", [1, 2, 5, 12, 13, 40])
def test_both_products_are_the_matrixs(rows: int) -> None:
    weight, codes = four_bit(64, 96)
    linear = CPULinear(weight.to(torch.bfloat16), torch.ones(64, dtype=torch.bfloat16), [codes])
    assert linear.form.startswith("int4x")
    x = torch.randn(rows, 96, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    torch.testing.assert_close(linear(x).float(), x.float() @ weight.T + 1, rtol=0.02, atol=0.05)


def test_two_terms_add_up() -> None:
    (a, codes_a), (b, codes_b) = four_bit(32, 64), four_bit(32, 64)
    linear = CPULinear((a + b).to(torch.bfloat16), None, [codes_a, codes_b])
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    torch.testing.assert_close(linear(x).float(), x.float() @ (a + b).T, rtol=0.02, atol=0.05)


def test_a_four_bit_product_that_disagrees_is_not_used() -> None:
    weight, codes = four_bit(64, 96)
    linear = CPULinear(weight.to(torch.bfloat16), None, [Int4Matrix(codes.codes.flip(0), codes.scales)])
    assert linear.form == "bf16"
    x = torch.randn(1, 96, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    torch.testing.assert_close(linear(x).float(), x.float() @ weight.T, rtol=0.02, atol=0.05)
