"""Stored responses are bounded by number and size, and the oldest go first."""

from __future__ import annotations

import pytest

from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.request import ToolCall, Turn
from portico_gateway.http.openai_responses import response_store
from portico_gateway.http.openai_responses.response_store import ResponseStore, StoredResponse


def stored(store: ResponseStore, name: str) -> bool:
    try:
        return bool(store.get("me", name))
    except ApiError:
        return False


def test_the_oldest_go_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "MAX_RESPONSES", 2)
    store = ResponseStore()
    for name in "abc":
        store.put("me", StoredResponse({"id": name}, [Turn("user", "Hi")]))
    assert [stored(store, name) for name in "abc"] == [False, True, True]


def test_the_oldest_go_where_they_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "MAX_BYTES", 500)
    store = ResponseStore()
    store.put("me", StoredResponse({"id": "a"}, [Turn("user", "x" * 30)]))
    store.put("me", StoredResponse({"id": "b"}, [Turn("assistant", "", tool_calls=(ToolCall("c", "name", "{}" * 3),))]))
    assert stored(store, "a")
    store.put("me", StoredResponse({"id": "c"}, [Turn("user", "y")]))
    assert [stored(store, name) for name in "abc"] == [False, True, True]


def test_a_deleted_one_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "MAX_BYTES", 500)
    store = ResponseStore()
    store.put("me", StoredResponse({"id": "a"}, [Turn("user", "x" * 250)]))
    store.delete("me", "a")
    store.put("me", StoredResponse({"id": "b"}, [Turn("user", "x" * 250)]))
    assert stored(store, "b")
    with pytest.raises(ApiError) as missing:
        store.get("me", "a", param="previous_response_id")
    assert (missing.value.status, missing.value.param) == (400, "previous_response_id")
