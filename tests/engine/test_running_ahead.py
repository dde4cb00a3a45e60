"""Steps that are begun before the one before them is finished: nobody's tokens, ends or blocks are others for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_engine, run, script, solitary, tokens_of

from portico_engine import Delta, Engine, FinishReason, Request, SamplingParams

VOCABULARY = 269


def ahead(**options: Any) -> FakeExecutor:
    return FakeExecutor(vocab_size=VOCABULARY, runs_ahead=True, **options)


def alone(request: Request) -> tuple[list[int], FinishReason | None]:
    """What it says by itself, on an executor that doesn't run ahead."""
    deltas = run(fake_engine(), [request])[request.id]
    return tokens_of(deltas), deltas[-1].finish_reason


def stopping(name: str, prompt: tuple[int, ...], after: int, **options: Any) -> Request:
    """A request that ends with a stop token, the one that it says in this place."""
    said = solitary(Request("x", prompt, max_tokens=after))
    return Request(name, prompt, sampling=SamplingParams(stop_token_ids=(said[-1],)), **options)


def test_every_step_but_the_first_is_begun_before_the_one_before_it_is_finished() -> None:
    executor = ahead()
    requests = [Request("a", (5, 6, 7), max_tokens=12), Request("b", (8, 9), max_tokens=9)]
    engine = fake_engine(executor)
    deltas = run(engine, requests)
    assert all(tokens_of(deltas[request.id]) == solitary(request) for request in requests)
    assert (executor.begun, executor.ahead) == (12, 11), "one that its length ends gets no token too many"
    assert (engine.stats()["steps"], engine.stats()["steps_ahead"]) == (12, 11)


def test_who_stops_lets_go_of_the_token_that_was_computed_behind_its_end() -> None:
    executor = ahead()
    engine = fake_engine(executor)
    request = stopping("a", (5, 6, 7), 6, max_tokens=100)
    said, reason = alone(request)
    deltas = run(engine, [request])["a"]
    assert (tokens_of(deltas), deltas[-1].finish_reason) == (said, FinishReason.STOP) == (said, reason)
    assert executor.begun == len(said) + 1
    assert engine.stats()["blocks_held"] == 0
    again = Request("b", (*request.prompt, *said), max_tokens=5)
    assert tokens_of(run(engine, [again])["b"]) == solitary(again), "what stands behind the end is nobody's prefix"


@pytest.mark.parametrize(
    "sampling",
    [
        {"repetition_penalty": 1.5},
        {"frequency_penalty": 0.5},
        {"presence_penalty": 0.5},
        {"dry_multiplier": 1.0},
        {"min_tokens": 100},
    ],
)
def test_whose_next_token_depends_on_the_last_one_is_followed_by_nobody(sampling: dict[str, Any]) -> None:
    executor = ahead()
    requests = [Request("a", (5, 6, 7), max_tokens=8, sampling=SamplingParams(**sampling)), Request("b", (8,), max_tokens=8)]
    run(fake_engine(executor), requests)
    assert executor.ahead == 0


def test_a_row_with_a_grammar_has_a_part_in_every_step_and_the_others_run_ahead_when_it_is_over() -> None:
    executor = ahead()
    engine = fake_engine(executor)
    free, bound = (
        Request("free", (5, 6), max_tokens=20),
        Request("bound", (7,), max_tokens=9, grammar=script("8|9 10|11 12|13")),
    )
    deltas = run(engine, [free, bound])
    assert tokens_of(deltas["free"]) == solitary(free)
    assert tokens_of(deltas["bound"]) == alone(bound)[0]
    assert sum(len(plan.rows) == 2 for plan in executor.steps) == 3
    assert executor.ahead == 20 - 3 - 1


def test_a_new_request_joins_the_step_behind_the_one_that_is_under_way() -> None:
    executor = ahead()
    engine = fake_engine(executor)
    first, second = Request("a", (5, 6), max_tokens=20), Request("b", tuple(range(10, 50)), max_tokens=4)
    engine.submit(first)
    deltas: list[Delta] = [delta for _ in range(4) for delta in engine.step()]
    engine.submit(second)
    deltas += engine.step()
    assert len(executor.steps[-1].rows) == 2
    rest = run(engine)
    assert tokens_of([*deltas, *rest["a"]]) == solitary(first)
    assert tokens_of(rest["b"]) == solitary(second)


def test_scores_are_asked_for_between_two_steps() -> None:
    engine, plain = fake_engine(ahead()), fake_engine()
    request = Request("a", (5, 6), max_tokens=12)
    engine.submit(request)
    deltas = engine.step() + engine.step()
    assert engine.score((5, 6, 7), [(8, 9), (10,)]) == plain.score((5, 6, 7), [(8, 9), (10,)])
    assert tokens_of([*deltas, *run(engine)["a"]]) == solitary(request)


