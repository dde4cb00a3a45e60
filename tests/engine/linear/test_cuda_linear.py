"""Products with matrices of several formats on a GPU, however many rows come and whatever is kept of them."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("cuda.bindings")

from tests.engine.kernels.test_quantized_layout import random_matrix

from portico_engine.kernels.quantized_layout import TiledMatrix, pack_tiles, unpack_tiles
from portico_engine.linear import cuda_linear
from portico_engine.linear.cuda_linear import CUDAQuantizedLinear

DEVICE = "cuda"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
BF16 = torch.bfloat16
N_IN = 512


def packed(bits: int, zero: int, group: int, *, offsets: bool, n_out: int) -> TiledMatrix:
    made = random_matrix(bits, zero, group, offsets=offsets, n_out=n_out, n_in=N_IN)
    return pack_tiles(type(made)(*(part.to(DEVICE) if isinstance(part, torch.Tensor) else part for part in made)))


@pytest.mark.parametrize("copy", [False, True], ids=["codes alone", "with a copy"])
def test_a_product_of_several_formats_is_that_of_the_stacked_matrices(copy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_linear, "_SLICE", 1024 * N_IN)
    parts = [packed(4, 0, 32, offsets=True, n_out=2064), packed(6, 32, 16, offsets=False, n_out=272)]
    bias = torch.randn(2336, device=DEVICE).to(BF16)
    linear = CUDAQuantizedLinear(parts, bias, copy=copy)
    matrix = torch.cat([unpack_tiles(part).dequantize() for part in parts])
    for n in (0, 1, 16, 17, 64, 65, 192, 193, 500):
        x = torch.randn(n, N_IN, device=DEVICE).to(BF16)
        expected = x.float() @ matrix.T + bias.float()
        for got in (linear(x).float(), linear.logits(x)):
            assert (got - expected).norm() <= 0.01 * expected.norm(), n


def test_a_copy_is_counted() -> None:
    part = packed(8, 128, 32, offsets=False, n_out=128)
    assert CUDAQuantizedLinear([part], copy=True).n_bytes == part.n_bytes + 2 * 128 * N_IN
    assert CUDAQuantizedLinear([part]).n_bytes == part.n_bytes == CUDAQuantizedLinear([part], copy=True).code_bytes
