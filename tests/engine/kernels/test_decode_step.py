"""The kernels of a decode step on the GPU, each beside the twins of what it does at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from gguf import GGMLQuantizationType as Q
from torch import Tensor

pytest.importorskip("cuda.bindings")

from tests.engine.kernels.test_quantized_layout import random_matrix

from portico_engine.kernels import reference
from portico_engine.kernels.decode_step import DecodeStep, DecodeTuning, HeadShape, Norm, Places
from portico_engine.kernels.quantized_layout import TiledMatrix, pack_tiles, unpack_tiles
from portico_engine.quantization.block_formats import FORMATS

DEVICE = torch.device("cuda")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
BF16 = torch.bfloat16
TUNINGS = {
    "plain": DecodeTuning(overlap=False, prefetch=False, attention_prefetch=False),
    "overlap": DecodeTuning(prefetch=False, normed_tokens=16),
    "prefetch": DecodeTuning(),
    "normed before": DecodeTuning(normed_tokens=0, most_warps=4),
    "units": DecodeTuning(units=3, warps=4, most_warps=8, normed_tokens=8),
    "split": DecodeTuning(attention_span=1, attention_warps=4, most_warps=1, warps=2, ring_bytes=16 << 10),
}
SHAPES = {"smollm2": (HeadShape(9, 3, 64), 576, 1536), "llama": (HeadShape(8, 2, 128), 1024, 448)}


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).to(DEVICE)


def matrix(kind: Q, n_out: int, n_in: int) -> TiledMatrix:
    """Weights around zero, small enough for sums that bfloat16 holds."""
    form = FORMATS[kind]
    made = random_matrix(form.bits, form.zero_point, form.group_size, offsets=form.has_offsets, n_out=n_out, n_in=n_in)
    scale = made.scale.to(DEVICE) * n_in**-0.5 / 2 ** (form.bits - 2)
    middle = (1 << form.bits) / 2 - form.zero_point
    offset = -scale * middle if form.has_offsets else None
    return pack_tiles(made._replace(codes=made.codes.to(DEVICE), scale=scale, offset=offset))


def product(x: Tensor, parts: Sequence[TiledMatrix], bias: Tensor | None = None) -> Tensor:
    y = x.float() @ torch.cat([unpack_tiles(part).dequantize() for part in parts]).T
    return (y if bias is None else y + bias.float()).to(BF16)


def places(lengths: Sequence[int]) -> tuple[Places, int]:
    """Shuffled tables whose unused entries must not be read, and the slots of the cache that they need."""
    counts = [max(1, -(-length // 16)) for length in lengths]
    blocks = torch.randperm(sum(counts), generator=torch.Generator().manual_seed(1)).int()
    tables = torch.full((len(lengths), max(counts) + 3), 1 << 29, dtype=torch.int32)
    for i, own in enumerate(blocks.split(counts)):
        tables[i, : counts[i]] = own
    positions = torch.tensor(lengths, dtype=torch.int32) - 1
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(2))
    slots = torch.empty(len(lengths), dtype=torch.int32)
    slots[order] = torch.arange(len(lengths), dtype=torch.int32)
    return Places(positions.to(DEVICE), slots.to(DEVICE), tables[order].contiguous().to(DEVICE)), 16 * sum(counts)


def close(got: Tensor, expected: Tensor, share: float) -> None:
    """Off by at most so much of the norm; else names the worst."""
    off = (got.float() - expected.float()).abs()
    assert torch.isfinite(got.float()).all()
    if off.norm() > share * expected.float().norm():
        worst = off.flatten().topk(min(8, off.numel())).indices
        where = torch.stack(torch.unravel_index(worst, off.shape), -1).tolist()
        values = [each.flatten()[worst].tolist() for each in (got, expected)]
        pytest.fail(f"off by {off.norm() / expected.float().norm():.4f} of the norm, worst at {where}: {values}")


def lengths_of(n: int) -> list[int]:
    """Of contexts; the third is padding."""
    return [1 + (37 * i * i + 290 * i) % 700 if i != 2 else 0 for i in range(n)]


@pytest.fixture(params=list(TUNINGS))
def tuning(request: pytest.FixtureRequest) -> DecodeTuning:
    return TUNINGS[request.param]


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("n", [1, 3, 8, 9, 16])
@pytest.mark.parametrize("kinds", [(Q.Q4_1,), (Q.Q4_K, Q.Q6_K), (Q.Q8_0,), (Q.Q5_0, Q.Q5_1)], ids=str)
def test_queries_keys_and_values(shape: str, n: int, kinds: tuple[Q, ...], tuning: DecodeTuning) -> None:
    (heads, kv_heads, dim), hidden, _ = SHAPES[shape]
    step = DecodeStep(HeadShape(heads, kv_heads, dim), hidden, DEVICE, tuning)
    x, weight, eps = 3 * randn(n, hidden), randn(hidden) + 2, torch.tensor(1e-5, device=DEVICE)
    rows = [(heads + kv_heads) * dim, kv_heads * dim] if len(kinds) == 2 else [(heads + 2 * kv_heads) * dim]
    parts = [matrix(kind, n_out, hidden) for kind, n_out in zip(kinds, rows, strict=True)]
    bias = randn(sum(rows)).to(BF16) if n == 3 else None
    at, slots = places(lengths_of(n))
    angles = randn(800, 1, dim // 2)
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1)
    kv = randn(2 * kv_heads, slots, dim).to(BF16)
    expected_kv = kv.clone()
    qkv = product(reference.add_norm(x.clone(), None, weight, eps), parts, bias).view(n, -1, dim)
    seen = at.positions.clamp(min=0).long()
    reference.rotate(qkv[:, : heads + kv_heads], cos[seen], sin[seen])
    reference.store(expected_kv, qkv[:, heads:], *at)
    queries = step.qkv(x, Norm(weight, eps), parts, bias, (cos, sin), kv, at)
    real = at.positions >= 0
    close(queries[real], qkv[real, :heads], 0.01)
    close(kv, expected_kv, 0.01)
    stored = (kv != randn(2 * kv_heads, slots, dim).to(BF16)).any(-1).any(0)
    assert int(stored.sum()) == int(real.sum())


@pytest.mark.parametrize("n", [1, 3, 16])
@pytest.mark.parametrize(
    "shape", [*(shape for shape, _, _ in SHAPES.values()), HeadShape(8, 1, 64), HeadShape(4, 4, 128)], ids=str
)
def test_attention_adds_up_any_number_of_parts(shape: HeadShape, n: int, tuning: DecodeTuning) -> None:
    step = DecodeStep(shape, 64, DEVICE, tuning)
    for lengths in ([7000 // n] * n, lengths_of(n), [16] * n, [257] * n):
        at, slots = places(lengths)
        kv = randn(2 * shape.kv_heads, slots, shape.dim).to(BF16)
        for token, length in enumerate(lengths):  # what is not seen may hold anything
            if length % 16:
                last = int(at.tables[at.slots[token], (length - 1) // 16]) * 16
                kv[:, last + length % 16 : last + 16] = float("nan")
        queries = randn(n, shape.heads, shape.dim).to(BF16)
        close(step.attention(queries, kv, at), reference.paged_attention(queries, kv, *at), 0.01)
        assert not step._finished.any()


@pytest.mark.parametrize("n", [1, 5, 8, 16])
@pytest.mark.parametrize("kinds", [(Q.Q4_1,), (Q.Q4_K, Q.Q6_K)], ids=str)
def test_a_product_is_added_to_the_stream(n: int, kinds: tuple[Q, ...], tuning: DecodeTuning) -> None:
    step = DecodeStep(HeadShape(9, 3, 64), 576, DEVICE, tuning)
    x = randn(n, 1536).to(BF16)
    parts = [matrix(kind, 576 // len(kinds), 1536) for kind in kinds]
    stream = randn(n, 576)
    expected = stream + product(x, parts).float()
    step.add_product(x, parts, None, stream)
    close(stream, expected, 0.004)  # a sum next to half of bfloat16's step may be rounded the other way


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("n", [1, 5, 8, 16])
@pytest.mark.parametrize("kind", [Q.Q4_1, Q.Q6_K, Q.Q8_0])
def test_gate_and_up(shape: str, n: int, kind: Q, tuning: DecodeTuning) -> None:
    heads, hidden, width = SHAPES[shape]
    step = DecodeStep(heads, hidden, DEVICE, tuning)
    x, weight, eps = 3 * randn(n, hidden), randn(hidden) + 2, torch.tensor(1e-5, device=DEVICE)
    gate_up = matrix(kind, 2 * width, hidden)
    expected = reference.swiglu(product(reference.add_norm(x.clone(), None, weight, eps), [gate_up]))
    close(step.gate_up(x, Norm(weight, eps), gate_up, None), expected, 0.01)


@pytest.mark.parametrize("n", [1, 5, 16])
@pytest.mark.parametrize("kind", [Q.Q6_K, Q.Q8_0])
def test_logits_of_the_wanted_tokens(n: int, kind: Q, tuning: DecodeTuning) -> None:
    step = DecodeStep(HeadShape(9, 3, 64), 576, DEVICE, tuning)
    x, weight, eps = 3 * randn(20, 576), randn(576) + 2, torch.tensor(1e-5, device=DEVICE)
    head = matrix(kind, 1003, 576)
    wanted = torch.arange(n, dtype=torch.int32, device=DEVICE) * 7 % 20
    out = torch.full((n, 1010), 7.0, device=DEVICE)
    step.logits(x, wanted, Norm(weight, eps), head, None, out[:, :1003])
    normed = reference.add_norm(x[wanted.long()], None, weight, eps)
    close(out[:, :1003], normed.float() @ unpack_tiles(head).dequantize().T, 0.002)
    assert (out[:, 1003:] == 7).all()