def test_a_step_under_way_when_all_are_given_up_is_finished_and_a_failure_forgets_it() -> None:
    executor = ahead()
    engine = fake_engine(executor)
    engine.submit(Request("a", (5, 6), max_tokens=12))
    engine.step()
    engine.abort("a")
    assert engine.has_work
    assert [delta.finish_reason for delta in engine.step()] == [FinishReason.CANCELLED]
    assert (engine.has_work, executor.finished) == (False, 1)
    engine.submit(Request("b", (5, 6), max_tokens=12))
    engine.step()
    engine.fail_all("the executor is ill")
    assert [delta.finish_reason for delta in engine.step()] == [FinishReason.ERROR]
    later = Request("c", (5, 6), max_tokens=6)
    assert tokens_of(run(engine, [later])["c"]) == solitary(later)


@dataclass(frozen=True)
class Planned:
    """A request, when it comes, and when it is given up, paused or resumed."""

    request: Request
    arrives: int
    aborts: int | None
    pauses: int | None


@st.composite
def planned(draw: st.DrawFn, name: str) -> Planned:
    prompt = (*range(10, 10 + draw(st.integers(0, 40))), *draw(st.lists(st.integers(3, 6), min_size=1, max_size=30)))
    options: dict[str, Any] = {
        "max_tokens": draw(st.integers(1, 30)),
        "priority": draw(st.integers(0, 1)),
        "caller": draw(st.sampled_from(("x", "y"))),
    }
    match draw(st.sampled_from(("free", "free", "stops", "bound"))):
        case "stops":
            request = stopping(name, prompt, draw(st.integers(1, 20)), **options)
        case "bound":
            request = Request(name, prompt, grammar=script("8|9 10 11 12|13 14|15"), **{**options, "max_tokens": 9})
        case _:
            request = Request(name, prompt, **options)
    at = st.none() | st.integers(0, 30)
    return Planned(request, draw(st.integers(0, 10)), draw(at), draw(at))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whoever_comes_stops_pauses_or_is_preempted_says_what_it_says_alone(data: st.DataObject) -> None:
    plans = [data.draw(planned(str(i))) for i in range(data.draw(st.integers(1, 6)))]
    executor = ahead(
        blocks=data.draw(st.integers(17, 40)), rows=data.draw(st.integers(1, 4)), step_tokens=data.draw(st.integers(4, 70))
    )
    engine = fake_engine(executor)
    deltas: dict[str, list[Delta]] = {plan.request.id: [] for plan in plans}
    step = 0
    while step <= 60 or engine.has_work:
        _act(engine, plans, step)
        for delta in engine.step():
            deltas[delta.request_id].append(delta)
        engine._scheduler.check_integrity()
        step += 1
        assert step < 3000, "nothing may starve"
    for plan in plans:
        events, (said, reason) = deltas[plan.request.id], alone(plan.request)
        assert [delta.finish_reason for delta in events if delta.finish_reason] == [events[-1].finish_reason]
        if events[-1].finish_reason is FinishReason.CANCELLED:
            assert tokens_of(events) == said[: len(tokens_of(events))]
        else:
            assert (tokens_of(events), events[-1].finish_reason) == (said, reason)
    assert engine._kv.pool.available == executor.blocks


def _act(engine: Engine, plans: list[Planned], step: int) -> None:
    """What happens before this step."""
    for plan in plans:
        if plan.arrives == step:
            engine.submit(plan.request)
        if plan.pauses == step:
            engine.pause(plan.request.id)
        if step == 45:
            engine.resume(plan.request.id)
        if plan.aborts == step:
            engine.abort(plan.request.id)


def bound(i: int) -> Request:
    """A request whose grammar allows two tokens in each place."""
    words = " ".join(f"{20 + (i + at) % 50}|{100 + (i * at) % 50}" for at in range(3 + i % 7))
    return Request(f"bound {i}", (5, 6, i), max_tokens=40, grammar=script(words))


def test_rows_with_grammars_have_a_part_in_every_step_and_say_what_each_says_alone() -> None:
    executor = ahead(rows=64, step_tokens=512, blocks=256)
    requests = [bound(i) for i in range(64)]
    deltas = run(fake_engine(executor), requests)
    for request in requests:
        assert (tokens_of(deltas[request.id]), deltas[request.id][-1].finish_reason) == alone(request)
    assert executor.ahead == 0


def test_requests_with_grammars_that_are_given_up_leave_the_others_alone() -> None:
    executor = ahead(rows=64, step_tokens=512, blocks=256)
    engine = fake_engine(executor)
    requests = [bound(i) for i in range(64)]
    for request in requests:
        engine.submit(request)
    deltas: dict[str, list[Delta]] = {request.id: [] for request in requests}
    for step in range(3):
        for delta in engine.step():
            deltas[delta.request_id].append(delta)
        for request in requests[step::5]:
            engine.abort(request.id)
    for name, more in run(engine).items():
        deltas[name] += more
    for request in requests:
        *_, last = deltas[request.id]
        if last.finish_reason is not FinishReason.CANCELLED:
            assert (tokens_of(deltas[request.id]), last.finish_reason) == alone(request)
    assert engine.stats()["blocks_held"] == 0
