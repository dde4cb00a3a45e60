"""Routing by hand, and mixtures as sums."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tests.engine.models import families
from tests.engine.tiny_model import Q
from torch import Tensor

from portico_engine import Request, SamplingParams, load_engine
from portico_engine.kernels.reference import swiglu
from portico_engine.linear.cpu_linear import CPULinear
from portico_engine.models.config import ExpertsConfig
from portico_engine.models.decoder_weights import ExpertsWeights, GatedWeights
from portico_engine.models.experts import mixture_of_experts, route

HIDDEN, SIZE = 32, 16


def gated(weights: GatedWeights, x: Tensor) -> Tensor:
    gate, up = weights.gate_up(x).chunk(2, -1)
    return weights.down(F.silu(gate) * up)


def weights(*, shared: bool) -> ExpertsWeights:
    random = torch.Generator().manual_seed(5)

    def expert() -> GatedWeights:
        gate_up, down = (torch.randn(*s, generator=random).bfloat16() for s in ((2 * SIZE, HIDDEN), (HIDDEN, SIZE)))
        return GatedWeights(CPULinear(gate_up), CPULinear(down))

    experts = tuple(expert() for _ in range(5))
    router, gate = torch.randn(5, HIDDEN, generator=random), torch.randn(HIDDEN, generator=random)
    tokens = torch.zeros(5, dtype=torch.int64)
    return ExpertsWeights(router, experts, tokens, expert() if shared else None, gate if shared else None)


def shares(x: Tensor, parts: ExpertsWeights, config: ExpertsConfig) -> Tensor:
    """Of every expert, zero for those that were not chosen."""
    chosen, given = route(x, parts, config)
    return torch.zeros(x.shape[0], config.count).scatter_(1, chosen, given)


def routing(scores: list[float], *, correction: list[float] | None = None) -> ExpertsWeights:
    """Of one number, which stands before these logits."""
    extra = None if correction is None else torch.tensor(correction)
    count = torch.zeros(len(scores), dtype=torch.int64)
    return ExpertsWeights(torch.tensor(scores).unsqueeze(1), (), count, correction=extra)


ONE = torch.ones(1, 1, dtype=torch.bfloat16)


def test_shares_are_the_likeliest_experts_probabilities() -> None:
    parts = routing(torch.tensor([1.0, 3.0, 2.0]).log().tolist())
    for normalized, expected in ((False, [0, 1 / 2, 1 / 3]), (True, [0, 3 / 5, 2 / 5])):
        assert shares(ONE, parts, ExpertsConfig(3, 2, SIZE, normalized))[0].tolist() == pytest.approx(expected)
    config = ExpertsConfig(3, 2, SIZE, normalized=False, routing="softmax of chosen")
    assert shares(ONE, parts, config)[0].tolist() == pytest.approx([0, 3 / 5, 2 / 5])


def test_a_correction_chooses_experts_but_is_no_share() -> None:
    parts = routing([0.0, 1.0, 2.0], correction=[1.0, 0.0, -1.0])
    config = ExpertsConfig(3, 2, SIZE, normalized=False, routing="sigmoid", scale=2.0)
    sigmoid = torch.tensor([0.0, 1.0]).sigmoid() * 2
    assert shares(ONE, parts, config)[0].tolist() == pytest.approx([*sigmoid.tolist(), 0])


@pytest.mark.parametrize(("corrected", "group"), [(False, 0), (True, 1)])
def test_experts_come_from_the_best_groups_alone(corrected: bool, group: int) -> None:
    parts = routing([3.0, -4.0, 2.0, 2.5], correction=[0.0] * 4 if corrected else None)
    config = ExpertsConfig(4, 2, SIZE, normalized=True, routing="sigmoid", groups=2, groups_used=1)
    assert sorted(route(ONE, parts, config).chosen[0].tolist()) == [2 * group, 2 * group + 1]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("tokens", [1, 7])
def test_a_mixture_is_the_sum_of_its_experts_by_their_shares(tokens: int, shared: bool) -> None:
    x = torch.randn(tokens, HIDDEN, generator=torch.Generator().manual_seed(6)).bfloat16()
    config = ExpertsConfig(5, 2, SIZE, normalized=True, shared_feed_forward=SIZE if shared else 0)
    parts = weights(shared=shared)
    assert isinstance(parts.experts, tuple)
    own = shares(x, parts, config)
    expected = sum(own[:, i : i + 1] * gated(expert, x).float() for i, expert in enumerate(parts.experts))
    if parts.shared is not None and parts.shared_gate is not None:
        expected = expected + gated(parts.shared, x) * (x.float() @ parts.shared_gate).sigmoid().unsqueeze(1)
    got = mixture_of_experts(x, parts, config, gated, swiglu, torch.arange(tokens))
    torch.testing.assert_close(got.float(), expected, rtol=0.01, atol=0.01)
    assert parts.tokens.tolist() == (own > 0).sum(0).tolist()


def test_an_engine_tells_how_many_tokens_each_expert_took(tmp_path: Path) -> None:
    engine = load_engine(families.write(tmp_path / "tiny.gguf", "mixtral", Q.F32), executor="torch-cpu")
    list(engine.generate(Request("a", tuple(range(3, 23)), SamplingParams(temperature=0), max_tokens=1)))
    stats = engine.stats()
    counts = [[stats[f"expert_tokens.{layer}.{expert}"] for expert in range(4)] for layer in range(2)]
    assert [sum(layer) for layer in counts] == [40, 40]  # 20 tokens, two experts each
    assert min(map(len, map(set, counts))) > 1
