"""Sampling tokens from logits: the numpy reference of every executor's sampler.

Order: bias, penalties, grammar mask, temperature, top-k, top-p, min-p, XTC, then the draw. The draw's random number is a
function of the request's seed and the token's position in the answer alone (Philox4x64, Salmon et al. 2011), so that companions
in a batch don't change it. It knows neither requests nor batches.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from portico_engine.errors import RequestError
from portico_engine.request import SAMPLING_RANGES, SamplingParams

Logits = npt.NDArray[np.float32]  # [vocab_size]
TopLogprobs = tuple[tuple[int, float], ...]  # most probable tokens and their log-probabilities, best first
_WORD = (1 << 64) - 1
_XTC_STREAM = 1
_KINDS = {field.name: str(field.type) for field in fields(SamplingParams)}
_WHOLE = frozenset(name for name, kind in _KINDS.items() if kind.startswith("int"))
_MAY_BE_NONE = frozenset(name for name, kind in _KINDS.items() if kind.endswith("None"))
_MOST_BIAS = 1e6  # far beyond any logit, and sums of it are numbers
WEAKEST = 1e-6  # a repetition penalty below this would make infinity of a logit
COLDEST = 1e-30  # a temperature below this would make infinity of a difference, and of none no number


class SamplingState(NamedTuple):
    """How to sample one row's next token: the request's parameters and where its answer stands. A named tuple for the reason
    that `plan.Row` is one.
    """

    params: SamplingParams
    seed: int
    position: int  # tokens of the answer so far
    counts: Mapping[int, int] = MappingProxyType({})  # of the answer's tokens, for frequency and presence penalties
    seen: frozenset[int] | set[int] = frozenset()  # of prompt and answer, for the repetition penalty

    @property
    def excludes_top_choices(self) -> bool:
        """Does XTC come into play for this token? By the request's own random numbers."""
        params = self.params
        return params.xtc_probability > 0 and uniform(self.seed, self.position, _XTC_STREAM) < params.xtc_probability


class SampledToken(NamedTuple):
    """A sampled token; log-probabilities are those after bias, penalties and mask, at temperature 1."""

    token: int
    logprob: float
    top_logprobs: TopLogprobs


def validate(params: SamplingParams, vocab_size: int) -> None:
    """Raise RequestError naming the field that is out of range and what is allowed."""
    for name, values in SAMPLING_RANGES.items():
        value = getattr(params, name)
        if value is None and name in _MAY_BE_NONE:
            continue
        is_number = isinstance(value, Integral if name in _WHOLE else Real)
        if not is_number or value not in values:
            raise RequestError(f"{name} is {value!r}; it must be {values}")
    for token in params.stop_token_ids:
        if not isinstance(token, Integral) or not 0 <= token < vocab_size:
            raise RequestError(f"stop_token_ids names the token {token!r}; the vocabulary has {vocab_size}")
    for text in params.dry_sequence_breakers or ():
        if not isinstance(text, str):
            raise RequestError(f"dry_sequence_breakers holds {text!r}; they must be texts")
    for token, bias in params.logit_bias:
        if not isinstance(token, Integral) or not 0 <= token < vocab_size:
            raise RequestError(f"logit_bias names the token {token!r}; the vocabulary has {vocab_size}")
        if not isinstance(bias, Real) or (bias != -math.inf and not abs(bias) <= _MOST_BIAS):
            allowed = f"from {-_MOST_BIAS:g} to {_MOST_BIAS:g}, or minus infinity"
            raise RequestError(f"logit_bias for the token {token} is {bias!r}; it must be {allowed}")


def resolve_seed(params: SamplingParams) -> int:
    """The request's seed as 64 bits without a sign, or one from the operating system."""
    return params.seed & _WORD if params.seed is not None and params.is_seeded else secrets.randbits(64)


def unpack_mask(words: npt.NDArray[np.int32], vocab_size: int) -> npt.NDArray[np.bool_]:
    """A row of a token bitmask as booleans [vocab_size]."""
    bits = np.unpackbits(words.view(np.uint8), bitorder="little", count=min(vocab_size, words.size * 32))
    out = np.zeros(vocab_size, dtype=np.bool_)
    out[: bits.size] = bits.view(np.bool_)
    return out


def allowed_tokens(words: npt.NDArray[np.int32], vocab_size: int) -> npt.NDArray[np.int64]:
    """The tokens that a row of a token bitmask allows, in order. Few are found without looking at all bits."""
    filled = np.flatnonzero(words)
    if filled.size > words.size // 4:
        return np.flatnonzero(unpack_mask(words, vocab_size))
    places = np.flatnonzero(np.unpackbits(words[filled].view(np.uint8), bitorder="little").view(np.bool_))
    tokens: npt.NDArray[np.int64] = (filled[places >> 5] << 5) + (places & 31)
    return tokens[: np.searchsorted(tokens, vocab_size)]


