"""Who asks is known: stored responses are their maker's, and nobody's requests push out another's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.attacks.http_server import BODIES, CHAT, RESPONSES, Running, bearer, running

from portico_gateway.assembly.serve import _use_keys
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.sections import KeyConfig
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.request import Turn
from portico_gateway.http.limits import CallerLimits
from portico_gateway.http.middleware.keys import key_hash
from portico_gateway.http.openai_responses import response_store
from portico_gateway.http.openai_responses.response_store import ResponseStore, StoredResponse

pytestmark = pytest.mark.attack("4 who asks is known everywhere")
KEYS = {"ada": ["chat"], "eve": ["chat", "mcp", "metrics"], "root": ["admin"]}


def stored_by(server: Running, name: str) -> str:
    answer = server.post(RESPONSES, json.dumps(BODIES[RESPONSES]).encode(), bearer(name))
    assert answer.status_code == 200
    return str(answer.json()["id"])


def test_anothers_response_is_as_one_that_is_not_there() -> None:
    with running(keys=KEYS) as server:
        mine = stored_by(server, "ada")
        where = f"{RESPONSES}/{mine}"
        for stranger in ("eve", "root"):
            assert server.client.get(where, headers=bearer(stranger)).status_code == 404
            assert server.client.delete(where, headers=bearer(stranger)).status_code == 404
            further = {**BODIES[RESPONSES], "previous_response_id": mine}
            refused = server.post(RESPONSES, json.dumps(further).encode(), bearer(stranger))
            missing = {**BODIES[RESPONSES], "previous_response_id": "resp_none"}
            unknown = server.post(RESPONSES, json.dumps(missing).encode(), bearer(stranger))
            assert refused.status_code == unknown.status_code == 400
            assert refused.json()["error"]["message"].replace(mine, "resp_none") == unknown.json()["error"]["message"]
        assert server.client.get(where, headers=bearer("ada")).json()["id"] == mine
        assert server.client.delete(where, headers=bearer("ada")).status_code == 200


def test_nobody_pushes_out_anothers_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "MAX_RESPONSES", 3)
    with running(keys=KEYS) as server:
        mine = stored_by(server, "ada")
        for _ in range(10):
            stored_by(server, "eve")
        assert server.client.get(f"{RESPONSES}/{mine}", headers=bearer("ada")).status_code == 200


def test_a_response_counts_with_all_that_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its metadata and tools, too, which are no turns; text that is not ASCII by the bytes that it takes."""
    monkeypatch.setattr(response_store, "MAX_BYTES", 10_000)
    store = ResponseStore()
    store.put("me", StoredResponse({"id": "a"}, []))
    store.put("me", StoredResponse({"id": "b", "metadata": {"x": "y" * 9_900}}, []))
    store.put("me", StoredResponse({"id": "c"}, [Turn("user", "\N{SNOWMAN}" * 3000)]))
    for name in "abc":
        with pytest.raises(ApiError):
            store.get("me", name)


def test_where_all_together_are_too_much_who_has_most_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_store, "MAX_BYTES_OF_ALL", 5_000)
    store = ResponseStore()
    store.put("small", StoredResponse({"id": "a"}, []))
    for number in range(100):
        store.put("large", StoredResponse({"id": str(number), "x": "y" * 500}, []))
        store.put(f"made-up {number}", StoredResponse({"id": "a"}, []))
    assert store.get("small", "a")
    assert sum(shelf.size for shelf in store._shelves.values()) <= 5_000


def test_only_a_key_for_admin_sees_and_decides_approvals() -> None:
    with running(keys=KEYS) as server:
        for name, status in (("ada", 403), ("eve", 403), ("root", 200)):
            assert server.client.get("/v1/approvals", headers=bearer(name)).status_code == status
        assert server.client.post("/v1/approvals/x", json={"decision": "approve"}, headers=bearer("eve")).status_code == 403


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_place_is_handed_over_in_turn_and_never_lost() -> None:
    limits = CallerLimits(running=1, waiting=2)
    order: list[str] = []

    async def ask(name: str, inside: asyncio.Event) -> None:
        async with limits.slot("me"):
            order.append(name)
            await inside.wait()

    gates = {name: asyncio.Event() for name in "abc"}
    tasks: dict[str, asyncio.Task[Any]] = {name: asyncio.create_task(ask(name, gate)) for name, gate in gates.items()}
    await asyncio.sleep(0)
    with pytest.raises(ApiError) as refused:
        await ask("d", gates["a"])
    assert refused.value.status == 429
    async with limits.slot("another"):
        order.append("another")
    tasks["b"].cancel()
    gates["a"].set()
    await asyncio.wait([tasks["a"], tasks["b"]])
    await asyncio.sleep(0)
    assert order == ["a", "another", "c"]
    tasks["c"].cancel()
    await asyncio.wait([tasks["c"]])
    assert limits._queues == {}


def test_the_metrics_of_a_server_with_keys_name_the_route() -> None:
    with running(keys=KEYS) as server:
        server.post(CHAT, b"{}", bearer("ada"))
        assert 'path="/v1/chat/completions",status="400"' in server.client.get("/metrics", headers=bearer("eve")).text


def test_a_revoked_key_opens_nothing_once_the_file_was_read_again() -> None:
    keys = {"ada": KeyConfig(sha256=key_hash("k-ada")), "eve": KeyConfig(sha256=key_hash("k-eve"))}
    with running(live_keys=keys) as server:
        assert server.client.get("/v1/models", headers=bearer("eve")).status_code == 200
        _use_keys(keys, PorticoConfig(keys={"ada": keys["ada"], "new": KeyConfig(sha256=key_hash("k-new"))}))
        for name, status in (("eve", 401), ("ada", 200), ("new", 200)):
            assert server.client.get("/v1/models", headers=bearer(name)).status_code == status
        _use_keys(keys, PorticoConfig())
        assert server.client.get("/v1/models", headers=bearer("ada")).status_code == 401
        assert server.client.get("/v1/models").status_code == 401
