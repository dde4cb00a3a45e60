"""Blocks and slots with a CPU's tensors for a device's: encoding, copies and sizes are the same code; streams are the GPU's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from portico_engine.executors.torch.host_kv import HostKV, open_host_kv
from portico_engine.executors.torch.kv_codec import BFloat16Codec, Int8Codec, KVCodec, kv_codec
from portico_engine.models.config import DecoderConfig, RopeConfig

CONFIG = DecoderConfig(
    "llama", n_layers=3, hidden=64, feed_forward=64, n_heads=4, n_kv_heads=2, head_dim=16, vocab_size=8, context_length=64,
    norm_eps=1e-5, rope=RopeConfig(10_000.0), permuted_rotary=True,
)  # fmt: skip
SHAPE = (3, 4, 16, 16)  # of a block


def paged(n_blocks: int, device: str = "cpu") -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 4, n_blocks * 16, 16).bfloat16().to(device)


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_blocks_come_back_from_their_slots_into_others(dtype: str) -> None:
    codec = kv_codec(dtype, CONFIG)  # type: ignore[arg-type]
    kv = paged(8)
    before = kv.clone()
    memory = HostKV(kv, codec, 3 * codec.block_bytes)
    for slot, block in enumerate((5, 0, 7)):
        memory.offload(block, slot)
    kv[:, :, :96] = 0
    for slot, block in enumerate((1, 2, 3)):
        memory.fetch(slot, block)
    for source, target in ((5, 1), (0, 2), (7, 3)):
        was, now = (t[:, :, b * 16 : (b + 1) * 16] for t, b in ((before, source), (kv, target)))
        scale = was.float().abs().amax((2, 3), keepdim=True) / 127
        assert torch.equal(was, now) if dtype == "bf16" else bool(((was - now).float().abs() <= 1.01 * scale).all())


def test_slots_span_several_allocations(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = BFloat16Codec(CONFIG)
    monkeypatch.setattr("portico_engine.executors.torch.host_kv._CHUNK", 2 * codec.block_bytes)
    kv = paged(5)
    before = kv.clone()
    memory = HostKV(kv, codec, 5 * codec.block_bytes)
    assert memory.n_slots == 5
    assert [len(chunk) for chunk in memory._chunks] == [2, 2, 1]
    for i in range(5):
        memory.offload(i, 4 - i)
    for i in range(5):
        memory.fetch(i, i)
    assert torch.equal(kv.view(3, 4, 5, 16, 16).flip(2).reshape(kv.shape), before)


def test_blocks_that_come_back_otherwise_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = HostKV(paged(4), BFloat16Codec(CONFIG), 1 << 20)
    assert memory.measure() > 0
    monkeypatch.setattr(BFloat16Codec, "decode", lambda self, content, block: block.copy_(block + 1))
    with pytest.raises(RuntimeError, match="came back otherwise"):
        memory.measure()


def test_too_few_bytes_for_a_block_are_no_memory() -> None:
    assert open_host_kv(paged(1), BFloat16Codec(CONFIG), BFloat16Codec(CONFIG).block_bytes - 1) is None


def test_a_block_is_timed_both_ways() -> None:
    assert HostKV(paged(4), BFloat16Codec(CONFIG), 1 << 20).measure() > 0


def test_eight_bits_take_half_the_bytes_and_a_scale_a_head() -> None:
    whole, half = BFloat16Codec(CONFIG).block_bytes, Int8Codec(CONFIG).block_bytes
    assert whole == 2 * 3 * 4 * 16 * 16
    assert half == whole // 2 + 4 * 3 * 4


def through(codec: KVCodec, block: Tensor) -> Tensor:
    out = torch.empty_like(block)
    codec.decode(codec.encode(block), out)
    return out


@given(st.integers(0, 2**31), st.floats(1e-6, 1e6), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_a_block_that_went_through_eight_bits_twice_lost_nothing_more(seed: int, size: float, outliers: int) -> None:
    torch.manual_seed(seed)
    block = torch.randn(SHAPE) * size
    block[:, :, :, :outliers] *= 100
    once = through(Int8Codec(CONFIG), block.bfloat16())
    assert torch.equal(through(Int8Codec(CONFIG), once), once)


def test_a_head_of_zeros_stays_zeros() -> None:
    block = torch.randn(SHAPE).bfloat16()
    block[1, 2] = 0
    assert not through(Int8Codec(CONFIG), block)[1, 2].any()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_on_a_gpu_copies_run_beside_steps_and_are_waited_for(dtype: str) -> None:
    """Blocks are overwritten at once after they left, and read at once after they were fetched, while the device is busy."""
    codec = kv_codec(dtype, CONFIG)  # type: ignore[arg-type]
    kv = paged(64, "cuda")
    expected = torch.stack([through(codec, kv[:, :, b * 16 : (b + 1) * 16]) for b in range(32)]).cpu()
    memory = HostKV(kv, codec, 32 * codec.block_bytes)
    busy = torch.randn(4096, 4096, device="cuda")
    for _ in range(3):
        for block in range(32):
            memory.offload(block, block)
        kv[:, :, : 32 * 16].zero_()
        for _ in range(20):
            busy = busy @ busy * 1e-3
        for slot in range(32):
            memory.fetch(slot, 32 + slot)
        memory.settle([40])
        found = torch.stack([kv[:, :, b * 16 : (b + 1) * 16].clone() for b in range(32, 64)])
        assert torch.equal(found.cpu(), expected)
        kv[:, :, : 32 * 16] = kv[:, :, 32 * 16 :]


@pytest.mark.gpu
def test_on_a_gpu_slots_are_pinned() -> None:
    memory = HostKV(paged(4, "cuda"), BFloat16Codec(CONFIG), 1 << 20)
    assert all(chunk.is_pinned() for chunk in memory._chunks)
    assert 0 < memory.measure() < 0.1
