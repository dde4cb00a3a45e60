"""One caller can't starve another: rows, blocks and tokens of a step go round by caller, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_engine, run, script, solitary, tokens_of

from portico_engine import Delta, Engine, FinishReason, Request
from portico_engine.fairness.fair_queue import PATIENCE, fair_shares
from portico_engine.sequence import Sequence

attack = pytest.mark.attack("6 one caller can't starve another (scheduler)")


def prompt(i: int, length: int) -> tuple[int, ...]:
    return tuple(3 + (i * 7919 + k * 31) % 260 for k in range(length))


def steps_until(engine: Engine, request_id: str, *, at_most: int) -> int:
    """Steps until a request has ended."""
    for step in range(1, at_most + 1):
        if any(delta.request_id == request_id and delta.finish_reason for delta in engine.step()):
            return step
    raise AssertionError(f"{request_id} has not ended after {at_most} steps")


def alone(request: Request, **limits: int) -> int:
    engine = fake_engine(**limits)
    engine.submit(request)
    return steps_until(engine, request.id, at_most=100)


@attack
@pytest.mark.parametrize("length", [20, 200])
@pytest.mark.parametrize("queued", [0, 1000])
def test_fifty_streams_and_a_thousand_waiting_leave_room_for_another(queued: int, length: int) -> None:
    """Rows, blocks and prefills: the other's short chat takes at most three times the steps that it takes alone."""
    limits = {"rows": 16, "blocks": 200, "step_tokens": 64}
    engine = fake_engine(FakeExecutor(vocab_size=269, **limits))
    for i in range(50 + queued):
        engine.submit(Request(f"a{i}", prompt(i, length), max_tokens=50, caller="attacker"))
    for _ in range(30):
        engine.step()
    for i in range(5):
        hi = Request(f"b{i}", prompt(5000 + i, 6), max_tokens=8, caller="other")
        engine.submit(hi)
        assert steps_until(engine, hi.id, at_most=200) <= 3 * alone(hi, **limits)
        engine._scheduler.check_integrity()


@attack
def test_two_callers_get_the_same_whatever_they_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """One has ten times as much waiting, in longer requests."""
    executor = FakeExecutor(vocab_size=269, rows=4, blocks=100, step_tokens=32)
    engine = fake_engine(executor)
    for i in range(200):
        engine.submit(Request(f"greedy{i}", prompt(i, 60), max_tokens=40, caller="greedy"))
    for i in range(60):
        engine.submit(Request(f"modest{i}", prompt(900 + i, 30), max_tokens=10, caller="modest"))
    computed: Counter[str] = Counter()
    charge = engine._scheduler._queue.charge

    def counting(seq: Sequence, n_tokens: int) -> None:
        computed[seq.request.caller] += n_tokens
        charge(seq, n_tokens)

    monkeypatch.setattr(engine._scheduler._queue, "charge", counting)
    for _ in range(150):
        engine.step()
    assert 0.7 < computed["modest"] / computed["greedy"] < 1.4
    assert engine.stats()["preemptions"] < 10


@attack
def test_a_high_priority_takes_the_row_of_a_low_one() -> None:
    """It doesn't wait for an answer of a thousand tokens to end; that one goes on afterwards, with the same answer."""
    engine = fake_engine(rows=1)
    low = Request("low", (5, 6), max_tokens=60, priority=1)
    high = Request("high", (7,), max_tokens=5, priority=0)
    engine.submit(low)
    deltas: dict[str, list[Delta]] = {}
    for step in range(100):
        if step == 5:
            engine.submit(high)
        for delta in engine.step():
            deltas.setdefault(delta.request_id, []).append(delta)
        if step == 11:
            assert deltas["high"][-1].finish_reason is FinishReason.LENGTH
    assert tokens_of(deltas["low"]) == solitary(low)
    assert tokens_of(deltas["high"]) == solitary(high)


@attack
def test_a_high_priority_takes_the_blocks_of_a_low_one() -> None:
    """Where rows are free, but no memory is."""
    engine = fake_engine(rows=4, blocks=17)
    engine.submit(Request("low", prompt(1, 150), max_tokens=100, priority=1))
    for _ in range(40):
        engine.step()
    high = Request("high", prompt(2, 150), max_tokens=5)
    engine.submit(high)
    assert steps_until(engine, "high", at_most=20) <= 10
    assert engine.stats()["preemptions"] >= 1


