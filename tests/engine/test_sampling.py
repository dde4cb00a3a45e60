from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico_engine import SAMPLING_RANGES, RequestError, SamplingParams
from portico_engine.sampling import (
    SamplingState,
    allowed_tokens,
    log_softmax_at,
    resolve_seed,
    sample,
    uniform,
    unpack_mask,
    validate,
)

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.07, 0.03], np.float32))


def draws(params: SamplingParams, n: int = 4000, mask: np.ndarray | None = None) -> dict[int, float]:
    counts = Counter(p.token for i in range(n) if (p := sample(LOGITS.copy(), SamplingState(params, 11, i), mask)))
    return {token: count / n for token, count in sorted(counts.items())}


def test_temperature_zero_is_the_likeliest_token_whatever_else_is_set() -> None:
    assert draws(SamplingParams(temperature=0, top_k=3, top_p=0.1, min_p=0.5, seed=3), 5) == {0: 1.0}


def test_temperature_one_draws_the_models_own_distribution() -> None:
    assert draws(SamplingParams(temperature=1)) == pytest.approx({0: 0.5, 1: 0.25, 2: 0.15, 3: 0.07, 4: 0.03}, abs=0.03)


def test_temperature_sharpens_and_flattens() -> None:
    sharp = draws(SamplingParams(temperature=0.5))
    weights = np.array([0.5, 0.25, 0.15, 0.07, 0.03]) ** 2
    assert sharp == pytest.approx(dict(enumerate(weights / weights.sum())), abs=0.03)
    assert draws(SamplingParams(temperature=50))[4] > 0.15


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        (SamplingParams(temperature=1, top_k=2), {0, 1}),
        (SamplingParams(temperature=1, top_p=0.49), {0}),
        (SamplingParams(temperature=1, top_p=0.51), {0, 1}),
        (SamplingParams(temperature=1, top_p=0.89), {0, 1, 2}),
        (SamplingParams(temperature=1, min_p=0.2), {0, 1, 2}),
        (SamplingParams(temperature=1, min_p=1.0), {0}),
        (SamplingParams(temperature=1, min_p=0.2, top_p=0.6), {0, 1}),
        (SamplingParams(temperature=1, top_k=4, top_p=0.99, min_p=0.1), {0, 1, 2, 3}),
    ],
)
def test_filters_keep_the_likeliest(params: SamplingParams, kept: set[int]) -> None:
    assert set(draws(params, 1500)) == kept


def test_penalties_apply_to_what_was_said() -> None:
    params = SamplingParams(temperature=0, repetition_penalty=2.0)
    assert sample(np.array([2.0, 1.5, -1.0], np.float32), SamplingState(params, 0, 0, {}, {0})) == (1, 0.0, ())
    assert sample(np.array([-1.0, -1.5, -9.0], np.float32), SamplingState(params, 0, 0, {}, {0})) == (1, 0.0, ())
    params = SamplingParams(temperature=0, frequency_penalty=0.5)
    assert sample(np.array([2.0, 1.2], np.float32), SamplingState(params, 0, 0, {0: 2})) == (1, 0.0, ())
    params = SamplingParams(temperature=0, presence_penalty=1.0)
    assert sample(np.array([2.0, 1.2], np.float32), SamplingState(params, 0, 0, {0: 1})) == (1, 0.0, ())


def test_a_bias_comes_before_everything() -> None:
    assert draws(SamplingParams(temperature=1, top_k=1, logit_bias=((4, 100.0),)), 5) == {4: 1.0}
    assert 0 not in draws(SamplingParams(temperature=1, logit_bias=((0, float("-inf")),)), 300)


def test_only_allowed_tokens_are_drawn_and_renormalized() -> None:
    mask = np.array([False, True, False, True, False])
    assert draws(SamplingParams(temperature=1), mask=mask) == pytest.approx({1: 0.25 / 0.32, 3: 0.07 / 0.32}, abs=0.03)


@pytest.mark.parametrize(
    ("logits", "mask"),
    [
        ([1.0, 2.0], [False, False]),
        ([np.nan, 1.0], [True, True]),
        ([-np.inf, -np.inf], [True, True]),
        ([np.inf, 1.0], [True, True]),
    ],
)
def test_nothing_is_sampled_from_nothing(logits: list[float], mask: list[bool]) -> None:
    for temperature in (0.0, 1.0):
        state = SamplingState(SamplingParams(temperature=temperature), 0, 0)
        assert sample(np.array(logits, np.float32), state, np.array(mask)) is None


def test_logprobs_are_those_after_the_mask_at_temperature_one() -> None:
    mask = np.array([True, True, False, False, False])
    sampled = sample(LOGITS.copy(), SamplingState(SamplingParams(temperature=0, logprobs=3), 0, 0), mask)
    assert sampled is not None
    assert sampled.logprob == pytest.approx(np.log(2 / 3), abs=1e-6)
    assert [token for token, _ in sampled.top_logprobs] == [0, 1]
    assert sampled.top_logprobs[1][1] == pytest.approx(np.log(1 / 3), abs=1e-6)


@given(seed=st.integers(0, 2**64 - 1), position=st.integers(0, 10_000))
def test_the_draws_number_depends_on_seed_and_position_alone(seed: int, position: int) -> None:
    assert 0 <= uniform(seed, position) < 1
    assert uniform(seed, position) == uniform(seed, position)
    assert uniform(seed, position) != uniform(seed, position + 1)


