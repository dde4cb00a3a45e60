"""How an answer's end is asked for: min_tokens, ignore_eos, stop_token_ids, and DRY, alone and under a grammar."""

from __future__ import annotations

import pytest
from tests.engine.tiny_model import Q, write_tiny_llama

from portico_engine import Engine, FinishReason, Request, RequestError, SamplingParams, load_engine
from portico_engine.grammar import compile_gbnf

EOS = 2


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path = write_tiny_llama(tmp_path_factory.mktemp("model") / "tiny.gguf", quantization=Q.F32)
    return load_engine(path, executor="torch-cpu", context=128)


def answer(
    engine: Engine, grammar: str | None = None, max_tokens: int = 12, **sampling: object
) -> tuple[list[int], FinishReason]:
    params = SamplingParams(**{"temperature": 0, **sampling})  # type: ignore[arg-type]
    request = Request("a", (5, 6, 7), params, max_tokens, grammar=compile_gbnf(grammar) if grammar else None)
    deltas = list(engine.generate(request))
    assert deltas[-1].finish_reason is not None
    return [token for delta in deltas for token in delta.tokens], deltas[-1].finish_reason


EAGER = ((EOS, 100.0),)  # the end token is by far the likeliest


def test_an_answer_doesn_t_end_before_its_least_length(engine: Engine) -> None:
    assert answer(engine, logit_bias=EAGER) == ([EOS], FinishReason.STOP)
    tokens, reason = answer(engine, logit_bias=EAGER, min_tokens=5)
    assert (len(tokens), tokens[-1], reason) == (6, EOS, FinishReason.STOP)
    assert EOS not in tokens[:-1]


def test_end_tokens_that_are_ignored_are_tokens_like_others(engine: Engine) -> None:
    tokens, reason = answer(engine, logit_bias=EAGER, ignore_eos=True)
    assert (tokens, reason) == ([EOS] * 12, FinishReason.LENGTH)


def test_a_stop_token_ends_the_answer_and_is_no_text(engine: Engine) -> None:
    first, _ = answer(engine)
    stop = first[4]
    tokens, reason = answer(engine, stop_token_ids=(stop,))
    assert (tokens, reason) == (first[: first.index(stop) + 1], FinishReason.STOP)
    longer, _ = answer(engine, stop_token_ids=(stop,), min_tokens=8)
    assert stop not in longer[:8]


def test_under_a_grammar_the_end_is_held_back_where_something_else_is_left(engine: Engine) -> None:
    wide, short = "root ::= [a-c]*", 'root ::= "ab"'
    tokens, reason = answer(engine, wide, logit_bias=EAGER, min_tokens=4)
    assert (len(tokens), reason) == (5, FinishReason.STOP)
    tokens, reason = answer(engine, short, logit_bias=EAGER, min_tokens=9)  # the grammar leaves nothing but its end
    assert reason is FinishReason.STOP


def test_dry_breaks_a_circle_that_greedy_decoding_is_caught_in(engine: Engine) -> None:
    likely = tuple((token, 60.0) for token in (20, 21))
    circle, _ = answer(engine, logit_bias=likely, max_tokens=40)
    broken, _ = answer(engine, logit_bias=likely, max_tokens=40, dry_multiplier=4.0, dry_sequence_breakers=())
    assert set(circle) <= {20, 21}
    assert not set(broken) <= {20, 21}


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ({"min_tokens": -1}, "min_tokens is -1; it must be 0"),
        ({"stop_token_ids": (99999,)}, "stop_token_ids names the token 99999"),
        ({"dry_base": 0.5}, "dry_base"),
        ({"xtc_probability": 1.5}, "xtc_probability is 1.5; it must be from 0 to 1"),
        ({"xtc_threshold": float("nan")}, "xtc_threshold"),
    ],
)
def test_values_that_make_no_sense_are_named(engine: Engine, sampling: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        answer(engine, **sampling)
