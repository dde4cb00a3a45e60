"""Products from codes on a CPU beside the matrices that they stand for."""

from __future__ import annotations

import pytest
import torch

from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.kernels.cpu.product import PANEL_ROWS, PRODUCT_GROUPS, PackedMatrix
from portico_engine.quantization.quantized_matrix import QuantizedMatrix

IQ4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]


def random_matrix(n_out: int, n_in: int, bits: int, group: int, *, offset: bool = False, tiny: float = 1.0) -> QuantizedMatrix:
    random = torch.Generator().manual_seed(bits)
    codes = torch.randint(0, 1 << bits, (n_out, n_in), generator=random, dtype=torch.uint8)
    scale, shift = (torch.randn(n_out, n_in // group, generator=random).half().float() * tiny for _ in range(2))
    return QuantizedMatrix(codes, scale, shift if offset else None, bits, 1 << (bits - 1))


def product(library: KernelLibrary, matrix: QuantizedMatrix, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    out = torch.empty(x.shape[0], matrix.codes.shape[0])
    PackedMatrix(library, matrix, bias).multiply(x, out)
    return out


def rows(n: int, n_in: int) -> torch.Tensor:
    return torch.randn(n, n_in, generator=torch.Generator().manual_seed(2)).bfloat16()


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("bits", [4, 5, 6, 8])
@pytest.mark.parametrize("group", PRODUCT_GROUPS)
def test_it_is_the_matrixs(library: KernelLibrary, bits: int, group: int, offset: bool) -> None:
    matrix, x = random_matrix(80, 512, bits, group, offset=offset), rows(3, 512)
    torch.testing.assert_close(product(library, matrix, x), x.float() @ matrix.dequantize().T, rtol=1e-4, atol=0.02)


@pytest.mark.parametrize("n_out", [16, 48, 576])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13])
def test_a_rows_bits_are_its_own_however_many_there_are(library: KernelLibrary, n_out: int, n: int) -> None:
    matrix, x = random_matrix(n_out, 96, 4, 32, offset=True), rows(13, 96)
    together = product(library, matrix, x)
    assert torch.equal(product(library, matrix, x[:n]), together[:n])
    assert torch.equal(product(library, matrix, x[n - 1 : n]), together[n - 1 : n])


def test_a_table_of_values_is_kept(library: KernelLibrary) -> None:
    matrix, x = random_matrix(32, 64, 4, 32)._replace(table=torch.tensor(IQ4).float()), rows(2, 64)
    torch.testing.assert_close(product(library, matrix, x), x.float() @ matrix.dequantize().T, rtol=1e-3, atol=0.05)


def test_columns_in_another_order_and_a_bias(library: KernelLibrary) -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(3))
    matrix, x, bias = random_matrix(32, 64, 4, 32)._replace(order=order), rows(2, 64), rows(1, 32)[0]
    expected = x.float() @ matrix.dequantize().T + bias.float()
    torch.testing.assert_close(product(library, matrix, x, bias), expected, rtol=1e-3, atol=0.02)


@pytest.mark.parametrize("tiny", [1e-9, 1e9])
def test_scales_of_any_size_are_kept(library: KernelLibrary, tiny: float) -> None:
    matrix, x = random_matrix(32, 64, 4, 32, offset=True, tiny=tiny), rows(2, 64)
    torch.testing.assert_close(product(library, matrix, x), x.float() @ matrix.dequantize().T, rtol=1e-3, atol=0.02 * tiny)


def test_a_matrix_of_zeros(library: KernelLibrary) -> None:
    matrix = random_matrix(16, 32, 8, 32)
    matrix = matrix._replace(scale=torch.zeros_like(matrix.scale))
    assert not product(library, matrix, rows(2, 32)).any()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_inputs_of_any_size_are_kept_beside_each_other(library: KernelLibrary, bits: int, size: float) -> None:
    matrix, x = random_matrix(32, 128, bits, 32, offset=True), rows(3, 128).double()
    x[:, 64:] *= 1e-6  # groups have their own sizes
    x[0, 32:64] = torch.logspace(0, -12, 32, dtype=torch.float64)  # and numbers of one group may be far apart
    given = (x * size).bfloat16()
    exact = given.double() @ matrix.dequantize().double().T
    groups = given.double().abs().view(3, 4, 32).amax(-1)
    weights = matrix.dequantize().double().abs().view(32, 4, 32).sum(-1)
    off = (product(library, matrix, given).double() - exact).abs() / (groups @ weights.T)
    assert off.max() < 2**-15


@pytest.mark.parametrize("bits", [4, 8])
def test_the_largest_codes_times_the_largest_numbers_fit(library: KernelLibrary, bits: int) -> None:
    matrix = random_matrix(16, 256, bits, 256)
    matrix = matrix._replace(codes=torch.full_like(matrix.codes, (1 << bits) - 1), scale=torch.ones_like(matrix.scale))
    for sign in (1, -1):
        x = torch.full((1, 256), sign * 1.9921875).bfloat16()
        torch.testing.assert_close(product(library, matrix, x), x.float() @ matrix.dequantize().T, rtol=1e-5, atol=0.01)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_row_that_is_no_number_leaves_the_others_alone(library: KernelLibrary, bad: float) -> None:
    matrix, x = random_matrix(32, 64, 4, 32), rows(3, 64)
    good = product(library, matrix, x)
    x[1, 40] = bad
    said = product(library, matrix, x)
    assert not said[1].isfinite().any()
    assert torch.equal(said[::2], good[::2])


@pytest.mark.parametrize("wanted", [[5], [64, 63, 5], [1039], list(range(0, 1040, 9))])
@pytest.mark.parametrize("n", [1, 7])
def test_of_some_outputs_the_bits_are_the_whole_products(library: KernelLibrary, wanted: list[int], n: int) -> None:
    matrix, x = random_matrix(1040, 64, 8, 32), rows(n, 64)
    whole, some = product(library, matrix, x), torch.full((n, 1040), float("nan"))
    PackedMatrix(library, matrix).multiply(x, some, torch.tensor(wanted))
    assert torch.equal(some[:, wanted], whole[:, wanted])
    computed = len({token // PANEL_ROWS for token in wanted})
    assert int(some[0].isnan().sum()) >= 1040 - PANEL_ROWS * computed
