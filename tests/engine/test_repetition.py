"""DRY: what repeats is penalized by the repetition's length, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico_engine import SamplingParams
from portico_engine.repetition import dry_penalties

DRY = SamplingParams(dry_multiplier=0.8, dry_base=2.0, dry_allowed_length=2)


def penalties(tokens: list[int], params: SamplingParams = DRY, breakers: frozenset[int] = frozenset()) -> dict[int, float]:
    found = dry_penalties(tokens, params, breakers)
    return {} if found is None else dict(zip(found[0].tolist(), found[1].tolist(), strict=True))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, 2, 3, 9, 1, 2], {3: -0.8}),  # two repeat: the allowed length costs the multiplier
        ([1, 2, 3, 4, 9, 1, 2, 3], {4: -1.6}),
        ([1, 2, 3, 4, 5, 9, 1, 2, 3, 4], {5: -3.2}),
        ([1, 9, 1], {}),  # one is allowed
        ([1, 2, 3, 4], {}),
        ([1, 2, 7, 1, 2, 8, 1, 2], {7: -0.8, 8: -0.8}),
        ([5, 1, 2, 7, 1, 2, 7, 5, 1, 2], {7: -1.6}),  # the longest of the two counts
        ([4, 4, 4, 4], {4: -1.6}),
        ([1], {}),
    ],
)
def test_what_follows_a_repetition_is_held_back_by_its_length(tokens: list[int], expected: dict[int, float]) -> None:
    assert penalties(tokens) == pytest.approx(expected)


def test_a_repetition_doesn_t_go_past_a_breaker() -> None:
    tokens = [1, 2, 3, 4, 9, 1, 2, 3]
    assert penalties(tokens, breakers=frozenset({2})) == {}
    assert penalties(tokens, breakers=frozenset({1})) == pytest.approx({4: -0.8})
    assert penalties(tokens, breakers=frozenset({3})) == {}


def test_only_the_last_tokens_are_looked_at() -> None:
    tokens = [1, 2, 3, *range(10, 30), 1, 2]
    assert penalties(tokens) == pytest.approx({3: -0.8})
    assert penalties(tokens, SamplingParams(dry_multiplier=0.8, dry_penalty_last_n=10)) == {}
    assert penalties(tokens, SamplingParams(dry_multiplier=0.8, dry_penalty_last_n=0)) == pytest.approx({3: -0.8})


def test_a_long_repetition_has_a_finite_penalty() -> None:
    (value,) = penalties([*range(300), *range(299)], SamplingParams(dry_multiplier=5, dry_base=8)).values()
    assert np.isfinite(value)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=40))
def test_it_is_what_looking_at_every_place_finds(tokens: list[int]) -> None:
    longest: dict[int, int] = {}
    for end in range(len(tokens) - 1):
        length = 0
        while length <= end and tokens[end - length] == tokens[len(tokens) - 1 - length]:
            length += 1
        longest[tokens[end + 1]] = max(longest.get(tokens[end + 1], 0), length)
    expected = {token: -0.8 * 2.0 ** (length - 2) for token, length in longest.items() if length >= 2}
    assert penalties(tokens) == pytest.approx(expected)
