"""Requests with adapters through the whole engine, over an executor whose tokens are a hash of what each adapter sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import INFO, fake_adapter, fake_engine, run, solitary, tokens_of

from portico_engine import AdapterError, Delta, Engine, FinishReason, Request, UnknownAdapter

PROMPT = tuple(range(10, 60))  # three full blocks and two tokens
A, B = fake_adapter(Path("a")), fake_adapter(Path("b"))
OF = {None: None, "a": A, "b": B}


def engine_with(*names: str, kv_dir: Path | None = None, **options: object) -> Engine:
    executor = FakeExecutor(vocab_size=INFO.vocab_size, **({"n_adapters": 2} | options))  # type: ignore[arg-type]
    engine = fake_engine(executor, kv_dir=kv_dir)
    for name in names:
        engine.load_adapter(name, name)
    return engine


def cached(deltas: list[Delta]) -> int:
    usage = deltas[-1].usage
    assert usage is not None
    return usage.cached_tokens


def mixed(n: int, **options: int) -> list[Request]:
    order = (None, "a", "b", "a", None)
    return [Request(str(i), PROMPT[: 20 + 5 * i], adapter=order[i % 5], max_tokens=12, **options) for i in range(n)]


@pytest.mark.parametrize("options", [{}, {"mixed_adapters": False}, {"blocks": 17, "rows": 3, "step_tokens": 24}])
def test_requests_with_different_adapters_get_their_solitary_answers(options: dict[str, int]) -> None:
    engine = engine_with("a", "b", **options)
    requests = mixed(9)
    answers = run(engine, requests)
    for request in requests:
        assert tokens_of(answers[request.id]) == solitary(request, adapter=OF[request.adapter])


def test_one_step_holds_several_adapters_where_the_executor_can_mix_them() -> None:
    engine = engine_with("a", "b")
    run(engine, mixed(4))
    assert max(len({row.adapter for row in plan.rows}) for plan in engine._executor.steps) == 3  # type: ignore[attr-defined]


def test_without_mixing_nobody_starves() -> None:
    engine = engine_with("a", "b", mixed_adapters=False, rows=8)
    requests = [Request(name, PROMPT, adapter=name, max_tokens=100) for name in "ab"]
    for request in requests:
        engine.submit(request)
    got: dict[str, int] = {"a": 0, "b": 0}
    for _ in range(60):
        for delta in engine.step():
            got[delta.request_id] += len(delta.tokens)
    assert min(got.values()) > 20


def test_keys_and_values_of_an_adapter_are_found_under_it_alone() -> None:
    engine = engine_with("a", "b")
    for adapter in (None, "a", "b"):
        first, again = (run(engine, [Request("x", (*PROMPT, i), adapter=adapter, max_tokens=2)])["x"] for i in (3, 4))
        assert (cached(first), cached(again)) == (0, 50)
    other_salt = run(engine, [Request("x", (*PROMPT, 5), adapter="a", salt=b"tenant", max_tokens=2)])["x"]
    assert cached(other_salt) == 0


def test_the_same_adapter_under_another_name_finds_what_it_computed_and_another_under_the_same_name_does_not() -> None:
    engine = engine_with("a")
    run(engine, [Request("x", (*PROMPT, 3), adapter="a", max_tokens=2)])
    engine.unload_adapter("a")
    engine.load_adapter("renamed", "a")
    assert cached(run(engine, [Request("x", (*PROMPT, 4), adapter="renamed", max_tokens=2)])["x"]) == 50
    engine.load_adapter("a", "b")
    request = Request("x", (*PROMPT, 4), adapter="a", max_tokens=2)
    deltas = run(engine, [request])["x"]
    assert cached(deltas) == 0
    assert tokens_of(deltas) == solitary(request, adapter=B)


def test_the_disk_keeps_adapters_apart(tmp_path: Path) -> None:
    first = engine_with("a", kv_dir=tmp_path)
    run(first, [Request("x", (*PROMPT, 3), adapter="a", keep=50, max_tokens=2)])
    first.close()
    second = engine_with("a", "b", kv_dir=tmp_path)
    found = {}
    for name in ("b", "a"):
        request = Request("x", (*PROMPT, 4), adapter=name, max_tokens=2)
        deltas = run(second, [request])["x"]
        found[name] = cached(deltas)
        assert tokens_of(deltas) == solitary(request, adapter=OF[name])
    assert found == {"b": 0, "a": 48}
    second.close()


def test_who_runs_when_an_adapter_is_unloaded_ends_with_it_and_who_comes_is_refused() -> None:
    engine = engine_with("a", "b")
    running, waiting = (Request(name, PROMPT, adapter="a", max_tokens=30) for name in ("running", "waiting"))
    engine.submit(running)
    deltas = engine.step()
    engine.submit(waiting)
    engine.unload_adapter("a")
    with pytest.raises(UnknownAdapter, match="no adapter is called 'a'; loaded are b"):
        engine.submit(Request("late", PROMPT, adapter="a"))
    with pytest.raises(AdapterError, match="unloaded that requests still use"):
        engine.load_adapter("c", "c")
    while engine.has_work:
        deltas += engine.step()
    for request in (running, waiting):
        own = [delta for delta in deltas if delta.request_id == request.id]
        assert own[-1].finish_reason is FinishReason.LENGTH
        assert tokens_of(own) == solitary(request, adapter=A)
    assert [info.name for info in (engine.load_adapter("c", "c"), *engine.adapters())] == ["c", "b", "c"]


@pytest.mark.parametrize("how", ["abort", "fail_all", "close", "pause"])
def test_a_request_lets_go_of_its_adapter_however_it_ends(how: str) -> None:
    engine = engine_with("a")
    engine.submit(Request("x", PROMPT, adapter="a", max_tokens=30))
    engine.step()
    engine.unload_adapter("a")
    assert engine._executor.adapters  # type: ignore[attr-defined]
    if how == "abort":
        engine.abort("x")
    elif how == "fail_all":
        engine.fail_all("it broke")
    elif how == "pause":
        engine.pause("x")
        assert engine._executor.adapters, "it comes back with it"  # type: ignore[attr-defined]
        engine.abort("x")
    else:
        engine.close()
    assert not engine._executor.adapters  # type: ignore[attr-defined]


def test_an_engine_without_room_says_so() -> None:
    engine = fake_engine()
    with pytest.raises(AdapterError, match="loaded without room for adapters"):
        engine.load_adapter("a", "a")
    with pytest.raises(UnknownAdapter, match="none is loaded"):
        engine.submit(Request("x", PROMPT, adapter="a"))
    assert not engine.has_work
