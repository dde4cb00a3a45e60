"""Products with bfloat16 matrices on CPUs that have no instructions for them."""

from __future__ import annotations

import pytest
import torch

from portico_engine.linear import dense_product as dense
from portico_engine.linear.cpu_linear import CPULinear


@pytest.mark.parametrize("rows", [1, 7, 40])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_matrixs_in_pieces_too(rows: int, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "_PIECE", 64 * 10)
    random = torch.Generator().manual_seed(1)
    x, weight, added = (torch.randn(*shape, generator=random).bfloat16() for shape in ((rows, 64), (48, 64), (48,)))
    expected = torch.nn.functional.linear(x.double(), weight.double(), added.double() if bias else None)
    wide = dense.wide_product(x, weight, added if bias else None, torch.float32)
    torch.testing.assert_close(wide.double(), expected, rtol=1e-5, atol=1e-4)
    for said in (
        dense.wide_product(x, weight, added if bias else None, torch.bfloat16),
        CPULinear(weight, added if bias else None)(x),
    ):
        assert said.dtype == torch.bfloat16
        torch.testing.assert_close(said.double(), expected, rtol=0.01, atol=0.05)


def test_bfloat16_is_not_multiplied_number_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the CPU lacks it, many rows are computed in float32, logits without a rounding."""
    monkeypatch.setattr("portico_engine.linear.dense_product.multiplies_bf16", lambda: False)
    random = torch.Generator().manual_seed(2)
    x, weight = torch.randn(16, 64, generator=random).bfloat16(), torch.randn(256, 64, generator=random).bfloat16()
    exact = x.double() @ weight.double().T
    torch.testing.assert_close(CPULinear(weight).logits(x).double(), exact, rtol=1e-5, atol=1e-4)
    monkeypatch.setattr(
        "torch.nn.functional.linear", lambda x, w, b: pytest.fail("in bfloat16") if x.dtype == torch.bfloat16 else x @ w.T
    )
    assert CPULinear(weight)(x).dtype == torch.bfloat16
