"""Products of each token with its own experts on a GPU, beside those of each expert alone."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("cuda.bindings")

from tests.engine.kernels.test_quantized_layout import packed_forms

from portico_engine.kernels.quantized_layout import pack_tiles, unpack_tiles
from portico_engine.kernels.quantized_matmul import group_by_expert
from portico_engine.linear.cuda_experts import QuantizedExperts, WideExperts

DEVICE = "cuda"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
EXPERTS, USED, N_OUT, N_IN = 6, 2, 48, 256


def choices(n: int) -> torch.Tensor:
    """Experts of n tokens; the last expert gets none."""
    return torch.stack([torch.randperm(EXPERTS - 1, device=DEVICE)[:USED] for _ in range(n)])


@pytest.mark.parametrize("n", [1, 5, 40, 70, 200, 700])
def test_pairs_are_grouped_by_expert_and_padding_has_no_part(n: int) -> None:
    chosen, tokens = choices(n), torch.zeros(EXPERTS, dtype=torch.int64, device=DEVICE)
    positions = torch.arange(n, dtype=torch.int32, device=DEVICE)
    positions[n // 2 + 1 :] = -1
    pairs, groups, ends, config = group_by_expert(chosen, positions, tokens)
    live = chosen[: n // 2 + 1].flatten()
    counts = torch.bincount(live, minlength=EXPERTS)
    assert torch.equal(tokens, counts)
    assert torch.equal(ends.long(), counts.cumsum(0))
    assert torch.equal(pairs.sort().values.long(), torch.arange(n * USED, device=DEVICE))
    assert torch.equal(chosen.flatten()[pairs[: len(live)].long()], live.sort().values)
    seen = 0
    for expert, first, count, _ in groups.tolist():
        assert count <= 8 * config.tokens
        assert (chosen.flatten()[pairs[first : first + count].long()] == expert).all()
        seen += count
    assert seen == len(live)


@pytest.mark.parametrize("form", ["4 bits, 128", "table, 32", "8 bits, 128", "4 bits, 64, offsets", "bfloat16", "on the host"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("n", [1, 5, 40, 70, 200, 700])
def test_each_pair_is_multiplied_with_its_expert(form: str, dtype: torch.dtype, n: int) -> None:
    bias = torch.randn(EXPERTS, N_OUT, device=DEVICE).bfloat16()
    if form == "bfloat16":
        wide = torch.randn(EXPERTS, N_OUT, N_IN, device=DEVICE).bfloat16()
        linear: WideExperts | QuantizedExperts = WideExperts(wide, bias)
    else:
        matrix = packed_forms(EXPERTS * N_OUT, N_IN)["4 bits, 128" if form == "on the host" else form]
        packed = pack_tiles(type(matrix)(*(part.to(DEVICE) if isinstance(part, torch.Tensor) else part for part in matrix)))
        wide = unpack_tiles(packed).dequantize().view(EXPERTS, N_OUT, N_IN)
        if form == "on the host":
            host = {name: getattr(packed, name).cpu().pin_memory() for name in ("low", "scales")}
            packed = type(packed)(**{name: getattr(packed, name) for name in packed.__slots__} | host)
        linear = QuantizedExperts(packed, EXPERTS, bias)
    chosen, tokens = choices(n), torch.zeros(EXPERTS, dtype=torch.int64, device=DEVICE)
    groups = group_by_expert(chosen, None, tokens)
    x = torch.randn(n, N_IN, device=DEVICE).bfloat16()
    of = chosen.flatten()
    expected = torch.einsum("pi,poi->po", x.float().repeat_interleave(USED, 0), wide.float()[of]) + bias.float()[of]
    got = linear(x, groups, USED, dtype)
    assert got.dtype == dtype
    assert (got.float() - expected).norm() <= 0.01 * expected.norm()
    apart = linear(x.repeat_interleave(USED, 0), groups, 1, dtype)
    assert (apart.float() - expected).norm() <= 0.01 * expected.norm()
