"""Both forms of the low-rank product beside the plain one, token by token."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.linear.lora import (
    LoraLinear,
    LoraProduct,
    MaskedBatch,
    MaskedProduct,
    Segment,
    SegmentBatch,
    SegmentProduct,
)

N_IN, PARTS = 24, (slice(0, 16), slice(16, 24), slice(24, 40))
PLACES = [2, -1, -1, 0, 0, 2, 1, -1]  # of each token; nothing is in place 1
SEGMENTS = [Segment(2, slice(0, 1)), Segment(0, slice(3, 5)), Segment(2, slice(5, 6)), Segment(1, slice(6, 7))]


def matrices() -> dict[tuple[int, int], tuple[Tensor, Tensor]]:
    """By place and part; place 2 is of a smaller rank and has none for the second part."""
    made = torch.Generator().manual_seed(5)

    def pair(rank: int, part: slice) -> tuple[Tensor, Tensor]:
        return torch.randn(rank, N_IN, generator=made), torch.randn(part.stop - part.start, rank, generator=made)

    return {(0, i): pair(4, part) for i, part in enumerate(PARTS)} | {(2, i): pair(2, PARTS[i]) for i in (0, 2)}


def segmented() -> LoraProduct:
    batch = SegmentBatch()
    batch.segments = SEGMENTS
    return SegmentProduct(batch, PARTS)


def masked() -> LoraProduct:
    batch = MaskedBatch(3, 4, "cpu")
    batch.begin(torch.tensor(PLACES, dtype=torch.int32))
    return MaskedProduct(batch, N_IN, PARTS, "cpu")


def loaded(product: LoraProduct) -> LoraProduct:
    for (place, part), (a, b) in matrices().items():
        product.load(place, part, a, b)
    return product


def expected(x: Tensor, y: Tensor) -> Tensor:
    out = y.float().clone()
    for token, place in enumerate(PLACES):
        for part, rows in enumerate(PARTS):
            if (place, part) in matrices():
                a, b = matrices()[place, part]
                out[token, rows] += b @ (a @ x[token].float())
    return out


@pytest.mark.parametrize("make", [segmented, masked])
def test_each_token_gets_what_its_own_adapter_adds(make) -> None:  # type: ignore[no-untyped-def]
    x, y = torch.randn(len(PLACES), N_IN).bfloat16(), torch.randn(len(PLACES), 40).bfloat16()
    wanted = expected(x, y)
    got = y.clone()
    loaded(make()).add(x, got)
    torch.testing.assert_close(got.float(), wanted, atol=0.15, rtol=0.02)
    none = [i for i, place in enumerate(PLACES) if place in (-1, 1)]
    assert torch.equal(got[none], y[none]), "whoever has none is left alone to the bit"


@pytest.mark.parametrize("make", [segmented, masked])
def test_a_place_that_was_emptied_adds_nothing(make) -> None:  # type: ignore[no-untyped-def]
    product = loaded(make())
    product.unload(0)
    product.unload(2)
    x, y = torch.randn(len(PLACES), N_IN).bfloat16(), torch.randn(len(PLACES), 40).bfloat16()
    got = y.clone()
    product.add(x, got)
    assert torch.equal(got, y)


def test_a_place_is_filled_again_with_a_smaller_rank() -> None:
    product = loaded(masked())
    product.unload(0)
    a, b = torch.ones(1, N_IN), torch.ones(16, 1)
    product.load(0, 0, a, b)
    x, got = torch.ones(len(PLACES), N_IN).bfloat16(), torch.zeros(len(PLACES), 40).bfloat16()
    product.add(x, got)
    assert got[3].tolist() == [24.0] * 16 + [0.0] * 24


def test_another_tokens_infinity_is_its_own() -> None:
    product = loaded(masked())
    product.load(2, 0, torch.full((2, N_IN), 1e38), torch.zeros(16, 2))
    x, got = torch.full((len(PLACES), N_IN), 100.0).bfloat16(), torch.zeros(len(PLACES), 40).bfloat16()
    product.add(x, got)
    assert got[[1, 2, 3, 4, 6, 7]].isfinite().all()


def test_a_batch_that_nobody_has_an_adapter_in_is_the_layers_own() -> None:
    batch = MaskedBatch(3, 4, "cpu")
    batch.begin(None)
    base = CPULinear(torch.randn(40, N_IN).bfloat16())
    linear = LoraLinear(base, loaded(MaskedProduct(batch, N_IN, PARTS, "cpu")))
    x = torch.randn(5, N_IN).bfloat16()
    assert torch.equal(linear(x), base(x))
    assert torch.equal(linear.rows(torch.tensor([1])), base.rows(torch.tensor([1])))
    assert torch.equal(linear.logits(x), base.logits(x))


def test_many_rows_of_one_adapter_are_as_near_as_few() -> None:
    batch = SegmentBatch()
    batch.segments = [Segment(0, slice(0, 50))]
    product = loaded(SegmentProduct(batch, PARTS))
    x, y = torch.randn(50, N_IN).bfloat16(), torch.zeros(50, 40).bfloat16()
    product.add(x, y)
    wanted = torch.cat([x.float() @ matrices()[0, part][0].T @ matrices()[0, part][1].T for part in range(3)], 1)
    assert (y.float() - wanted).norm() < 0.01 * wanted.norm()
