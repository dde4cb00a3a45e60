"""Which server gets a request: by its prompt's beginning, load and health."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from tests.gateway.model.remote.scripted_server import ScriptedServer

from portico_gateway.model.remote import pool as pool_module
from portico_gateway.model.remote.errors import ModelServerFault, ServerUnreachable
from portico_gateway.model.remote.pool import ServerPool
from portico_gateway.model.remote.server import ModelServer

pytestmark = pytest.mark.anyio
KEYS = [f"prompt {n}" for n in range(300)]


def pool(count: int) -> ServerPool:
    return ServerPool(
        [
            ModelServer(f"http://s{n}/v1", httpx2.AsyncClient(base_url=f"http://s{n}/v1/", transport=ScriptedServer()), 1.0)
            for n in range(count)
        ]
    )


def test_a_server_that_goes_moves_only_its_own_prompts() -> None:
    servers = pool(4)
    before = {key: servers.order(key)[0].url for key in KEYS}
    gone = servers.servers[2]
    servers.failed(gone, ServerUnreachable(gone.url, "is down"))
    after = {key: servers.order(key)[0].url for key in KEYS}
    assert {key for key in KEYS if before[key] != after[key]} == {key for key in KEYS if before[key] == gone.url}
    shares = [sum(url == server.url for url in before.values()) for server in servers.servers]
    assert min(shares) > len(KEYS) / 8, "each gets about a quarter"


def test_a_server_with_much_more_to_do_is_passed_over_for_the_moment() -> None:
    servers = pool(3)
    first, second, _ = servers.order("prompt")
    first.in_flight = 9
    assert servers.order("prompt")[0] is second
    assert servers.order("prompt")[-1] is first
    second.in_flight = 9
    servers.order("prompt")[0].in_flight = 9
    assert servers.order("prompt")[0] is first, "all have as much"


def test_a_fault_of_one_request_costs_the_server_nothing() -> None:
    servers = pool(1)
    (server,) = servers.servers
    servers.failed(server, ModelServerFault(server.url, "answered with 500"))
    assert servers.order("prompt") == [server]
    assert server.failures == 1


async def test_a_server_that_is_well_and_answers_is_not_disturbed_by_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(pool_module, "LOOKS_AT_WELL", 1)
    servers = pool(3)
    busy, idle, failed = servers.servers
    busy.in_flight = failed.in_flight = 1
    servers.failed(failed, ServerUnreachable(failed.url, "is down"))
    watch = asyncio.create_task(servers.watch())
    while not idle.model or failed.problem is not None:  # noqa: ASYNC110 - what is looked for is a look
        await asyncio.sleep(0)
    assert not busy.model, "it was asked while it answered"
    busy.in_flight = 0
    while not busy.model:  # noqa: ASYNC110
        await asyncio.sleep(0)
    watch.cancel()


async def test_a_server_that_was_down_is_found_well_again() -> None:
    servers = pool(2)
    one, two = servers.servers
    servers.failed(one, ServerUnreachable(one.url, "is down"))
    servers.failed(two, ServerUnreachable(two.url, "is down"))
    assert sorted(server.url for server in await servers.servers_for("prompt")) == [one.url, two.url]
    assert (one.model, one.context_length, one.form) == ("big-model", 4096, "grammar")
    for server in servers.servers:
        await server.client.aclose()