def test_the_draws_numbers_are_fixed_for_ever() -> None:
    """A saved seed must say the same next year."""
    assert uniform(42, 7) == 0.4074136540795371
    numbers = [uniform(1, i) for i in range(4000)]
    assert np.mean(numbers) == pytest.approx(0.5, abs=0.02)
    assert np.var(numbers) == pytest.approx(1 / 12, abs=0.005)


@given(st.lists(st.booleans(), min_size=1, max_size=130))
def test_masks_unpack_bit_by_bit(allowed: list[bool]) -> None:
    words = np.zeros(-(-len(allowed) // 32), np.int32)
    for i, bit in enumerate(allowed):
        words.view(np.uint32)[i // 32] |= np.uint32(bit) << np.uint32(i % 32)
    assert unpack_mask(words, len(allowed)).tolist() == allowed
    few = np.concatenate([words, np.zeros(7 * words.size + 9, np.int32)])
    for row in (words, few):
        for size in (len(allowed), len(allowed) // 2):
            assert allowed_tokens(row, size).tolist() == [i for i, is_allowed in enumerate(allowed[:size]) if is_allowed]


def test_log_softmax_is_stable() -> None:
    logits = np.array([[1000.0, 999.0], [-1000.0, -1001.0]], np.float32)
    assert log_softmax_at(logits, np.array([0, 1])) == pytest.approx([-0.3132617, -1.3132617])


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**63, 2**64 - 1])
def test_the_random_numbers_are_numpys_philox(seed: int) -> None:
    for position in (0, 1, 2, 500, 1 << 20):
        word = int(np.random.Philox(key=seed, counter=position).random_raw(1)[0])
        assert uniform(seed, position) == (word >> 11) * 2.0**-53


@pytest.mark.parametrize(
    ("name", "inside", "outside", "allowed"),
    [
        ("temperature", (0, 100), (-0.1, 100.1, math.nan, math.inf), "from 0 to 100"),
        ("top_k", (0, 10**9), (-1,), "0 (off) or more"),
        ("top_p", (0, 1e-9, 1), (-0.1, 1.1, math.nan), "from 0 to 1"),
        ("min_p", (0, 1), (-0.1, 1.1, math.nan), "from 0 to 1"),
        ("seed", (None, -1, -(2**63), 0, 2**64 - 1), (-(2**63) - 1, 2**64), "from -2**63 to 2**64 - 1 (-1: none)"),
        ("repetition_penalty", (1e-9, 100), (0, 100.1, math.inf), "above 0 and at most 100 (1 is off)"),
        ("frequency_penalty", (-2, 2), (-2.1, 2.1, math.nan), "from -2 to 2"),
        ("presence_penalty", (-2, 2), (-2.1, 2.1, -math.inf), "from -2 to 2"),
        ("logprobs", (None, 0, 20), (-1, 21), "from 0 to 20"),
    ],
)
def test_a_value_outside_of_its_range_is_refused_with_the_range(
    name: str, inside: tuple[Any, ...], outside: tuple[Any, ...], allowed: str
) -> None:
    for value in inside:
        validate(SamplingParams(**{name: value}), 5)
    for value in outside:
        with pytest.raises(RequestError) as caught:
            validate(SamplingParams(**{name: value}), 5)
        assert str(caught.value) == f"{name} is {value}; it must be {allowed}"


def test_a_seed_of_minus_one_is_none() -> None:
    assert len({resolve_seed(SamplingParams(seed=-1)) for _ in range(8)}) == 8
    assert not SamplingParams(seed=-1).is_seeded
    assert resolve_seed(SamplingParams(seed=-2)) == 2**64 - 2
    assert resolve_seed(SamplingParams(seed=5)) == 5


def test_the_smallest_nucleus_is_the_likeliest_token() -> None:
    assert draws(SamplingParams(temperature=100, top_p=0, seed=-1), 20) == {0: 1.0}


def test_every_sampling_parameter_that_is_a_number_has_a_range() -> None:
    others = {"logit_bias", "ignore_eos", "stop_token_ids", "dry_sequence_breakers"}
    assert {each.name for each in fields(SamplingParams)} - others == set(SAMPLING_RANGES)


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        (SamplingParams(temperature=1, xtc_probability=1.0, xtc_threshold=0.1), {2, 3, 4}),  # of 0, 1 and 2 the least likely
        (SamplingParams(temperature=1, xtc_probability=1.0, xtc_threshold=0.2), {1, 2, 3, 4}),
        (SamplingParams(temperature=1, xtc_probability=1.0, xtc_threshold=0.4), {0, 1, 2, 3, 4}),  # one alone is no choice
        (SamplingParams(temperature=1, xtc_probability=1.0, xtc_threshold=0.1, top_k=3), {2}),
        (SamplingParams(temperature=1, xtc_probability=0.0, xtc_threshold=0.1), {0, 1, 2, 3, 4}),
    ],
)
def test_xtc_leaves_the_least_likely_of_the_top_choices(params: SamplingParams, kept: set[int]) -> None:
    assert set(draws(params, 1500)) == kept


def test_xtc_comes_into_play_as_often_as_is_asked() -> None:
    found = draws(SamplingParams(temperature=1, xtc_probability=0.3, xtc_threshold=0.2))
    assert found[0] == pytest.approx(0.7 * 0.5, abs=0.03)


def test_xtc_doesn_t_change_the_numbers_that_others_draw() -> None:
    plain, seldom = (SamplingParams(temperature=1, xtc_probability=p, xtc_threshold=0.9) for p in (0.0, 1.0))
    assert draws(plain, 200) == draws(seldom, 200)
