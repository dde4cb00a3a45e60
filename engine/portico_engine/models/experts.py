"""A mixture of experts in place of a feed-forward (Shazeer et al. 2017): which experts take a token, and the sum of what they
say.

It owns routing. An expert's own arithmetic comes as a function.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.models.config import ExpertsConfig
from portico_engine.models.decoder_weights import ExpertsWeights, GatedWeights

Gated = Callable[[GatedWeights, Tensor], Tensor]  # x bf16 [n, hidden] -> bf16 [n, hidden]


def mixture_of_experts(x: Tensor, weights: ExpertsWeights, config: ExpertsConfig, gated: Gated, *, every: bool) -> Tensor:
    """x bf16 [n, hidden] -> bf16 [n, hidden].

    `every` computes each expert for each token and drops what isn't wanted: the same work whatever the router says, as a
    captured graph needs it.
    """
    shares = route(x, weights.router, config)
    out = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
    for i in range(config.count) if every else shares.any(0).nonzero().flatten().tolist():
        expert = weights.experts[i]
        if every or x.shape[0] == 1:
            out.addcmul_(gated(expert, x), shares[:, i : i + 1])
        else:
            rows = shares[:, i].nonzero().flatten()
            out.index_add_(0, rows, gated(expert, x[rows]) * shares[rows, i : i + 1])
    if weights.shared is not None:
        said = gated(weights.shared, x)
        out += said if weights.shared_gate is None else said * (x.float() @ weights.shared_gate).sigmoid().unsqueeze(1)
    return out.to(torch.bfloat16)


def route(x: Tensor, router: Tensor, config: ExpertsConfig) -> Tensor:
    """Each expert's share in each token, float32 [n, experts], zero for those that aren't among the likeliest."""
    likely, chosen = F.linear(x.float(), router).softmax(-1).topk(config.used)
    if config.normalized:
        likely = likely / likely.sum(-1, keepdim=True)
    return torch.zeros(x.shape[0], config.count, device=x.device).scatter_(1, chosen, likely)
