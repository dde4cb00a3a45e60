"""The engine over the fake executor and the host's memory below its device: answers depend on every key that is read."""

from __future__ import annotations

from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import INFO, fake_engine, run, solitary, tokens_of

from portico_engine import Request
from portico_engine.plan import Fetch, Load, Offload, Save

PREFIX = tuple(range(10, 60))  # three full blocks and two tokens


def device(**options: float) -> FakeExecutor:
    return FakeExecutor(vocab_size=INFO.vocab_size, **{"host_blocks": 40, "blocks": 17, "rows": 2, **options})  # type: ignore[arg-type]


def test_two_requests_that_do_not_fit_together_are_swapped_not_computed_anew() -> None:
    """The younger one is preempted; what it had computed comes back but for its unfilled tail."""
    executor = device()
    engine = fake_engine(executor)
    requests = [Request(str(i), tuple(range(70 + i, 170 + i)), max_tokens=80) for i in range(2)]
    deltas = run(engine, requests)
    assert all(tokens_of(deltas[r.id]) == solitary(r) for r in requests)
    stats = engine.stats()
    assert stats["preemptions"] > 0
    assert stats["kv_fetches"] > 0
    computed = sum(plan.n_tokens for plan in executor.steps)
    assert computed - sum(len(r.prompt) + r.max_tokens for r in requests) < 16 * stats["preemptions"] + 16


def test_where_the_link_is_slow_the_preempted_are_computed_anew() -> None:
    engine = fake_engine(device(swap_seconds=1e6))
    requests = [Request(str(i), tuple(range(70 + i, 170 + i)), max_tokens=80) for i in range(2)]
    deltas = run(engine, requests)
    assert all(tokens_of(deltas[r.id]) == solitary(r) for r in requests)
    assert engine.stats()["preemptions"] > 0
    assert engine.stats()["kv_fetches"] == 0


def test_a_prefix_arrives_while_others_go_on() -> None:
    """Its fetches are in a step of the one who runs; it has its own row in the next."""
    executor = device()
    engine = fake_engine(executor)
    run(engine, [Request("first", (*PREFIX, 5), max_tokens=1)])
    run(engine, [Request("crowd", tuple(range(3, 250)), max_tokens=1)])
    engine.submit(Request("runs", (7, 8, 9), max_tokens=20))
    engine.step()
    before = len(executor.steps)
    again = Request("again", (*PREFIX, 6), max_tokens=2)
    deltas = run(engine, [again])
    assert tokens_of(deltas["again"]) == solitary(again)
    first, second = executor.steps[before : before + 2]
    assert [len(plan.rows) for plan in (first, second)] == [1, 2]
    assert any(isinstance(op, Fetch) for op in first.kv_ops)


def test_who_is_alone_does_not_wait_a_step_for_its_prefix() -> None:
    executor = device()
    engine = fake_engine(executor)
    run(engine, [Request("first", (*PREFIX, 5), max_tokens=1)])
    run(engine, [Request("crowd", tuple(range(3, 250)), max_tokens=1)])
    before = len(executor.steps)
    run(engine, [Request("again", (*PREFIX, 6), max_tokens=1)])
    plan = executor.steps[before]
    assert any(isinstance(op, Fetch) for op in plan.kv_ops)
    assert len(plan.rows) == 1


def test_pinned_blocks_go_to_the_host_and_not_to_disk(tmp_path: object) -> None:
    executor = device()
    engine = fake_engine(executor, kv_dir=tmp_path)  # type: ignore[arg-type]
    waiting = Request("waiting", (*PREFIX, 5), max_tokens=3, pin=60)
    answer = tokens_of(run(engine, [waiting])["waiting"])
    run(engine, [Request("large", tuple(range(3, 240)), max_tokens=10)])
    ops = [op for plan in executor.steps for op in plan.kv_ops]
    assert any(isinstance(op, Offload) for op in ops)
    assert not any(isinstance(op, Save | Load) for op in ops)
    result = Request("result", (*waiting.prompt, *answer, 5, 6), max_tokens=3)
    usage = run(engine, [result])["result"][-1].usage
    assert usage is not None
    assert usage.cached_tokens == 48
    engine.close()


def test_a_step_that_fails_with_fetches_in_it_leaves_nothing_half_fetched() -> None:
    executor = device()
    engine = fake_engine(executor)
    run(engine, [Request("first", (*PREFIX, 5), max_tokens=1)])
    run(engine, [Request("crowd", tuple(range(3, 250)), max_tokens=1)])
    executor.fail_at = len(executor.steps) + 1
    run(engine, [Request("fails", (*PREFIX, 6), max_tokens=1)])
    engine._scheduler.check_integrity()
    again = Request("again", (*PREFIX, 7), max_tokens=2)
    assert tokens_of(run(engine, [again])["again"]) == solitary(again)