@attack
@pytest.mark.parametrize("callers", [1, 3])
def test_a_low_priority_under_a_flood_of_high_ones_ends(callers: int) -> None:
    """Two of the high priority are always there: the low one is promoted, and is let alone in the end."""
    engine = fake_engine(rows=1, step_tokens=16)
    low = Request("low", (5, 6, 7), max_tokens=20, priority=9, caller="low")
    engine.submit(low)
    live, n = 0, 0
    ends: list[str] = []
    for _ in range(PATIENCE + 200):
        while live < 2:
            engine.submit(Request(f"high{n}", prompt(n, 5), max_tokens=5, caller=f"high{n % callers}"))
            live, n = live + 1, n + 1
        for delta in engine.step():
            if delta.finish_reason:
                ends.append(delta.request_id)
                live -= delta.request_id != "low"
        if "low" in ends:
            break
    assert "low" in ends
    assert len(ends) > 50, "the others ran meanwhile"


@attack
def test_a_backlog_is_no_claim() -> None:
    """Who has long had a thousand waiting goes before nobody for that."""
    engine = fake_engine(rows=1)
    for i in range(400):
        engine.submit(Request(f"a{i}", (5, 6), max_tokens=5, caller="a"))
    for _ in range(PATIENCE + 300):
        engine.step()
    hi = Request("b", (7,), max_tokens=2, caller="b")
    engine.submit(hi)
    assert steps_until(engine, "b", at_most=30) <= 8


@attack
def test_coming_anew_gives_no_credit_and_costs_none() -> None:
    """Who was away saves up nothing; who was alone owes nothing."""
    engine = fake_engine(rows=1)
    run(engine, [Request(f"a{i}", (5, 6), max_tokens=40, caller="a") for i in range(5)])
    for i in range(6):
        engine.submit(Request(f"a{i}", (5, 6), max_tokens=5, caller="a"))
        engine.submit(Request(f"b{i}", (5, 7), max_tokens=5, caller="b"))
    order = [d.request_id[0] for _ in range(80) for d in engine.step() if d.finish_reason]
    assert len(order) == 12
    assert all(abs(order[:n].count("a") - order[:n].count("b")) <= 1 for n in range(1, 13))
    assert not engine._scheduler._queue._served


REQUESTS = st.lists(
    st.tuples(st.integers(1, 90), st.integers(1, 40), st.integers(0, 2), st.integers(0, 20), st.sampled_from("abc")),
    min_size=1,
    max_size=14,
)


@attack
@given(requests=REQUESTS, blocks=st.integers(17, 40), rows=st.integers(1, 4), step_tokens=st.integers(1, 70))
@settings(max_examples=150, deadline=None)
def test_whoever_asks_gets_the_solitary_answer(
    requests: list[tuple[int, int, int, int, str]], blocks: int, rows: int, step_tokens: int
) -> None:
    """Callers, priorities, preemption of all kinds: nothing changes an answer, and nothing starves."""
    engine = fake_engine(FakeExecutor(blocks=blocks, rows=rows, step_tokens=max(step_tokens, rows), vocab_size=269))
    todo = [
        (at, Request(str(i), prompt(i % 5, length), max_tokens=new, priority=priority, caller=caller))
        for i, (length, new, priority, at, caller) in enumerate(requests)
    ]
    asked = [request for _, request in todo]
    todo.sort(key=lambda item: item[0])
    deltas: dict[str, list[Delta]] = {request.id: [] for request in asked}
    step = 0
    while todo or engine.has_work:
        while todo and todo[0][0] <= step:
            engine.submit(todo.pop(0)[1])
        for delta in engine.step():
            deltas[delta.request_id].append(delta)
        engine._scheduler.check_integrity()
        step += 1
        assert step < 5000, "nothing may starve"
    assert all(tokens_of(deltas[request.id]) == solitary(request) for request in asked)


@given(st.integers(0, 500), st.dictionaries(st.text(max_size=3), st.integers(1, 200), min_size=1, max_size=8))
def test_shares_are_as_even_as_the_demands_allow(budget: int, demands: dict[str, int]) -> None:
    shares = fair_shares(budget, demands)
    assert shares.keys() == demands.keys()
    assert all(1 <= shares[caller] <= demand for caller, demand in demands.items())
    if budget >= len(demands):
        assert sum(shares.values()) <= budget
        assert sum(shares.values()) == min(budget, sum(demands.values()))
        most = max(shares.values())
        assert all(shares[caller] == demand or shares[caller] >= most - 1 for caller, demand in demands.items())


def tokens_of_rows(executor: FakeExecutor, engine: Engine, request: Request) -> list[int]:
    """Tokens of each step that a request takes, its own among them, from the second on: the first admits it."""
    begun = len(executor.steps)
    engine.submit(request)
    steps_until(engine, request.id, at_most=200)
    return [plan.n_tokens for plan in executor.steps[begun + 1 :]]


