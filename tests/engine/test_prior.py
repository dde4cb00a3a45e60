from __future__ import annotations

import numpy as np
import pytest

from portico_engine.prior import PhrasePrior, open_string

TOKENS = ['"', "code", "docs", "__search", "__read", '"}', "x", '{"name":"']


def prior(**phrases: float) -> PhrasePrior:
    return PhrasePrior(TOKENS, phrases)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("", None),
        ("{", None),
        ('{"na', "na"),
        ('{"name"', None),
        ('{"name":"', ""),
        (r'{"a":"b\"c', r"b\"c"),
        (r'{"a":"b\\"', None),
    ],
)
def test_the_open_string_is_what_follows_the_last_quote_that_opens_one(text: str, inside: str | None) -> None:
    assert open_string(text) == inside


def test_a_token_gets_the_best_weight_that_it_still_leads_to() -> None:
    bias = prior(code__search=0.0, code__read=-3.0, docs__search=-5.0).bias('{"name":"', np.array([1, 2]))
    assert bias is not None
    assert bias.tolist() == [0.0, -5.0]


def test_the_additions_along_a_phrase_sum_up_to_its_weight() -> None:
    p = prior(code__search=0.0, code__read=-3.0)
    first = p.bias('{"name":"', np.array([1]))
    second = p.bias('{"name":"code', np.array([3, 4]))
    assert first is not None
    assert second is not None
    assert first[0] + second[1] == -3.0
    assert second[0] > second[1]


def test_a_closing_quote_counts_only_where_the_phrase_is_whole() -> None:
    bias = prior(code=-2.0, code__search=0.0).bias('"code', np.array([5, 3]))
    assert bias is not None
    assert bias.tolist() == [-2.0, 0.0]


def test_tokens_that_touch_no_phrase_are_left_alone() -> None:
    bias = prior(code=-2.0).bias("{", np.array([6]))
    assert bias is not None
    assert bias.tolist() == [0.0]


def test_free_strings_prefer_copied_tokens_and_never_end_empty() -> None:
    vocabulary = [f"t{i}" for i in range(400)] + ['"']
    p = PhrasePrior(vocabulary, {}, frozenset({7}), copy_weight=3.0)
    allowed = np.arange(401)
    empty, begun = p.bias('"', allowed), p.bias('"some', allowed)
    assert empty is not None
    assert begun is not None
    assert empty[7] == 3.0
    assert empty[8] == 0.0
    assert empty[400] < -1e8
    assert begun[400] > 0
