"""The batched sampler beside its oracle, `sampling.pick`, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from portico_engine import SamplingParams
from portico_engine.executors.torch.sampler import Ask, pick_batch
from portico_engine.sampling import Draw, Pick, pick, unpack_mask

VOCAB = 1000
PARAMS = {
    "greedy": SamplingParams(temperature=0),
    "plain": SamplingParams(temperature=1.0),
    "hot": SamplingParams(temperature=3.0),
    "top_k": SamplingParams(temperature=1.0, top_k=7),
    "top_p": SamplingParams(temperature=1.0, top_p=0.6),
    "min_p": SamplingParams(temperature=1.5, min_p=0.05),
    "all": SamplingParams(temperature=0.9, top_k=40, top_p=0.9, min_p=0.01),
    "penalties": SamplingParams(temperature=0.7, repetition_penalty=1.3, frequency_penalty=0.5, presence_penalty=0.2),
    "biased": SamplingParams(temperature=0.7, logit_bias=((3, 5.0), (4, -100.0))),
    "logprobs": SamplingParams(temperature=0.7, logprobs=5),
}


def logits(n: int) -> np.ndarray:
    return (3 * np.random.default_rng(5).standard_normal((n, VOCAB))).astype(np.float32)


def some_mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**31), 2**31, -(-VOCAB // 32)).astype(np.int32)


def both(values: np.ndarray, asks: list[Ask]) -> tuple[list[Pick | None], list[Pick | None]]:
    expected = []
    for row, ask in zip(values.copy(), asks, strict=True):
        if ask.bias is not None:
            row[ask.bias[0]] += ask.bias[1]
        expected.append(pick(row, ask.draw, None if ask.mask is None else unpack_mask(ask.mask, VOCAB)))
    return pick_batch(torch.from_numpy(values.copy()), asks), expected


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.parametrize("masked", [False, True])
def test_the_same_tokens_are_picked(name: str, masked: bool) -> None:
    draws = [Draw(PARAMS[name], 17 + i, i, counts={i: 2, 5: 1}, seen={i, 5, 900}) for i in range(64)]
    got, expected = both(logits(64), [Ask(draw, some_mask(i) if masked else None) for i, draw in enumerate(draws)])
    assert [p and p.token for p in got] == [p and p.token for p in expected]
    for mine, theirs in zip(got, expected, strict=True):
        assert mine is not None
        assert theirs is not None
        assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
        assert [t for t, _ in mine.top] == [t for t, _ in theirs.top]


def test_rows_of_different_kinds_do_not_touch_each_other() -> None:
    asks = [Ask(Draw(params, 3, i), some_mask(i) if i % 2 else None) for i, params in enumerate(PARAMS.values())]
    got, expected = both(logits(len(asks)), asks)
    assert [p and p.token for p in got] == [p and p.token for p in expected]


def test_a_bias_counts_before_the_mask() -> None:
    bias = (np.array([3, 77]), np.array([50.0, 1000.0], np.float32))
    mask = np.zeros(-(-VOCAB // 32), np.int32)
    mask[0] = 0b1100
    got, _ = both(logits(1), [Ask(Draw(PARAMS["greedy"], 0, 0), mask, bias)])
    assert got[0] is not None
    assert got[0].token == 3


def test_rows_without_a_choice_or_with_no_numbers_are_none() -> None:
    values = logits(3)
    values[1, 8] = np.nan
    draw = Draw(PARAMS["all"], 0, 0)
    asks = [Ask(draw), Ask(draw), Ask(draw, np.zeros(-(-VOCAB // 32), np.int32))]
    got, expected = both(values, asks)
    assert [p is None for p in got] == [p is None for p in expected] == [False, True, True]
