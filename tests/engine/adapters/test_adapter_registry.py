from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_adapter

from portico_engine import AdapterError, EngineError, UnknownAdapter
from portico_engine.adapters.adapter_registry import AdapterRegistry


def registry(count: int = 2) -> tuple[AdapterRegistry, FakeExecutor]:
    executor = FakeExecutor(n_adapters=count)
    return AdapterRegistry(executor, count, fake_adapter), executor


def load(adapters: AdapterRegistry, name: str) -> None:
    adapters.load(name, adapters.read(Path(name)))


def test_loaded_adapters_are_found_and_told_in_order() -> None:
    adapters, executor = registry()
    load(adapters, "b")
    load(adapters, "a")
    assert [info.name for info in adapters.infos()] == ["b", "a"]
    assert adapters.acquire("a").place != adapters.acquire("b").place
    assert len(executor.adapters) == 2


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    adapters, _ = registry()
    with pytest.raises(UnknownAdapter, match="no adapter is called 'sql'; none is loaded"):
        adapters.acquire("sql")
    load(adapters, "a")
    with pytest.raises(UnknownAdapter, match="no adapter is called 'sql'; loaded are a") as caught:
        adapters.unload("sql")
    assert caught.value.known == ("a",)


def test_one_that_is_unloaded_keeps_its_place_until_its_last_user_has_ended() -> None:
    adapters, executor = registry(1)
    load(adapters, "a")
    first, second = adapters.acquire("a"), adapters.acquire("a")
    adapters.unload("a")
    with pytest.raises(UnknownAdapter):
        adapters.acquire("a")
    with pytest.raises(AdapterError, match=r"no room: adapters=1, taken by 1 unloaded that requests still use"):
        load(adapters, "b")
    adapters.release(first)
    assert executor.adapters
    adapters.release(second)
    assert not executor.adapters
    load(adapters, "a")
    adapters.check_integrity()


def test_a_name_that_is_taken_or_none_is_refused() -> None:
    adapters, executor = registry()
    load(adapters, "a")
    with pytest.raises(AdapterError, match="'a' is loaded already"):
        load(adapters, "a")
    for name in ("", "a:b", "../x", "-a", "a" * 65):
        with pytest.raises(AdapterError, match="can't be called"):
            load(adapters, name)
    assert len(executor.adapters) == 1


def test_a_place_that_could_not_be_filled_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    adapters, executor = registry(1)

    def full(place: int, adapter: object) -> None:
        raise MemoryError

    monkeypatch.setattr(executor, "load_adapter", full)
    with pytest.raises(EngineError, match="loading the adapter failed: memory ran out"):
        load(adapters, "a")
    monkeypatch.undo()
    load(adapters, "a")
    adapters.check_integrity()


def test_without_room_none_is_read() -> None:
    adapters, _ = registry(0)
    with pytest.raises(AdapterError, match="loaded without room for adapters; load it with adapters=1"):
        adapters.read(Path("a"))
