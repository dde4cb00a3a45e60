"""Picking tokens where the logits are: a batch at a time in torch, without bringing logits to the host.

It owns the tensor form of `sampling.pick`, which is its oracle: the same order of steps and the same random numbers, so that
the same tokens are drawn (up to the rounding of exp).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from portico_engine.sampling import Draw, Pick, uniform

_WORD = 32


class Ask(NamedTuple):
    """How to pick one token: the draw, its row of the token bitmask, and what is added to which logits."""

    draw: Draw
    mask: npt.NDArray[np.int32] | None = None
    bias: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None = None


def pick_batch(logits: Tensor, asks: Sequence[Ask]) -> list[Pick | None]:
    """`sampling.pick` for each row of logits float32 [n, vocab_size], which are overwritten."""
    _bias(logits, asks)
    _penalize(logits, asks)
    _mask(logits, asks)
    top, chosen = logits.max(dim=-1)
    drawn = [i for i, ask in enumerate(asks) if ask.draw.params.temperature > 0]
    if drawn:
        where = torch.tensor(drawn, device=logits.device)
        chosen[where] = _draw(logits[where], top[where], [asks[i].draw for i in drawn])
    tokens, tops = torch.stack([chosen.double(), top.double()]).tolist()
    details = _logprobs(logits, chosen, asks)
    return [Pick(int(tokens[i]), *details.get(i, (0.0, ()))) if math.isfinite(tops[i]) else None for i in range(len(asks))]


def _bias(logits: Tensor, asks: Sequence[Ask]) -> None:
    rows: list[int] = []
    tokens: list[int] = []
    added: list[float] = []
    for i, ask in enumerate(asks):
        if ask.bias is not None:
            rows += [i] * len(ask.bias[0])
            tokens += ask.bias[0].tolist()
            added += ask.bias[1].tolist()
        for token, bias in ask.draw.params.logit_bias:
            rows.append(i)
            tokens.append(token)
            added.append(bias)
    if rows:
        at = torch.tensor([rows, tokens], device=logits.device)
        logits.index_put_((at[0], at[1]), torch.tensor(added, device=logits.device), accumulate=True)


def _penalize(logits: Tensor, asks: Sequence[Ask]) -> None:
    for i, ask in enumerate(asks):
        params, draw = ask.draw.params, ask.draw
        if params.repetition_penalty != 1.0 and draw.seen:
            seen = torch.tensor(list(draw.seen), device=logits.device)
            values = logits[i, seen]
            logits[i, seen] = torch.where(values > 0, values / params.repetition_penalty, values * params.repetition_penalty)
        if (params.frequency_penalty or params.presence_penalty) and draw.counts:
            tokens = torch.tensor(list(draw.counts.keys()), device=logits.device)
            counts = torch.tensor(list(draw.counts.values()), dtype=torch.float32, device=logits.device)
            logits[i, tokens] -= params.frequency_penalty * counts + params.presence_penalty


def _mask(logits: Tensor, asks: Sequence[Ask]) -> None:
    masked = [i for i, ask in enumerate(asks) if ask.mask is not None]
    if not masked:
        return
    words = torch.from_numpy(np.stack([ask.mask for ask in asks if ask.mask is not None])).to(logits.device)
    bits = (words.unsqueeze(-1) >> torch.arange(_WORD, dtype=torch.int32, device=logits.device)) & 1
    refused = bits.flatten(1)[:, : logits.shape[1]] == 0
    refused = F.pad(refused, (0, logits.shape[1] - refused.shape[1]), value=True)
    if len(masked) == len(asks):
        logits.masked_fill_(refused, float("-inf"))
    else:
        where = torch.tensor(masked, device=logits.device)
        logits[where] = logits[where].masked_fill_(refused, float("-inf"))


def _draw(logits: Tensor, top: Tensor, draws: Sequence[Draw]) -> Tensor:
    """A token for each row, int64 [n]."""
    vocab = logits.shape[1]
    params = [draw.params for draw in draws]

    def column(values: list[float], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=logits.device).unsqueeze(1)

    weights = ((logits - top.unsqueeze(1)) / column([p.temperature for p in params])).exp_()  # the likeliest has 1
    if any((p.top_k and p.top_k < vocab) or p.top_p < 1.0 for p in params):
        best, order = weights.sort(dim=-1, descending=True, stable=True)
        rank = torch.arange(vocab, device=logits.device)
        best = best * (rank < column([p.top_k or vocab for p in params], torch.int64))
        mass = best.cumsum(-1, dtype=torch.float64)
        goal = column([p.top_p if p.top_p < 1.0 else float("inf") for p in params], torch.float64) * mass[:, -1:]
        best[:, 1:] *= mass[:, :-1] < goal  # the token that reaches the goal is the last kept (Holtzman et al. 2020)
        weights = torch.zeros_like(weights).scatter_(1, order, best)
    if any(p.min_p > 0 for p in params):
        weights *= weights >= column([p.min_p for p in params])
    total = weights.cumsum(-1, dtype=torch.float64)
    whole = total[:, -1:]
    at = column([uniform(draw.seed, draw.position) for draw in draws], torch.float64) * whole
    at = torch.minimum(at, whole * (1 - 2.0**-52))
    return torch.searchsorted(total, at, right=True).squeeze(1).clamp_(max=vocab - 1)


def _logprobs(logits: Tensor, chosen: Tensor, asks: Sequence[Ask]) -> dict[int, tuple[float, tuple[tuple[int, float], ...]]]:
    """Of the rows that ask for them: the token's log-probability, and the likeliest tokens with theirs."""
    counts = {i: ask.draw.params.logprobs for i, ask in enumerate(asks) if ask.draw.params.logprobs is not None}
    if not counts:
        return {}
    where = torch.tensor(list(counts), device=logits.device)
    logprobs = logits[where].log_softmax(-1)
    own = logprobs.gather(1, chosen[where].unsqueeze(1)).squeeze(1).tolist()
    best = logprobs.topk(min(max(1, max(counts.values())), logprobs.shape[1]))
    values, tokens = best.values.tolist(), best.indices.tolist()
    out: dict[int, tuple[float, tuple[tuple[int, float], ...]]] = {}
    for at, (row, count) in enumerate(counts.items()):
        pairs = zip(tokens[at][:count], values[at][:count], strict=True)
        out[row] = (own[at], tuple((token, value) for token, value in pairs if value > float("-inf")))
    return out
