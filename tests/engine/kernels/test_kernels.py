"""Each Triton kernel beside its plain torch twin."""

from __future__ import annotations

import pytest
import torch

triton = pytest.importorskip("triton")

from portico_engine.kernels import fused, paged_attention, reference  # noqa: E402

DEVICE = "cuda"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
BF16 = torch.bfloat16


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(DEVICE)


def tables_for(lengths: list[int], spare: int = 3) -> torch.Tensor:
    """A shuffled block table a token, [n, blocks]; the tail is garbage that must not be read."""
    counts = [max(1, -(-length // 16)) for length in lengths]
    blocks = torch.randperm(sum(counts), generator=torch.Generator().manual_seed(1))
    out = torch.full((len(lengths), max(counts) + spare), 1 << 29, dtype=torch.int32)
    at = 0
    for i, count in enumerate(counts):
        out[i, :count] = blocks[at : at + count]
        at += count
    return out.to(DEVICE)


@pytest.mark.parametrize("hidden", [64, 576, 4096])
def test_add_norm_adds_in_place_and_norms(hidden: int) -> None:
    x, delta, weight = randn(5, hidden), randn(5, hidden, seed=1).to(BF16), randn(hidden)
    eps = torch.tensor(1e-5, device=DEVICE)
    expected_x = x.clone()
    expected = reference.add_norm(expected_x, delta, weight, eps)
    torch.testing.assert_close(fused.add_norm(x, delta, weight, eps), expected, rtol=0.01, atol=1e-3)
    torch.testing.assert_close(x, expected_x)
    torch.testing.assert_close(fused.add_norm(x, None, weight, eps), expected, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize(("heads", "dim"), [(6, 16), (12, 64), (40, 128), (3, 80)])
def test_rotate_turns_a_part_of_a_wider_row(heads: int, dim: int) -> None:
    qkv = randn(3, heads + 2, dim).to(BF16)
    angles = randn(3, 1, dim // 2)
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1)
    expected = qkv.clone()
    reference.rotate(expected[:, :heads], cos, sin)
    fused.rotate(qkv[:, :heads], cos, sin)
    torch.testing.assert_close(qkv, expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("width", [96, 1536])
def test_swiglu(width: int) -> None:
    x = (3 * randn(4, 2 * width)).to(BF16)
    torch.testing.assert_close(fused.swiglu(x), reference.swiglu(x), rtol=0.02, atol=0.02)


def test_store_writes_each_token_to_its_slot_and_skips_padding() -> None:
    lengths = [1, 17, 40, 16]
    tables = tables_for(lengths)
    positions = torch.tensor([length - 1 for length in lengths], dtype=torch.int32, device=DEVICE)
    positions[0] = -1
    new = randn(4, 4, 16).to(BF16)
    slots = 16 * sum(-(-length // 16) for length in lengths)
    kv, expected = torch.zeros(2, 4, slots, 16, dtype=BF16, device=DEVICE)
    rows = torch.arange(4, dtype=torch.int32, device=DEVICE)
    fused.store(kv, new, positions, rows, tables)
    reference.store(expected, new, positions, rows, tables)
    assert torch.equal(kv, expected)
    assert int((kv != 0).any(-1).any(0).sum()) == 3


@pytest.mark.parametrize(("heads", "kv_heads", "dim"), [(4, 2, 16), (9, 3, 64), (32, 8, 128), (4, 4, 80)])
@pytest.mark.parametrize("lengths", [[70], [1, 0, 64, 65, 300], [33] * 40], ids=["one", "ragged", "many"])
def test_attention_over_blocks(heads: int, kv_heads: int, dim: int, lengths: list[int]) -> None:
    tables = tables_for(lengths)
    positions = torch.tensor(lengths, dtype=torch.int32, device=DEVICE) - 1
    slots = 16 * sum(max(1, -(-length // 16)) for length in lengths)
    kv = randn(2 * kv_heads, slots, dim).to(BF16)
    queries = randn(len(lengths), heads, dim, seed=7).to(BF16)
    rows = torch.arange(len(lengths), dtype=torch.int32, device=DEVICE).flip(0)
    flipped = tables.flip(0).contiguous()
    expected = reference.paged_attention(queries, kv, positions, rows, flipped)
    got = paged_attention.paged_attention(queries, kv, positions, rows, flipped)
    torch.testing.assert_close(got, expected, rtol=0.02, atol=0.01)


def test_many_programs_need_no_splits_and_few_get_many() -> None:
    counts = [paged_attention.n_splits(n) for n in (1, 3, 8, 64, 512, 2000)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (32, 1)
