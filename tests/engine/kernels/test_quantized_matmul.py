"""Products with quantized matrices on the GPU, beside the matrix in float32."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("cuda.bindings")

from tests.engine.kernels.test_quantized_layout import PACKED_FORMS, packed_forms, random_matrix

from portico_engine.kernels import product_cut, quantized_matmul
from portico_engine.kernels.quantized_layout import TiledMatrix, pack_tiles, unpack_tiles
from portico_engine.quantization.block_formats import FORMATS

DEVICE = "cuda"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
BF16 = torch.bfloat16
# Rows and columns that fill no tile, and few of them; more units than blocks, more columns than a block's warps.
SHAPES = ((48, 64), (65, 1536), (960, 576), (4096, 512), (2600, 4096))


KINDS = [*sorted(FORMATS), *PACKED_FORMS]


def packed_matrix(kind: int | str, n_out: int, n_in: int) -> TiledMatrix:
    if isinstance(kind, str):
        matrix = packed_forms(n_out, -(-n_in // 128) * 128)[kind]
    else:
        form = FORMATS[kind]
        matrix = random_matrix(form.bits, form.zero_point, form.group_size, offsets=form.has_offsets, n_out=n_out, n_in=n_in)
    return pack_tiles(type(matrix)(*(part.to(DEVICE) if isinstance(part, torch.Tensor) else part for part in matrix)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: getattr(kind, "name", kind))
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_a_product_is_that_of_the_matrix(kind: int | str, n_out: int, n_in: int) -> None:
    packed = packed_matrix(kind, n_out, n_in)
    n_in = packed.n_in
    matrix = unpack_tiles(packed).dequantize()
    bias = torch.randn(n_out, device=DEVICE).to(BF16)
    quantized_matmul.precompile([(packed, BF16), (packed, torch.float32)])  # side by side
    for n in (1, 2, 3, 8, 9, 16, 17, 32, 33, 64, 65, 130):
        x = torch.randn(n, n_in, device=DEVICE).to(BF16)
        for dtype in (BF16, torch.float32):
            wider = torch.full((n, n_out + 16), 7.0, dtype=dtype, device=DEVICE)
            quantized_matmul.matmul(x, packed, wider[:, 8:-8], bias)
            expected = x.float() @ matrix.T + bias.float()
            assert (wider[:, 8:-8].float() - expected).norm() < 0.01 * expected.norm()
            assert (wider[:, :8] == 7).all()
            assert (wider[:, -8:] == 7).all()


@pytest.mark.skipif(not torch.cuda.is_available() or not product_cut.fits(torch.device(DEVICE)), reason="not for this GPU")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: getattr(kind, "name", kind))
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_one_token_has_the_same_bits_beside_another(
    kind: int | str, n_out: int, n_in: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_cut, "_STREAM_BYTES", 0)  # as of a large matrix
    packed = packed_matrix(kind, n_out, n_in)
    n_in = packed.n_in
    x = torch.randn(2, n_in, device=DEVICE).to(BF16)
    both, alone = torch.full((2, n_out + 16), 7.0, device=DEVICE), torch.empty(1, n_out, device=DEVICE)
    quantized_matmul.matmul(x, packed, both[:, 8:-8])
    expected = x.float() @ unpack_tiles(packed).dequantize().T
    assert (both[:, 8:-8] - expected).norm() < 0.004 * expected.norm()
    assert (both[:, :8] == 7).all()
    assert (both[:, -8:] == 7).all()
    for token in range(2):
        quantized_matmul.matmul(x[token : token + 1], packed, alone)
        assert torch.equal(alone[0], both[token, 8:-8])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: getattr(kind, "name", kind))
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_rows_are_those_of_the_matrix(kind: int | str, n_out: int, n_in: int) -> None:
    packed = packed_matrix(kind, n_out, n_in)
    matrix = unpack_tiles(packed).dequantize().to(BF16)
    indices = torch.tensor([n_out - 1, 0, 17, 17], dtype=torch.int32, device=DEVICE)
    torch.testing.assert_close(quantized_matmul.gather_rows(packed, indices), matrix[indices.long()])
    torch.testing.assert_close(quantized_matmul.dequantize_rows(packed, 3, n_out - 4), matrix[3:-1])
