"""The likeliest allowed tokens, found by the kernel, beside its plain torch twin."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("cuda.bindings")

from portico_engine.kernels import reference, sampling

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]


@pytest.mark.parametrize(("vocab", "words"), [(100, 4), (49152, 1536), (128256, 4000), (5003, None)])
@pytest.mark.parametrize("n", [1, 2, 64, 1030])
@pytest.mark.parametrize("write", [True, False])
def test_it_is_the_first_of_the_likeliest_that_are_allowed(n: int, vocab: int, words: int | None, write: bool) -> None:
    generator = torch.Generator(device="cuda").manual_seed(vocab)
    logits = torch.randn(n, vocab + 8, device="cuda", generator=generator)[:, :vocab]
    logits[0, [3, 70]] = 50.0
    masks = None
    if words is not None:
        masks = torch.randint(-(2**31), 2**31 - 1, (n, 1 + words), dtype=torch.int32, device="cuda", generator=generator)
        masks[:, 0] = torch.arange(n, device="cuda") % 2
        masks[-1, 1:] = 0
        masks[0, 1] = 1 << 3
    expected_logits = logits.clone()
    expected = reference.masked_argmax(expected_logits, masks, write=write)
    for _ in range(2):  # it leaves its workspace as it was
        found = sampling.masked_argmax(logits, masks, write=write)
        assert torch.equal(found[1], expected[1])
        allowed = expected[1] > float("-inf")
        assert torch.equal(found[0, allowed], expected[0, allowed])
        assert found[0, 0] == 3
    assert torch.equal(logits, expected_logits)


def test_what_is_no_number_is_said_where_it_is_allowed() -> None:
    logits = torch.zeros(4, 300, device="cuda")
    logits[0, 7], logits[1, 8], logits[2, 9] = float("nan"), float("inf"), float("-nan")
    masks = torch.full((4, 11), -1, dtype=torch.int32, device="cuda")
    masks[2, 1] = 1
    found = sampling.masked_argmax(logits, masks, write=False)
    assert found[0].tolist() == [7, 8, 0, 0]
    assert found[1].isnan().tolist() == [True, False, False, False]
    assert found[1].isinf().tolist() == [False, True, False, False]
