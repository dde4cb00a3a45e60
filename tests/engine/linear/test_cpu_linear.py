from __future__ import annotations

import pytest
import torch

from portico_engine.kernels.cpu.build import KernelsUnavailable, build
from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.kernels.cpu.product import PackedMatrix
from portico_engine.linear.cpu_codes import CodesProduct, Int4Product, KernelProduct
from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.linear.int4 import Int4Matrix, int4_supported
from portico_engine.quantization.quantized_matrix import QuantizedMatrix


@pytest.fixture(params=["kernels", "torch"])
def form(request: pytest.FixtureRequest) -> str:
    """By which of the two products."""
    if request.param == "torch" and not int4_supported():
        pytest.skip("this CPU has no fast 4-bit product")
    return str(request.param)


def four_bit(n_out: int, n_in: int) -> tuple[torch.Tensor, Int4Matrix]:
    """A random matrix in float32, and its codes."""
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 16, (n_out, n_in), generator=generator, dtype=torch.uint8)
    scales = (torch.rand(n_in // 32, n_out, 2, generator=generator) / 10).to(torch.bfloat16)
    wide = scales.float().transpose(0, 1).repeat_interleave(32, 1)
    return (codes.float() - 8) * wide[..., 0] + wide[..., 1], Int4Matrix(codes, scales)


def packed(codes: Int4Matrix, bias: torch.Tensor | None = None) -> PackedMatrix:
    try:
        library = KernelLibrary(build())
    except KernelsUnavailable as missing:
        pytest.skip(str(missing))
    scale, offset = codes.scales.float().permute(2, 1, 0)
    return PackedMatrix(library, QuantizedMatrix(codes.codes, scale, offset, 4, 8), bias)


def product(form: str, codes: Int4Matrix, bias: torch.Tensor | None = None) -> CodesProduct:
    return Int4Product([codes], bias) if form == "torch" else KernelProduct([packed(codes, bias)])


def inputs(rows: int, n_in: int) -> torch.Tensor:
    return torch.randn(rows, n_in, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)


@pytest.mark.parametrize("rows", [1, 2, 5, 12, 13, 40])
def test_both_products_are_the_matrixs(form: str, rows: int) -> None:
    weight, codes = four_bit(64, 96)
    bias = torch.ones(64, dtype=torch.bfloat16)
    linear = CPULinear(weight.to(torch.bfloat16), bias, product(form, codes, bias))
    assert linear.form != "bf16"
    x = inputs(rows, 96)
    torch.testing.assert_close(linear(x).float(), x.float() @ weight.T + 1, rtol=0.02, atol=0.05)


@pytest.mark.parametrize("rows", [1, 40])
def test_logits_of_the_likeliest_and_of_targets_are_not_rounded(form: str, rows: int) -> None:
    weight, codes = four_bit(512, 96)
    weight = weight.to(torch.bfloat16)
    x, targets = inputs(rows, 96), torch.full((rows, 1), 77)
    said = CPULinear(weight, None, product(form, codes)).logits(x, targets)
    exact = x.float() @ weight.float().T
    likely = torch.cat([exact.topk(8).indices, targets], 1)
    assert said.dtype == torch.float32
    torch.testing.assert_close(said.gather(1, likely), exact.gather(1, likely), rtol=0.004, atol=0.01)


@pytest.mark.skipif(not int4_supported(), reason="this CPU has no fast 4-bit product")
def test_two_terms_add_up() -> None:
    (a, codes_a), (b, codes_b) = four_bit(32, 64), four_bit(32, 64)
    linear = CPULinear((a + b).to(torch.bfloat16), None, Int4Product([codes_a, codes_b]))
    x = inputs(3, 64)
    torch.testing.assert_close(linear(x).float(), x.float() @ (a + b).T, rtol=0.02, atol=0.05)


def test_parts_in_formats_of_their_own_lie_beside_each_other() -> None:
    weight, codes = four_bit(32, 64)
    halves = (Int4Matrix(codes.codes[rows], codes.scales[:, rows]) for rows in (slice(16), slice(16, 32)))
    first, second = (product("kernels", half) for half in halves)
    assert isinstance(first, KernelProduct)
    assert isinstance(second, KernelProduct)
    both = KernelProduct([*first.parts, *second.parts])
    for rows in (1, 3):
        x = inputs(rows, 64)
        torch.testing.assert_close(both(x, torch.float32), x.float() @ weight.T, rtol=0.01, atol=0.02)


def test_a_product_that_disagrees_is_not_used(form: str) -> None:
    weight, codes = four_bit(64, 96)
    linear = CPULinear(weight.to(torch.bfloat16), None, product(form, Int4Matrix(codes.codes.flip(0), codes.scales)))
    assert linear.form == "bf16"
    x = inputs(1, 96)
    torch.testing.assert_close(linear(x).float(), x.float() @ weight.T, rtol=0.02, atol=0.05)


def test_of_wanted_tokens_the_logits_are_those_of_all() -> None:
    """In a head of two parts, by kernels; without them all are computed."""
    (weight, codes), wanted, x = four_bit(128, 96), torch.tensor([1, 63, 130, 200]), inputs(2, 96)
    both = torch.cat([weight, weight]).to(torch.bfloat16)
    head = CPULinear(both, None, KernelProduct([packed(codes), packed(codes)]))
    some = head.logits(x, tokens=wanted)
    assert torch.equal(some[:, wanted], head.logits(x)[:, wanted])
    assert bool(some[:, 64:128].isinf().all())
    plain = CPULinear(both)
    assert torch.equal(plain.logits(x, tokens=wanted), plain.logits(x))
