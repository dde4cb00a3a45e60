from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import EOS, fake_engine, run, solitary, tiny_tokenizer, tokens_of

from portico_engine import ContextOverflow, FinishReason, Request, RequestError, SamplingParams
from portico_engine.grammar.compiled import CompiledGrammar


def script(text: str) -> CompiledGrammar:
    return CompiledGrammar(text=text)


def test_a_request_ends_with_length_and_says_what_it_cost() -> None:
    request = Request("a", (5, 6, 7), max_tokens=4)
    deltas = run(fake_engine(), [request])["a"]
    assert tokens_of(deltas) == solitary(request)
    last = deltas[-1]
    assert last.finish_reason is FinishReason.LENGTH
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.sampled_steps, last.usage.forced_tokens) == (
        3,
        4,
        4,
        0,
    )
    assert last.usage.time_to_first_token > 0
    assert all(d.usage is None for d in deltas[:-1])


def test_the_answer_is_cut_where_the_context_ends() -> None:
    engine = fake_engine(context_length=20)
    deltas = run(engine, [Request("a", tuple(range(3, 18)), max_tokens=100)])["a"]
    assert len(tokens_of(deltas)) == 5
    assert deltas[-1].finish_reason is FinishReason.LENGTH


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
        (Request("a", (5,), SamplingParams(top_p=0)), "top_p is 0"),
        (Request("a", (5,), SamplingParams(min_p=1.5)), "min_p is 1.5"),
        (Request("a", (5,), SamplingParams(top_k=-1)), "top_k is -1"),
        (Request("a", (5,), SamplingParams(logprobs=50)), "logprobs is 50"),
        (Request("a", (5,), SamplingParams(seed=-1)), "seed is -1"),
        (Request("a", (5,), SamplingParams(temperature=float("nan"))), "temperature is nan"),
        (Request("a", (5,), SamplingParams(logit_bias=((5000, 1.0),))), "logit_bias names the token 5000"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_the_name_of_its_field(request_: Request, message: str) -> None:
    engine = fake_engine()
    with pytest.raises(RequestError, match=message):
        engine.submit(request_)
    assert not engine.has_work


def test_an_id_in_flight_is_refused_and_the_first_request_goes_on() -> None:
    engine = fake_engine()
    engine.submit(Request("a", (5,), max_tokens=2))
    with pytest.raises(RequestError, match="in flight"):
        engine.submit(Request("a", (6,)))
    assert tokens_of(run(engine)["a"]) == solitary(Request("a", (5,), max_tokens=2))
    engine.submit(Request("a", (6,), max_tokens=1))  # and is free again afterwards


def test_an_aborted_request_ends_with_cancelled_once_and_frees_its_blocks() -> None:
    engine = fake_engine()
    engine.submit(Request("a", tuple(range(3, 60)), max_tokens=50))
    engine.step()
    engine.abort("a")
    engine.abort("a")
    events = engine.step()
    assert [d.finish_reason for d in events] == [FinishReason.CANCELLED]
    assert not engine.has_work
    assert engine.stats()["blocks_available"] == 32
    engine.abort("a")
    assert engine.step() == []


def test_closing_the_iterator_aborts_the_request() -> None:
    engine = fake_engine()
    stream = engine.generate(Request("a", (5,), max_tokens=50))
    next(stream)
    stream.close()
    assert engine.stats()["running"] == 0


def test_forced_tokens_are_one_run_of_the_next_step_and_are_not_sampled() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    deltas = run(engine, [Request("a", (5, 6), grammar=script("10 11 12|13 14 15 16 17|18"))])["a"]
    tokens = tokens_of(deltas)
    assert tokens[:2] == [10, 11]
    assert tokens[2] in (12, 13)
    assert tokens[3:6] == [14, 15, 16]
    assert tokens[6] in (17, 18)
    assert [plan.n_tokens for plan in executor.steps] == [4, 4], "the prompt with its run, then the sampled token with its run"
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.forced_tokens, usage.sampled_steps, usage.completion_tokens) == (5, 2, 7)
    assert deltas[-1].finish_reason is FinishReason.STOP


def test_a_grammar_with_no_choice_ends_without_a_step() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    deltas = run(engine, [Request("a", (5,), grammar=script("10 11"))])["a"]
    assert tokens_of(deltas) == [10, 11]
    assert deltas[-1].finish_reason is FinishReason.STOP
    assert not executor.steps


def test_forced_tokens_survive_preemption() -> None:
    """Two constrained answers that don't fit the pool together: the one that was preempted says the same as alone."""
    grammar = script("20 " + " ".join(["30|31 40 41 42 43 44 45 46"] * 16))
    prompts = {"a": tuple(range(3, 70)), "b": tuple(range(70, 137))}
    alone = {
        name: tokens_of(run(fake_engine(), [Request(name, prompt, max_tokens=200, grammar=grammar)])[name])
        for name, prompt in prompts.items()
    }
    engine = fake_engine(blocks=17)
    together = run(engine, [Request(name, prompt, max_tokens=200, grammar=grammar) for name, prompt in prompts.items()])
    assert engine.stats()["preemptions"] > 0
    assert {name: tokens_of(deltas) for name, deltas in together.items()} == alone


