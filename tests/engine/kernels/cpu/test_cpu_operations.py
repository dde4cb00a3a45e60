"""The CPU's elementwise kernels beside their twins."""

from __future__ import annotations

import pytest
import torch

from portico_engine.kernels import reference
from portico_engine.kernels.cpu.library import KernelLibrary
from portico_engine.kernels.cpu.operations import CPUOperations

EPS = torch.tensor(1e-5)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 576), (3, 100), (70, 576)])
@pytest.mark.parametrize("has_delta", [False, True])
def test_norms(library: KernelLibrary, shape: tuple[int, int], has_delta: bool) -> None:
    x, weight = normal(*shape), normal(shape[1], seed=2)
    delta = normal(*shape, seed=3).bfloat16() if has_delta else None
    mine, twins = x.clone(), x.clone()
    said = CPUOperations(library).add_norm(mine, delta, weight, EPS)
    torch.testing.assert_close(said.float(), reference.add_norm(twins, delta, weight, EPS).float(), rtol=0.01, atol=0.01)
    assert torch.equal(mine, twins)


@pytest.mark.parametrize("dim", [64, 24, 128])
def test_rotation_of_heads_beside_others(library: KernelLibrary, dim: int) -> None:
    qkv, cos, sin = normal(5, 6, dim).bfloat16(), normal(5, 1, dim, seed=2), normal(5, 1, dim, seed=3)
    mine, twins = qkv.clone(), qkv.clone()
    CPUOperations(library).rotate(mine[:, :4], cos, sin)
    reference.rotate(twins[:, :4], cos, sin)
    torch.testing.assert_close(mine.float(), twins.float(), rtol=0.01, atol=0.01)
    assert torch.equal(mine[:, 4:], qkv[:, 4:])


@pytest.mark.parametrize("shape", [(1, 3072), (3, 38), (70, 3072)])
def test_gates(library: KernelLibrary, shape: tuple[int, int]) -> None:
    gate_up = (normal(*shape) * 8).bfloat16()
    said, twin = CPUOperations(library).swiglu(gate_up).float(), reference.swiglu(gate_up).float()
    torch.testing.assert_close(said, twin, rtol=0.02, atol=0.01)


def test_what_is_no_number_stays_none(library: KernelLibrary) -> None:
    operations, broken = CPUOperations(library), normal(2, 64)
    broken[1, 5] = float("nan")
    assert operations.add_norm(broken.clone(), None, normal(64), EPS)[1].isnan().all()
    assert operations.swiglu(broken.bfloat16())[1, 5].isnan()
    heads = broken.bfloat16().view(2, 1, 64)
    operations.rotate(heads, torch.ones(2, 1, 64), torch.ones(2, 1, 64))
    assert heads[1, 0, [5, 37]].isnan().all()
    assert heads[0].isfinite().all()


def test_what_lies_otherwise_is_the_twins(library: KernelLibrary) -> None:
    operations, wide, weight = CPUOperations(library), normal(4, 128), normal(64)
    x = wide[:, :64]
    assert torch.equal(operations.add_norm(x, None, weight, EPS), reference.add_norm(x, None, weight, EPS))
    gate_up = wide.bfloat16()[:, ::2]
    assert torch.equal(operations.swiglu(gate_up), reference.swiglu(gate_up))
    heads = wide.view(4, 2, 64).clone()
    twins = heads.clone()
    cos, sin = normal(4, 1, 64), normal(4, 1, 64, seed=2)
    operations.rotate(heads, cos, sin)
    reference.rotate(twins, cos, sin)
    assert torch.equal(heads, twins)
