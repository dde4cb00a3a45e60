"""A mixture of experts in place of a feed-forward (Shazeer et al. 2017): which experts take a token, and the sum of what they
say.

It owns routing, and counts who was chosen. An expert's own arithmetic comes as a function. Only experts that a token has are
computed: on a CPU one after another, each with its tokens; on a GPU all at once, in as many launches whatever the router says,
as a captured graph needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.models.config import ExpertsConfig
from portico_engine.models.decoder_weights import ExpertsWeights, GatedWeights, StackedExperts

Gated = Callable[[GatedWeights, Tensor], Tensor]  # x bf16 [n, hidden] -> bf16 [n, hidden]
Activation = Callable[[Tensor], Tensor]  # gate and up [n, 2 feed_forward] -> [n, feed_forward]


class Routes(NamedTuple):
    """Each token's experts."""

    chosen: Tensor  # int64 [n, used]
    shares: Tensor  # float32 [n, used]


def mixture_of_experts(
    x: Tensor, weights: ExpertsWeights, config: ExpertsConfig, gated: Gated, activation: Activation, positions: Tensor
) -> Tensor:
    """x bf16 [n, hidden] -> the same. Tokens at negative `positions` [n] are padding, of which anything may be said."""
    routes = route(x, weights, config)
    if isinstance(weights.experts, StackedExperts):
        out = _together(x, weights.experts, routes, weights.tokens, activation, positions)
    else:
        weights.tokens.add_(torch.bincount(routes.chosen.flatten(), minlength=config.count))
        out = _one_by_one(x, weights.experts, routes, gated)
    if weights.shared is not None:
        said = gated(weights.shared, x)
        out += said if weights.shared_gate is None else said * (x.float() @ weights.shared_gate).sigmoid().unsqueeze(1)
    return out.to(x.dtype)


def _one_by_one(x: Tensor, experts: tuple[GatedWeights, ...], routes: Routes, gated: Gated) -> Tensor:
    out = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
    for i in sorted(set(routes.chosen.flatten().tolist())):
        rows, which = (routes.chosen == i).nonzero(as_tuple=True)
        out.index_add_(0, rows, gated(experts[i], x[rows]) * routes.shares[rows, which].unsqueeze(1))
    return out


def _together(
    x: Tensor, experts: StackedExperts, routes: Routes, tokens: Tensor, activation: Activation, positions: Tensor
) -> Tensor:
    from portico_engine.kernels.quantized_matmul import group_by_expert  # what it needs comes with a GPU

    used = routes.chosen.shape[1]
    groups = group_by_expert(routes.chosen, positions, tokens)
    inner = activation(experts.gate_up(x, groups, used))
    said = experts.down(inner, groups, 1, torch.float32).view(-1, used, x.shape[1])
    out: Tensor = torch.bmm(routes.shares.unsqueeze(1), said).squeeze(1)
    return out


def route(x: Tensor, weights: ExpertsWeights, config: ExpertsConfig) -> Routes:
    """Each token's likeliest experts and their shares in it."""
    logits = F.linear(x.float(), weights.router, weights.router_bias)
    if config.routing == "softmax of chosen":
        likely, chosen = logits.topk(config.used)
        return Routes(chosen, likely.softmax(-1))
    scores = logits.sigmoid() if config.routing == "sigmoid" else logits.softmax(-1)
    judged = scores if weights.correction is None else scores + weights.correction
    if config.groups > 1:
        judged = _within_groups(judged, config, corrected=weights.correction is not None)
    _, chosen = judged.topk(config.used)
    shares = scores.gather(1, chosen)
    if config.normalized:
        shares = shares / shares.sum(-1, keepdim=True).clamp_min(1e-20)
    return Routes(chosen, shares if config.scale == 1 else shares * config.scale)


def _within_groups(judged: Tensor, config: ExpertsConfig, *, corrected: bool) -> Tensor:
    """Zero outside of the best groups of experts (DeepSeek-V3, 2.1.2): a group is as good as its best two experts, or, without
    a correction, as its best (DeepSeek-V2, 2.2.2).
    """
    groups = judged.view(judged.shape[0], config.groups, -1)
    worth = groups.topk(2, -1).values.sum(-1) if corrected else groups.amax(-1)
    _, best = worth.topk(config.groups_used)
    kept = torch.zeros_like(worth, dtype=torch.bool).scatter_(1, best, torch.ones_like(best, dtype=torch.bool))
    return groups.masked_fill(~kept.unsqueeze(-1), 0.0).flatten(1)
