"""Sampling tokens where the logits are: a batch at a time in torch, without bringing logits to the host.

It owns the tensor form of `sampling.sample`, which is its oracle: the same order of steps and the same random numbers, so that
the same tokens are drawn (up to the rounding of exp).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from portico_engine.executors.torch.transfer import Readback, to_device
from portico_engine.kernels import reference
from portico_engine.sampling import COLDEST, WEAKEST, SampledToken, SamplingState, TopLogprobs, uniform


class SampleRequest(NamedTuple):
    """How to sample one token: its state, its row of the token bitmask, and what is added to which logits."""

    state: SamplingState
    mask: npt.NDArray[np.int32] | None = None
    bias: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None = None


def sample_batch(logits: Tensor, requests: Sequence[SampleRequest]) -> list[SampledToken | None]:
    """`sampling.sample` for each row of logits float32 [n, vocab_size], which are overwritten."""
    return BatchSample(logits, requests).read()


class BatchSample:
    """The same under way: nothing waits for the device before `read`."""

    def __init__(self, logits: Tensor, requests: Sequence[SampleRequest]) -> None:
        _bias(logits, requests)
        _penalize(logits, requests)
        drawn = np.array([i for i, request in enumerate(requests) if not request.state.params.is_greedy], np.int64)
        read_again = bool(drawn.size) or any(request.state.params.logprobs is not None for request in requests)
        found = _argmax(logits, _masks(requests, logits.device), write=read_again)
        if drawn.size:
            where = to_device(drawn, logits.device)
            best = found[:, where]
            found[0, where] = _draw(logits[where], best[1].float(), [requests[i].state for i in drawn]).double()
        self.tokens = found[0].long().clamp_(0, logits.shape[1] - 1)  # int64 [n]; some token where there is none
        self._found = Readback(found)
        self._logprobs = _Logprobs(logits, self.tokens, requests) if read_again else None

    def read(self) -> list[SampledToken | None]:
        """Wait for them."""
        tokens, tops = self._found.tolist()
        details = self._logprobs.read() if self._logprobs is not None else {}
        return [
            SampledToken(int(token), *details.get(i, (0.0, ()))) if math.isfinite(best) else None
            for i, (token, best) in enumerate(zip(tokens, tops, strict=True))
        ]


def _bias(logits: Tensor, requests: Sequence[SampleRequest]) -> None:
    rows: list[int] = []
    tokens: list[int] = []
    added: list[float] = []
    for i, request in enumerate(requests):
        if request.bias is not None:
            rows += [i] * len(request.bias[0])
            tokens += request.bias[0].tolist()
            added += request.bias[1].tolist()
        for token, bias in request.state.params.logit_bias:
            rows.append(i)
            tokens.append(token)
            added.append(bias)
    if rows:
        at = to_device(np.array([rows, tokens], np.int64), logits.device)
        logits.index_put_((at[0], at[1]), to_device(np.array(added, np.float32), logits.device), accumulate=True)


def _penalize(logits: Tensor, requests: Sequence[SampleRequest]) -> None:
    for i, request in enumerate(requests):
        params, state = request.state.params, request.state
        if params.repetition_penalty != 1.0 and state.seen:
            seen = to_device(np.array(list(state.seen), np.int64), logits.device)
            values = logits[i, seen]
            penalty = max(params.repetition_penalty, WEAKEST)
            logits[i, seen] = torch.where(values > 0, values / penalty, values * penalty)
        if (params.frequency_penalty or params.presence_penalty) and state.counts:
            tokens = to_device(np.array(list(state.counts.keys()), np.int64), logits.device)
            counts = to_device(np.array(list(state.counts.values()), np.float32), logits.device)
            logits[i, tokens] -= params.frequency_penalty * counts + params.presence_penalty


def _argmax(logits: Tensor, masks: Tensor | None, *, write: bool) -> Tensor:
    """See `reference.masked_argmax`."""
    if not logits.is_cuda:
        return reference.masked_argmax(logits, masks, write=write)
    from portico_engine.kernels.sampling import masked_argmax  # what it needs comes with a GPU

    return masked_argmax(logits, masks, write=write)


def _masks(requests: Sequence[SampleRequest], device: torch.device) -> Tensor | None:
    """As `reference.masked_argmax` takes them, in one transfer; None where no row has any."""
    words = max((len(request.mask) for request in requests if request.mask is not None), default=None)
    if words is None:
        return None
    host = np.zeros((len(requests), 1 + words), np.int32)
    for line, request in zip(host, requests, strict=True):
        if request.mask is not None:
            line[0] = 1
            line[1 : 1 + len(request.mask)] = request.mask
    return to_device(host, device)


def _draw(logits: Tensor, top: Tensor, states: Sequence[SamplingState]) -> Tensor:
    """A token for each row, int64 [n]."""
    vocab = logits.shape[1]
    params = [state.params for state in states]

    def column(values: list[float], dtype: npt.DTypeLike = np.float32) -> Tensor:
        return to_device(np.array(values, dtype), logits.device).unsqueeze(1)

    temperatures = column([max(p.temperature, COLDEST) for p in params])
    weights = ((logits - top.unsqueeze(1)) / temperatures).exp_()  # the likeliest has 1
    if any((p.top_k and p.top_k < vocab) or p.top_p < 1.0 for p in params):
        best, order = weights.sort(dim=-1, descending=True, stable=True)
        rank = torch.arange(vocab, device=logits.device)
        best = best * (rank < column([p.top_k or vocab for p in params], np.int64))
        mass = best.cumsum(-1, dtype=torch.float64)
        goal = column([p.top_p if p.top_p < 1.0 else float("inf") for p in params], np.float64) * mass[:, -1:]
        best[:, 1:] *= mass[:, :-1] < goal  # the token that reaches the goal is the last kept (Holtzman et al. 2020)
        weights = torch.zeros_like(weights).scatter_(1, order, best)
    if any(p.min_p > 0 for p in params):
        weights *= weights >= column([p.min_p for p in params])
    active = [state.excludes_top_choices for state in states]
    if any(active):
        thresholds = [p.xtc_threshold if on else float("inf") for p, on in zip(params, active, strict=True)]
        top = weights >= column(thresholds, np.float64) * weights.sum(-1, keepdim=True, dtype=torch.float64)
        least = torch.where(top, weights, float("inf")).argmin(-1, keepdim=True)
        dropped = top & (top.sum(-1, keepdim=True) > 1)
        weights = weights.masked_fill(dropped.scatter(1, least, False), 0)
    total = weights.cumsum(-1, dtype=torch.float64)
    whole = total[:, -1:]
    at = column([uniform(state.seed, state.position) for state in states], np.float64) * whole
    at = torch.minimum(at, whole * (1 - 2.0**-52))
    return torch.searchsorted(total, at, right=True).squeeze(1).clamp_(max=vocab - 1)


class _Logprobs:
    """Of the rows that ask for them: the token's log-probability, and the likeliest tokens with theirs."""

    def __init__(self, logits: Tensor, chosen: Tensor, requests: Sequence[SampleRequest]) -> None:
        wanted = [request.state.params.logprobs for request in requests]
        self._counts = {i: count for i, count in enumerate(wanted) if count is not None}
        self._parts: list[Readback] = []
        if self._counts:
            where = to_device(np.array(list(self._counts), np.int64), logits.device)
            logprobs = logits[where].log_softmax(-1)
            own = logprobs.gather(1, chosen[where].unsqueeze(1)).squeeze(1)
            best = logprobs.topk(min(max(1, max(self._counts.values())), logprobs.shape[1]))
            self._parts = [Readback(own), Readback(best.values), Readback(best.indices)]

    def read(self) -> dict[int, tuple[float, TopLogprobs]]:
        """Wait for them; by row."""
        if not self._counts:
            return {}
        own, values, tokens = (part.tolist() for part in self._parts)
        out: dict[int, tuple[float, TopLogprobs]] = {}
        for at, (row, count) in enumerate(self._counts.items()):
            pairs = zip(tokens[at][:count], values[at][:count], strict=True)
            out[row] = (own[at], tuple((token, value) for token, value in pairs if value > float("-inf")))
        return out
