"""The scheduler over the fake executor, whose answers depend on every key that they read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_engine, run, solitary, tokens_of

from portico_engine import Delta, FinishReason, Request, SamplingParams

PROMPTS = st.builds(
    lambda shared, own: (*range(10, 10 + shared), *own),
    st.integers(0, 60),
    st.lists(st.integers(3, 6), min_size=1, max_size=40),
)
REQUESTS = st.lists(st.tuples(PROMPTS, st.integers(1, 40), st.integers(0, 2), st.integers(0, 12)), min_size=1, max_size=10)


@given(
    requests=REQUESTS,
    blocks=st.integers(17, 40),
    rows=st.integers(1, 4),
    step_tokens=st.integers(1, 70),
    aborts=st.sets(st.integers(0, 9)),
    light_tokens=st.sampled_from((2, 8, 512)),
    kept=st.sampled_from((0, 20)),
    runs_ahead=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_every_request_gets_its_solitary_answer_and_exactly_one_end(
    requests: list[tuple[tuple[int, ...], int, int, int]],
    blocks: int,
    rows: int,
    step_tokens: int,
    aborts: set[int],
    light_tokens: int,
    kept: int,
    runs_ahead: bool,
) -> None:
    """Whatever arrives when, however small the pool: batching, chunks, prefix reuse and preemption change nothing."""
    limits = {"blocks": blocks, "rows": rows, "step_tokens": max(step_tokens, rows), "light_tokens": light_tokens, "kept": kept}
    engine = fake_engine(FakeExecutor(vocab_size=269, runs_ahead=runs_ahead, **limits))
    todo = sorted(
        (
            (at, Request(str(i), prompt, max_tokens=new, priority=priority, caller=f"caller {i % 3}"))
            for i, (prompt, new, priority, at) in enumerate(requests)
        ),
        key=lambda item: item[0],
    )
    deltas: dict[str, list[Delta]] = {request.id: [] for _, request in todo}
    step = 0
    while todo or engine.has_work:
        while todo and todo[0][0] <= step:
            engine.submit(todo.pop(0)[1])
        if step in aborts:
            engine.abort(str(step))
        for delta in engine.step():
            deltas[delta.request_id].append(delta)
        engine._scheduler.check_integrity()
        step += 1
        assert step < 5000, "nothing may starve"
    for i, (prompt, new, priority, _) in enumerate(requests):
        events = deltas[str(i)]
        assert [d.finish_reason for d in events if d.finish_reason] == [events[-1].finish_reason]
        expected = solitary(Request("x", prompt, max_tokens=new, priority=priority))
        got = tokens_of(events)
        if events[-1].finish_reason is FinishReason.CANCELLED:
            assert got == expected[: len(got)]
        else:
            assert got == expected
    assert engine._kv.pool.available == blocks


@pytest.mark.parametrize(("alike", "length", "steps"), [(1, 20, [19, 1]), (48, 20, [20]), (48, 48, [48]), (48, 49, [48, 1])])
def test_with_a_seed_the_last_token_is_by_itself_where_its_bits_would_be_others(
    alike: int, length: int, steps: list[int]
) -> None:
    executor = FakeExecutor(vocab_size=269, blocks=40, rows=4, step_tokens=256, alike_tokens=alike)
    engine = fake_engine(executor)
    request = Request("a", tuple(range(3, 3 + length)), max_tokens=1, sampling=SamplingParams(temperature=0.7, seed=5))
    run(engine, [request])
    assert [plan.n_tokens for plan in executor.steps if plan.rows] == steps


def test_a_short_pool_preempts_the_youngest_of_the_lowest_priority() -> None:
    engine = fake_engine(blocks=17, step_tokens=256)
    requests = [
        Request(name, tuple(range(20 * i + 3, 20 * i + 83)), max_tokens=60, priority=p)
        for i, (name, p) in enumerate((("old", 0), ("young", 0), ("low", 1)))
    ]
    deltas = run(engine, requests)
    ends = [engine.stats()["preemptions"] > 0, *(deltas[r.id][-1].finish_reason is FinishReason.LENGTH for r in requests)]
    assert all(ends)
    assert all(tokens_of(deltas[r.id]) == solitary(r) for r in requests)


def test_a_decode_does_not_wait_behind_a_long_prefill() -> None:
    executor = FakeExecutor(step_tokens=32, vocab_size=269)
    engine = fake_engine(executor)
    engine.submit(Request("chat", (5, 6, 7), max_tokens=20))
    engine.step()
    engine.submit(Request("long", tuple(3 + i % 200 for i in range(200)), max_tokens=1))
    for _ in range(5):
        engine.step()
    batched = [plan for plan in executor.steps if len(plan.rows) == 2]
    assert batched
    assert all(len(plan.rows[0].tokens) == 1 and plan.rows[0].logits_indices == (0,) for plan in batched)
    assert all(plan.n_tokens == 32 for plan in batched), "what the decodes leave of the budget goes to the prefill"


def test_the_lower_priority_number_runs_first() -> None:
    engine = fake_engine(rows=1)
    for name, priority in (("b", 1), ("c", 2), ("a", 0)):
        engine.submit(Request(name, (3, 4), max_tokens=2, priority=priority))
    order = [d.request_id for _ in range(20) for d in engine.step() if d.finish_reason]
    assert order == ["a", "b", "c"]


def test_a_second_request_with_the_same_beginning_computes_only_what_is_new() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    prefix = tuple(range(10, 60))
    run(engine, [Request("first", (*prefix, 5), max_tokens=3)])
    done = len(executor.steps)
    deltas = run(engine, [Request("second", (*prefix, 6, 7), max_tokens=3)])
    assert executor.steps[done].rows[0].tokens == (6, 7)
    usage = deltas["second"][-1].usage
    assert usage is not None
    assert usage.cached_tokens == 50


def test_beside_an_answer_a_new_prompt_is_computed_in_small_pieces() -> None:
    """Whoever reads the answer as it comes would wait for a long step, the asker's own or not."""
    executor = FakeExecutor(vocab_size=269, blocks=64, rows=4, step_tokens=256, light_tokens=2)
    engine = fake_engine(executor)
    engine.submit(Request("answer", (5, 6), max_tokens=40))
    while not any(delta.tokens for delta in engine.step()):
        pass
    engine.submit(Request("prompt", tuple(range(10, 110)), max_tokens=2))
    alone = len(executor.steps)
    run(engine)
    assert all(plan.n_tokens <= 16 for plan in executor.steps[alone : alone + 6])
    executor.steps.clear()
    engine.submit(Request("alone", tuple(range(100, 200)), max_tokens=1))
    run(engine)
    assert executor.steps[0].n_tokens == 100


def test_a_plan_names_the_slots_of_those_who_run_and_have_no_row() -> None:
    executor = FakeExecutor(vocab_size=269, rows=4, light_tokens=2)
    engine = fake_engine(executor)
    for i in range(4):
        engine.submit(Request(str(i), tuple(range(10 + i, 40)), max_tokens=20, caller=f"caller {i // 3}"))
    skipping = 0
    while engine.has_work:
        running = {seq.slot for seq in engine._scheduler.sequences() if seq.slot is not None}
        engine.step()
        plan = executor.steps[-1]
        slots = {row.slot for row in plan.rows}
        assert not slots & set(plan.skipped_slots)
        assert running <= slots | set(plan.skipped_slots)
        skipping += bool(plan.skipped_slots)
    assert skipping > 0
