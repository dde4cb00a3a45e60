"""The order of codes that the kernels read, and back."""

from __future__ import annotations

import pytest
import torch

from portico_engine.kernels.quantized_layout import pack_tiles, unpack_tiles
from portico_engine.quantization.block_formats import FORMATS, bits_per_weight
from portico_engine.quantization.packed_formats import E2M1
from portico_engine.quantization.quantized_matrix import QuantizedMatrix


def random_matrix(bits: int, zero: int, group: int, *, offsets: bool, n_out: int, n_in: int) -> QuantizedMatrix:
    """Scales are float16 already."""
    generator = torch.Generator().manual_seed(bits + n_out)
    codes = torch.randint(0, 1 << bits, (n_out, n_in), generator=generator, dtype=torch.uint8)
    scale, offset = (torch.rand(2, n_out, n_in // group, generator=generator) + 0.5).half().float()
    return QuantizedMatrix(codes, scale, offset if offsets else None, bits, zero)


def packed_forms(n_out: int, n_in: int) -> dict[str, QuantizedMatrix]:
    """What packed folders hold: wider groups, tables, columns in another order."""
    order = torch.randperm(n_in, generator=torch.Generator().manual_seed(1))
    forms = {
        "4 bits, 128": random_matrix(4, 8, 128, offsets=False, n_out=n_out, n_in=n_in),
        "4 bits, 128, offsets": random_matrix(4, 0, 128, offsets=True, n_out=n_out, n_in=n_in),
        "4 bits, 64, offsets": random_matrix(4, 0, 64, offsets=True, n_out=n_out, n_in=n_in),
        "8 bits, 128": random_matrix(8, 128, 128, offsets=False, n_out=n_out, n_in=n_in),
        "4 bits, 128, another order": random_matrix(4, 0, 128, offsets=True, n_out=n_out, n_in=n_in)._replace(order=order),
        "table, 32": random_matrix(4, 0, 32, offsets=False, n_out=n_out, n_in=n_in)._replace(table=torch.tensor(E2M1)),
        "table, 16": random_matrix(4, 0, 16, offsets=False, n_out=n_out, n_in=n_in)._replace(table=TABLE),
        "table, 64": random_matrix(4, 0, 64, offsets=False, n_out=n_out, n_in=n_in)._replace(table=TABLE),
        "table, 128": random_matrix(4, 0, 128, offsets=False, n_out=n_out, n_in=n_in)._replace(table=TABLE),
    }
    return forms


TABLE = torch.tensor([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]).float()
PACKED_FORMS = tuple(packed_forms(16, 128))


@pytest.mark.parametrize("name", PACKED_FORMS)
@pytest.mark.parametrize(("n_out", "n_in"), [(32, 256), (17, 384)])
def test_packed_forms_come_back(name: str, n_out: int, n_in: int) -> None:
    matrix = packed_forms(n_out, n_in)[name]
    back = unpack_tiles(pack_tiles(matrix))
    assert torch.equal(back.codes, matrix.codes)
    torch.testing.assert_close(back.dequantize(), matrix.dequantize(), rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("kind", sorted(FORMATS), ids=lambda kind: kind.name)
@pytest.mark.parametrize(("n_out", "n_in"), [(32, 256), (17, 96), (130, 576)])
def test_what_was_packed_comes_back(kind: int, n_out: int, n_in: int) -> None:
    form = FORMATS[kind]
    matrix = random_matrix(form.bits, form.zero_point, form.group_size, offsets=form.has_offsets, n_out=n_out, n_in=n_in)
    packed = pack_tiles(matrix)
    back = unpack_tiles(packed)
    assert torch.equal(back.codes, matrix.codes)
    assert torch.equal(back.dequantize(), matrix.dequantize())
    assert (back.bits, back.zero_point, back.group_size) == (form.bits, form.zero_point, form.group_size)


@pytest.mark.parametrize("kind", sorted(FORMATS), ids=lambda kind: kind.name)
def test_a_packed_matrix_takes_its_bits(kind: int) -> None:
    form = FORMATS[kind]
    packed = pack_tiles(
        random_matrix(form.bits, form.zero_point, form.group_size, offsets=form.has_offsets, n_out=64, n_in=512)
    )
    assert packed.n_bytes * 8 == 64 * 512 * bits_per_weight(kind)
