"""Routing by hand, and the two ways to compute a mixture."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

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
    return ExpertsWeights(router, experts, expert() if shared else None, gate if shared else None)


def test_shares_are_the_likeliest_experts_probabilities() -> None:
    router = torch.tensor([[1.0], [3.0], [2.0]]).log()
    x = torch.ones(1, 1, dtype=torch.bfloat16)
    assert route(x, router, ExpertsConfig(3, 2, SIZE, normalized=False))[0].tolist() == pytest.approx([0, 1 / 2, 1 / 3])
    assert route(x, router, ExpertsConfig(3, 2, SIZE, normalized=True))[0].tolist() == pytest.approx([0, 3 / 5, 2 / 5])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("tokens", [1, 7])
def test_every_expert_for_every_token_adds_up_to_the_chosen_ones(tokens: int, shared: bool) -> None:
    x = torch.randn(tokens, HIDDEN, generator=torch.Generator().manual_seed(6)).bfloat16()
    config, parts = (
        ExpertsConfig(5, 2, SIZE, normalized=True, shared_feed_forward=SIZE if shared else 0),
        weights(shared=shared),
    )
    chosen = mixture_of_experts(x, parts, config, gated, every=False)
    torch.testing.assert_close(mixture_of_experts(x, parts, config, gated, every=True), chosen, rtol=0.02, atol=0.02)
