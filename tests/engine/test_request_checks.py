from __future__ import annotations

import pytest
from tests.engine.fakes import fake_engine, script

from portico_engine import ContextOverflow, Request, RequestError, SamplingParams


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers() -> None:
    engine = fake_engine(context_length=20)
    with pytest.raises(ContextOverflow, match=r"25 tokens.*holds 20") as caught:
        engine.submit(Request("a", tuple(range(3, 28))))
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (25, 20)
    assert not engine.has_work


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("a", ()), "prompt is empty"),
        (Request("a", (5,), max_tokens=0), "max_tokens is 0"),
        (Request("a", (999,)), "token 999"),
        (Request("a", (5,), stop=("x", "")), "empty string"),
        (Request("a", (5,), SamplingParams(temperature=-1)), "temperature is -1"),
        (Request("a", (5,), SamplingParams(top_p=-0.5)), "top_p is -0.5"),
        (Request("a", (5,), SamplingParams(min_p=1.5)), "min_p is 1.5"),
        (Request("a", (5,), SamplingParams(top_k=-1)), "top_k is -1"),
        (Request("a", (5,), SamplingParams(logprobs=50)), "logprobs is 50"),
        (Request("a", (5,), SamplingParams(seed=1 << 64)), "seed is 18446744073709551616"),
        (Request("a", (5,), SamplingParams(temperature=float("nan"))), "temperature is nan"),
        (Request("a", (5,), SamplingParams(logit_bias=((5000, 1.0),))), "logit_bias names the token 5000"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_the_name_of_its_field(request_: Request, message: str) -> None:
    engine = fake_engine()
    with pytest.raises(RequestError, match=message):
        engine.submit(request_)
    assert not engine.has_work


def test_a_budget_below_the_grammars_shortest_text_is_refused_with_both_numbers() -> None:
    engine = fake_engine()
    with pytest.raises(RequestError, match=r"may have 3 tokens.*needs 6,"):
        engine.submit(Request("a", (5,), max_tokens=3, grammar=script("7|8 9 10|11 12|13 14")))
    assert not engine.has_work