def test_stop_strings_are_found_inside_forced_runs() -> None:
    tokenizer = tiny_tokenizer()
    text = tokenizer.encode("helloworld")
    grammar = script("5|6 " + " ".join(str(t) for t in text))
    deltas = run(fake_engine(), [Request("a", (7,), grammar=grammar, stop=("owo",))])["a"]
    assert "".join(d.text for d in deltas)[1:] == "hell"
    assert deltas[-1].finish_reason is FinishReason.STOP


def test_the_mask_is_told_how_many_tokens_are_left() -> None:
    engine = fake_engine()
    run(engine, [Request("a", (5, 6), max_tokens=10, grammar=script("7|8 9 10|11 12|13"))])
    (matcher,) = engine.grammars.made  # type: ignore[attr-defined]
    assert matcher.remaining == [10, 8, 7]


def test_a_budget_below_the_grammars_shortest_text_is_refused_with_both_numbers() -> None:
    engine = fake_engine()
    with pytest.raises(RequestError, match=r"may have 3 tokens.*needs 6,"):
        engine.submit(Request("a", (5,), max_tokens=3, grammar=script("7|8 9 10|11 12|13 14")))
    assert not engine.has_work


def test_a_prior_is_asked_where_the_grammar_leaves_a_choice_with_all_text_so_far() -> None:
    asked: list[tuple[str, list[int]]] = []

    class Asked:
        def over(self, token_texts: Sequence[str]) -> Asked:
            assert token_texts == tiny_tokenizer().token_texts
            return self

        def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            asked.append((text, allowed.tolist()))
            return np.arange(len(allowed), dtype=np.float32)

    hello = tiny_tokenizer().encode("hello")[0]
    request = Request("a", (5, 6), grammar=script(f"{hello} 7|8 9 10|11|12"), prior=Asked(), stop=("hellogram",))
    tokens = tokens_of(run(fake_engine(), [request])["a"])
    assert tokens == [hello, 8, 9, 12]
    assert [allowed for _, allowed in asked] == [[7, 8], [10, 11, 12]]
    assert asked[0][0] == "hello", "though a stop string may still take it back"


def test_an_end_token_stops_an_answer_and_has_no_text() -> None:
    engine = fake_engine()
    deltas = run(engine, [Request("a", (5, 6), SamplingParams(temperature=0), max_tokens=9, grammar=script(f"7|8 9|{EOS}"))])[
        "a"
    ]
    assert deltas[-1].finish_reason is FinishReason.STOP
    assert "im_end" not in "".join(d.text for d in deltas)


def test_a_failed_step_leaves_every_request_to_fail_and_the_engine_usable() -> None:
    executor = FakeExecutor(vocab_size=269, fail_at=2)
    engine = fake_engine(executor)
    for name in ("a", "b"):
        engine.submit(Request(name, (5, 6), max_tokens=9))
    engine.step()
    with pytest.raises(RuntimeError):
        engine.step()
    engine.fail_all("the executor failed")
    events = engine.step()
    assert {(d.request_id, d.finish_reason, d.error) for d in events} == {
        (name, FinishReason.ERROR, "the executor failed") for name in ("a", "b")
    }
    again = Request("c", (5, 6), max_tokens=3)
    assert tokens_of(run(engine, [again])["c"]) == solitary(again)


def test_scores_share_the_prompt_and_leave_it_cached() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    prompt = tuple(range(3, 53))
    scores = engine.score(prompt, [[7, 8, 9], [], [10], [11, 12]])
    assert [len(s) for s in scores] == [3, 0, 1, 2]
    assert sum(len(row.tokens) for plan in executor.steps for row in plan.rows) == 49 + 3 + 1 + 2
    assert engine.score(prompt, [[10]]) == [scores[2]]
    deltas = run(engine, [Request("a", (*prompt, 5), max_tokens=2)])["a"]
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.cached_tokens == 49
    engine._scheduler.check_integrity()


def test_scoring_takes_room_from_running_requests_which_then_finish_unchanged() -> None:
    engine = fake_engine(blocks=17)
    request = Request("a", tuple(range(3, 150)), max_tokens=40)
    engine.submit(request)
    events = [*engine.step(), *engine.step(), *engine.step()]
    engine.score(tuple(range(40, 160)), [[t, t + 1] for t in range(3, 13)])
    events += run(engine)["a"]
    assert tokens_of(events) == solitary(request)
    engine._scheduler.check_integrity()


@pytest.mark.parametrize(
    ("prompt", "continuation", "message"), [((), [5], "empty"), ((5,), [999], "token 999"), ((5,) * 250, [6] * 9, "259")]
)
def test_a_score_that_makes_no_sense_is_refused(prompt: tuple[int, ...], continuation: list[int], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        fake_engine().score(prompt, [continuation])


def test_closing_cancels_and_closes_the_executor() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    engine.submit(Request("a", (5,)))
    engine.close()
    assert executor.closed
    assert [d.finish_reason for d in engine.step()] == [FinishReason.CANCELLED]
