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
from portico_engine.models.decoder_weights import ExpertPeers, ExpertsWeights, GatedWeights, StackedExperts

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
    peers = weights.peers
    if peers is not None and peers.exchanges(len(x)):
        _count(weights.tokens, routes.chosen, positions)
        said = _exchanged(x, weights, config, routes, gated, activation, peers)
        return said if weights.shared is None else said + peers.sum(_shared(x, weights, gated).to(x.dtype))
    if isinstance(weights.experts, StackedExperts):
        out = _together(x, weights.experts, routes, config, activation, positions, weights.tokens)
    else:
        _count(weights.tokens, routes.chosen, positions)
        out = _one_by_one(x, weights.experts, routes, config, gated)
    if weights.shared is not None:
        out += _shared(x, weights, gated)
    return out.to(x.dtype) if peers is None else peers.sum(out.to(x.dtype))


def _shared(x: Tensor, weights: ExpertsWeights, gated: Gated) -> Tensor:
    assert weights.shared is not None
    said = gated(weights.shared, x)
    return said if weights.shared_gate is None else said * (x.float() @ weights.shared_gate).sigmoid().unsqueeze(1)


def _exchanged(
    x: Tensor,
    weights: ExpertsWeights,
    config: ExpertsConfig,
    routes: Routes,
    gated: Gated,
    activation: Activation,
    peers: ExpertPeers,
) -> Tensor:
    """Of the mixture without its shared expert, summed over all ranks."""
    experts = weights.experts

    def compute(rows: Tensor, chosen: Tensor) -> Tensor:
        if not len(rows):
            return rows
        alone = Routes(chosen.unsqueeze(1), torch.ones(len(chosen), 1, device=x.device))
        if isinstance(experts, StackedExperts):
            positions, counts = torch.zeros_like(chosen, dtype=torch.int32), torch.zeros_like(weights.tokens)
            return _together(rows, experts, alone, config, activation, positions, counts)
        return _one_by_one(rows, experts, alone, config, gated)

    return peers.exchange(x, routes.chosen, routes.shares, compute)


def _count(tokens: Tensor, chosen: Tensor, positions: Tensor) -> None:
    """tokens int64 [experts] += how many tokens chose each, without padding: chosen int64 [n, used], positions [n]."""
    real = (positions >= 0).to(tokens.dtype).unsqueeze(1).expand_as(chosen)
    tokens.scatter_add_(0, chosen.flatten(), real.flatten())


def _one_by_one(x: Tensor, experts: tuple[GatedWeights, ...], routes: Routes, config: ExpertsConfig, gated: Gated) -> Tensor:
    out = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
    for i in sorted(set(routes.chosen.flatten().tolist()).intersection(config.own)):
        rows, which = (routes.chosen == i).nonzero(as_tuple=True)
        said = gated(experts[i - config.own.start], x[rows])
        out.index_add_(0, rows, said * routes.shares[rows, which].unsqueeze(1))
    return out


def _together(
    x: Tensor,
    experts: StackedExperts,
    routes: Routes,
    config: ExpertsConfig,
    activation: Activation,
    positions: Tensor,
    tokens: Tensor,
) -> Tensor:
    """Pairs of a token and an expert that isn't here are padding to the kernels, which leave anything in their rows."""
    from portico_engine.kernels.quantized_matmul import group_by_expert  # what it needs comes with a GPU

    used = routes.chosen.shape[1]
    if config.held is None:
        own = None
        groups = group_by_expert(routes.chosen, positions, tokens)
    else:
        _count(tokens, routes.chosen, positions)
        counts = torch.zeros(len(config.held), dtype=torch.int64, device=x.device)
        local = routes.chosen - config.held.start
        own = (local >= 0) & (local < len(config.held)) & (positions >= 0).unsqueeze(1)
        groups = group_by_expert(local.view(-1, 1), own.flatten().to(torch.int32) - 1, counts)
    inner = activation(experts.gate_up(x, groups, used))
    said = experts.down(inner, groups, 1, torch.float32).view(-1, used, x.shape[1])
    if own is not None:
        said = said.masked_fill(~own.unsqueeze(-1), 0.0)
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
