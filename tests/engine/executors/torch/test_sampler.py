"""The batched sampler beside its oracle, `sampling.sample`, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from portico_engine import SamplingParams
from portico_engine.executors.torch.sampler import SampleRequest, sample_batch
from portico_engine.sampling import SampledToken, SamplingState, sample, unpack_mask

VOCAB = 1000
PARAMS = {
    "greedy": SamplingParams(temperature=0),
    "plain": SamplingParams(temperature=1.0),
    "hot": SamplingParams(temperature=3.0),
    "top_k": SamplingParams(temperature=1.0, top_k=7),
    "top_p": SamplingParams(temperature=1.0, top_p=0.6),
    "top_p 0": SamplingParams(temperature=5.0, top_p=0),
    "min_p": SamplingParams(temperature=1.5, min_p=0.05),
    "all": SamplingParams(temperature=0.9, top_k=40, top_p=0.9, min_p=0.01),
    "penalties": SamplingParams(temperature=0.7, repetition_penalty=1.3, frequency_penalty=0.5, presence_penalty=0.2),
    "biased": SamplingParams(temperature=0.7, logit_bias=((3, 5.0), (4, -100.0))),
    "logprobs": SamplingParams(temperature=0.7, logprobs=5),
    "xtc": SamplingParams(temperature=1.5, xtc_probability=0.5, xtc_threshold=0.02),
    "xtc behind top_k": SamplingParams(temperature=2.0, top_k=9, xtc_probability=1.0, xtc_threshold=0.05),
}


def logits(n: int) -> np.ndarray:
    return (3 * np.random.default_rng(5).standard_normal((n, VOCAB))).astype(np.float32)


def some_mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**31), 2**31, -(-VOCAB // 32)).astype(np.int32)


def both(values: np.ndarray, requests: list[SampleRequest]) -> tuple[list[SampledToken | None], list[SampledToken | None]]:
    expected = []
    for row, request in zip(values.copy(), requests, strict=True):
        if request.bias is not None:
            row[request.bias[0]] += request.bias[1]
        expected.append(sample(row, request.state, None if request.mask is None else unpack_mask(request.mask, VOCAB)))
    return sample_batch(torch.from_numpy(values.copy()), requests), expected


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.parametrize("masked", [False, True])
def test_the_same_tokens_are_sampled(name: str, masked: bool) -> None:
    states = [SamplingState(PARAMS[name], 17 + i, i, counts={i: 2, 5: 1}, seen={i, 5, 900}) for i in range(64)]
    got, expected = both(logits(64), [SampleRequest(state, some_mask(i) if masked else None) for i, state in enumerate(states)])
    assert [p and p.token for p in got] == [p and p.token for p in expected]
    for mine, theirs in zip(got, expected, strict=True):
        assert mine is not None
        assert theirs is not None
        assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
        assert [t for t, _ in mine.top_logprobs] == [t for t, _ in theirs.top_logprobs]


def test_rows_of_different_kinds_do_not_touch_each_other() -> None:
    states = [SamplingState(params, 3, i) for i, params in enumerate(PARAMS.values())]
    requests = [SampleRequest(state, some_mask(i) if i % 2 else None) for i, state in enumerate(states)]
    got, expected = both(logits(len(requests)), requests)
    assert [p and p.token for p in got] == [p and p.token for p in expected]


def test_a_bias_counts_before_the_mask() -> None:
    bias = (np.array([3, 77]), np.array([50.0, 1000.0], np.float32))
    mask = np.zeros(-(-VOCAB // 32), np.int32)
    mask[0] = 0b1100
    got, _ = both(logits(1), [SampleRequest(SamplingState(PARAMS["greedy"], 0, 0), mask, bias)])
    assert got[0] is not None
    assert got[0].token == 3


def test_rows_without_a_choice_or_with_no_numbers_are_none() -> None:
    values = logits(3)
    values[1, 8] = np.nan
    state = SamplingState(PARAMS["all"], 0, 0)
    requests = [SampleRequest(state), SampleRequest(state), SampleRequest(state, np.zeros(-(-VOCAB // 32), np.int32))]
    got, expected = both(values, requests)
    assert [p is None for p in got] == [p is None for p in expected] == [False, True, True]
