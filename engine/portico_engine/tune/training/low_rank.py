"""LoRA (Hu et al. 2021) as one product: y = x (W + (alpha / r) B A)^T.

For a model as small as this one, adding B A to W once a step costs less than a second path through every layer: no activations
of its own, half the kernels. Gradients are the same. Over a quantized W (QLoRA, Dettmers et al. 2023) the second path it is:
there is no W to add to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LowRankLinear(nn.Module):
    """A frozen linear layer with an adapter in it."""

    def __init__(self, weight: Tensor, rank: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        n_out, n_in = weight.shape
        self.register_buffer("weight", weight, persistent=False)
        bound = 1 / math.sqrt(n_in)
        start = torch.empty(rank, n_in).uniform_(-bound, bound, generator=generator)
        self.a = nn.Parameter(start.to(weight.device))
        self.b = nn.Parameter(torch.zeros(n_out, rank, device=weight.device))
        self.scale = scale
        self.enabled = True

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in]."""
        if not self.enabled:
            return nn.functional.linear(x, self.weight)  # type: ignore[arg-type]
        delta = (self.b * self.scale) @ self.a
        return nn.functional.linear(x, (self.weight + delta).to(x.dtype))  # type: ignore[operator]


class LowRankOverNF4(LowRankLinear):
    """An adapter beside a layer whose weights are NF4, bitsandbytes' `Linear4bit`: y = linear(x) + (alpha / r) B A x."""

    def __init__(self, linear: nn.Linear, rank: int, scale: float, generator: torch.Generator) -> None:
        super().__init__(torch.empty(linear.out_features, linear.in_features, device="meta"), rank, scale, generator)
        device = linear.weight.device
        self.linear = linear
        self.a, self.b = (nn.Parameter(torch.empty_like(p, device=device)) for p in (self.a, self.b))
        with torch.no_grad():
            bound = 1 / math.sqrt(linear.in_features)
            self.a.copy_(torch.empty(self.a.shape).uniform_(-bound, bound, generator=generator))
            self.b.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in]."""
        said: Tensor = self.linear(x)
        if not self.enabled:
            return said
        low = nn.functional.linear(x, self.a.to(x.dtype))
        return said + nn.functional.linear(low, (self.b * self.scale).to(x.dtype))


def with_adapter(model: nn.Module, rank: int, alpha: float, seed: int) -> dict[str, LowRankLinear]:
    """Puts an adapter into every target of the model, which is frozen otherwise; by module name."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    found: dict[str, LowRankLinear] = {}
    for name, module in list(model.named_modules()):
        parent, _, own = name.rpartition(".")
        if own in TARGETS and isinstance(module, nn.Linear):
            if hasattr(module.weight, "quant_state"):
                found[name] = LowRankOverNF4(module, rank, alpha / rank, generator)
            else:
                found[name] = LowRankLinear(module.weight.detach(), rank, alpha / rank, generator)
            setattr(model.get_submodule(parent), own, found[name])
    return found


@contextmanager
def base_alone(adapter: dict[str, LowRankLinear]) -> Iterator[None]:
    """What the model says without its adapter."""
    for module in adapter.values():
        module.enabled = False
    try:
        yield
    finally:
        for module in adapter.values():
            module.enabled = True