@attack
@pytest.mark.parametrize("length", [6, 200])
def test_a_shared_step_stays_light_whatever_one_caller_asks_for(length: int) -> None:
    """On a CPU each row makes the step longer: decodes and prefills of fifteen rows would, for a caller with one."""
    executor = FakeExecutor(vocab_size=269, rows=16, blocks=400, step_tokens=256, light_tokens=8)
    engine = fake_engine(executor)
    for i in range(40):
        engine.submit(Request(f"a{i}", prompt(i, length), max_tokens=40, caller="attacker"))
    for _ in range(5):
        engine.step()
    for i in range(4):
        assert max(tokens_of_rows(executor, engine, Request(f"b{i}", prompt(500 + i, 6), max_tokens=20, caller="other"))) <= 8
        engine._scheduler.check_integrity()
    busy = len(executor.steps)
    engine.step()
    assert executor.steps[busy].n_tokens >= 15, "alone it has the whole step"


@attack
def test_rows_that_are_held_back_take_turns() -> None:
    executor = FakeExecutor(vocab_size=269, rows=16, blocks=400, step_tokens=256, light_tokens=8)
    engine = fake_engine(executor)
    for i in range(15):
        engine.submit(Request(f"a{i}", prompt(i, 6), max_tokens=200, caller="attacker"))
    engine.step()
    engine.submit(Request("b", prompt(500, 6), max_tokens=60, caller="other"))
    got: Counter[str] = Counter()
    for _ in range(41):
        got.update(delta.request_id for delta in engine.step())
    greedy = [got[f"a{i}"] for i in range(15)]
    assert max(greedy) - min(greedy) <= 1
    assert got["b"] >= 40


@attack
def test_callers_who_ask_for_about_the_same_are_not_held_back() -> None:
    executor = FakeExecutor(vocab_size=269, rows=16, blocks=400, step_tokens=256, light_tokens=8)
    engine = fake_engine(executor)
    for i in range(15):
        engine.submit(Request(f"r{i}", prompt(i, 6), max_tokens=30, caller="one" if i < 10 else "two"))
    run(engine)
    assert len(executor.steps) <= 40  # thirty, and some in which the second caller has only begun


@attack
def test_who_comes_again_does_not_wait_for_a_long_step() -> None:
    """A step that runs can't be stopped: after another caller was there, steps are brief for a while, and then long again."""
    executor = FakeExecutor(vocab_size=269, rows=16, blocks=400, step_tokens=256, light_tokens=8)
    engine = fake_engine(executor)

    def flood(begin: int, steps: int) -> int:
        for i in range(begin, begin + 20):
            engine.submit(Request(f"a{i}", prompt(i, 200), max_tokens=2, caller="attacker"))
        before = len(executor.steps)
        for _ in range(steps):
            engine.step()
        return max(plan.n_tokens for plan in executor.steps[before:])

    assert flood(0, 3) == 256
    engine.submit(Request("b", prompt(500, 6), max_tokens=2, caller="other"))
    steps_until(engine, "b", at_most=20)
    assert flood(100, 20) == 64
    run(engine)
    for i in range(5):
        run(engine, [Request(f"quiet{i}", prompt(700 + i, 6), max_tokens=110, caller="attacker")])
    assert flood(200, 3) == 256


@attack
def test_forced_runs_of_many_rows_do_not_hold_up_anothers_prompt() -> None:
    """They go before prefills; held back themselves, they must not keep what they don't use."""
    executor = FakeExecutor(vocab_size=269, rows=16, blocks=400, step_tokens=256, light_tokens=6)
    engine = fake_engine(executor)
    forced = " ".join(str(5 + i) for i in range(30))
    grammar = script(" ".join(f"7|8 {forced}" for _ in range(6)))
    for i in range(15):
        engine.submit(Request(f"a{i}", prompt(i, 6), max_tokens=200, grammar=grammar, caller="attacker"))
    for _ in range(4):
        engine.step()
    hi = Request("b", prompt(500, 60), max_tokens=5, caller="other")
    engine.submit(hi)
    assert steps_until(engine, "b", at_most=20) <= 3 * 5


@attack
@pytest.mark.parametrize("light_tokens", [1, 2, 3])
def test_more_callers_than_tokens_of_a_light_step_come_to_an_end(light_tokens: int) -> None:
    """Each gets one row in any case: where all shares were less than that, nobody would run."""
    engine = fake_engine(FakeExecutor(vocab_size=269, rows=3, blocks=17, step_tokens=3, light_tokens=light_tokens))
    for i in range(5):
        engine.submit(Request(str(i), (3,) * (1 + 2 * (i == 4)), max_tokens=1, caller=f"caller {i % 3}"))
    for _ in range(50):
        engine.step()
    assert not engine.has_work