def sample(logits: Logits, state: SamplingState, mask: npt.NDArray[np.bool_] | None = None) -> SampledToken | None:
    """Sample a token. `logits` is overwritten. None where nothing may be sampled: not a number, or nothing left of the mask."""
    _penalize(logits, state)
    if mask is None:
        allowed = None
        values = logits
    else:
        allowed = np.flatnonzero(mask)
        values = logits[allowed]
    if values.size == 0 or not np.isfinite(top := float(values.max())):  # the maximum of anything with a NaN is NaN
        return None
    params = state.params
    at = int(values.argmax()) if params.is_greedy else _draw(values, state)
    logprob = 0.0
    best: TopLogprobs = ()
    if params.logprobs is not None:
        total = top + math.log(float(np.exp(values - top).sum()))
        logprob = float(values[at]) - total
        best = _top(values, total, params.logprobs, allowed)
    return SampledToken(int(at if allowed is None else allowed[at]), logprob, best)


def log_softmax_at(logits: npt.NDArray[np.float32], tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Log-probability of one token in each row: `logits` [n, vocab_size], `tokens` [n]."""
    top = logits.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1, dtype=np.float64))
    return np.asarray(logits[np.arange(len(tokens)), tokens] - total, dtype=np.float64)


def _penalize(logits: Logits, state: SamplingState) -> None:
    params = state.params
    for token, bias in params.logit_bias:
        logits[token] += bias
    if params.repetition_penalty != 1.0 and state.seen:
        seen = np.fromiter(state.seen, np.int64, len(state.seen))
        values = logits[seen]
        penalty = max(params.repetition_penalty, WEAKEST)
        logits[seen] = np.where(values > 0, values / penalty, values * penalty)
    if (params.frequency_penalty or params.presence_penalty) and state.counts:
        tokens = np.fromiter(state.counts.keys(), np.int64, len(state.counts))
        counts = np.fromiter(state.counts.values(), np.float32, len(state.counts))
        logits[tokens] -= params.frequency_penalty * counts + params.presence_penalty


def _draw(values: npt.NDArray[np.float32], state: SamplingState) -> int:
    """An index into `values` by the filters and the request's own random number.

    The whole vocabulary is never sorted: that would cost a third of a small model's step.
    """
    params = state.params
    weights = np.exp((values - values.max()) / np.float32(max(params.temperature, COLDEST)))  # the likeliest has 1
    kept: npt.NDArray[np.int64] | None = None  # None: all
    if params.top_k and params.top_k < weights.size:
        kept = np.sort(np.argpartition(-weights, params.top_k - 1)[: params.top_k])
    if params.top_p < 1.0:
        kept = _nucleus(weights, kept, params.top_p)
    if params.min_p > 0:
        likely = weights >= params.min_p if kept is None else weights[kept] >= params.min_p
        kept = np.flatnonzero(likely) if kept is None else kept[likely]
    if state.excludes_top_choices:
        kept = _exclude_top_choices(weights, kept, params.xtc_threshold)
    total = np.cumsum(weights if kept is None else weights[kept], dtype=np.float64)
    at = int(np.searchsorted(total, uniform(state.seed, state.position) * total[-1], side="right"))
    at = min(at, total.size - 1)
    return at if kept is None else int(kept[at])


def _nucleus(weights: npt.NDArray[np.float32], among: npt.NDArray[np.int64] | None, top_p: float) -> npt.NDArray[np.int64]:
    """The fewest likeliest tokens that hold `top_p` of the mass (Holtzman et al. 2020), in order of their ids."""
    pool = weights if among is None else weights[among]
    goal = top_p * float(pool.sum(dtype=np.float64))
    count = 64
    while True:
        count = min(count, pool.size)
        best = np.argpartition(-pool, count - 1)[:count] if count < pool.size else np.arange(pool.size)
        best = best[np.argsort(-pool[best], kind="stable")]
        mass = np.cumsum(pool[best], dtype=np.float64)
        if mass[-1] >= goal or count == pool.size:
            break
        count *= 8
    kept = np.sort(best[: int(np.searchsorted(mass, goal, side="left")) + 1])
    return kept if among is None else among[kept]


def _exclude_top_choices(
    weights: npt.NDArray[np.float32], kept: npt.NDArray[np.int64] | None, threshold: float
) -> npt.NDArray[np.int64]:
    """Of the tokens whose probability reaches the threshold only the least likely stays, and all below it."""
    among = np.arange(weights.size) if kept is None else kept
    pool = weights[among]
    top = np.flatnonzero(pool >= threshold * pool.sum(dtype=np.float64))
    if top.size < 2:
        return among
    out: npt.NDArray[np.int64] = np.delete(among, np.delete(top, pool[top].argmin()))
    return out


def uniform(seed: int, position: int, stream: int = 0) -> float:
    """A number in [0, 1) that depends on these only: what numpy's Philox says first (in stream 0), three times as fast as
    making one of its generators."""
    c0, c1, c2, c3, k0, k1 = position + 1, stream, 0, 0, seed, 0
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (second >> 64) ^ c1 ^ k0, second & _WORD, (first >> 64) ^ c3 ^ k1, first & _WORD
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & _WORD, (k1 + 0xBB67AE8584CAA73B) & _WORD
    return (c0 >> 11) * 2.0**-53


def _top(values: npt.NDArray[np.float32], total: float, count: int, allowed: npt.NDArray[np.int64] | None) -> TopLogprobs:
    if count == 0:
        return ()
    count = min(count, values.size)
    best = np.argpartition(-values, count - 1)[:count]
    best = best[np.argsort(-values[best], kind="stable")]
    return tuple((int(i if allowed is None else allowed[i]), float(values[i]) - total) for i in best)
