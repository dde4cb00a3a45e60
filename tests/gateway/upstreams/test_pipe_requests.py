"""Requests over a server's pipes, and what the SDK's client would have done with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import mcp_types
import pytest
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types.version import LATEST_MODERN_VERSION

from portico_gateway.upstreams.client import _EVERYTHING
from portico_gateway.upstreams.server_requests import ServerRequests
from portico_gateway.upstreams.wire.messages import read_messages
from portico_gateway.upstreams.wire.pipe_requests import FIRST_ID, PipeRequests

pytestmark = pytest.mark.anyio
CALL = {"name": "t", "arguments": {"a": "\ud83d", "b": float("nan")}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """The other end: what was written to it, and a way to say something."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.writes = 0
        self.requests: PipeRequests

    async def hear(self, lines: bytes) -> None:
        await anyio.lowlevel.checkpoint_if_cancelled()  # as a process's input does
        assert lines.endswith(b"\n")
        self.writes += 1
        self.heard += map(json.loads, lines.splitlines())

    def say(self, **message: Any) -> bool:
        (read,) = read_messages(json.dumps({"jsonrpc": "2.0", **message}).encode())
        if mine := self.requests.is_answer(read):
            self.requests.take(read)
        return mine


@asynccontextmanager
async def connected() -> AsyncIterator[Server]:
    server = Server()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            server.requests = PipeRequests(server.hear, tasks)
            yield server
            tasks.cancel_scope.cancel()


async def test_an_answer_finds_its_request_whatever_order_and_type_its_id_has() -> None:
    async with connected() as server, anyio.create_task_group() as tasks:
        found: list[Any] = []

        async def ask(number: int) -> None:
            found.append((number, await server.requests.request("tools/call", {**CALL, "n": number})))

        for number in range(3):
            tasks.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
        assert [each["id"] for each in server.heard] == [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2]
        assert server.heard[0]["params"] == {"name": "t", "arguments": {"a": "�", "b": None}, "n": 0}
        assert not server.say(id=1, result={}), "the SDK's own request"
        assert not server.say(method="notifications/message", params={"level": "info", "data": FIRST_ID})
        assert server.say(id=str(FIRST_ID + 2), result={"c": 2})
        assert server.say(id=FIRST_ID, result={"a": 0})
        assert server.say(id=FIRST_ID, result={"a": "twice"})
        assert server.say(id=float(FIRST_ID + 1), result={"b": 1})
    assert sorted(found) == [(0, {"a": 0}), (1, {"b": 1}), (2, {"c": 2})]


async def test_an_error_is_the_servers_own_and_a_connections_end_is_told_as_one() -> None:
    async with connected() as server:

        async def code_of(answer: Any) -> int:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_then, answer)
                try:
                    await server.requests.request("tools/call", CALL)
                except MCPError as error:
                    return error.code
            raise AssertionError("it was answered")

        async def _then(answer: Any) -> None:
            await anyio.wait_all_tasks_blocked()
            answer()

        assert await code_of(lambda: server.say(id=FIRST_ID, error={"code": -5, "message": "no"})) == -5
        moved = await code_of(lambda: server.say(id=FIRST_ID + 1, error={"code": mcp_types.CONNECTION_CLOSED, "message": "no"}))
        assert moved != mcp_types.CONNECTION_CLOSED, "a server's own error is no end of the connection"
        assert await code_of(server.requests.close) == mcp_types.CONNECTION_CLOSED
        with pytest.raises(MCPError) as late:
            await server.requests.request("tools/call", CALL)
        assert late.value.code == mcp_types.CONNECTION_CLOSED


async def test_the_server_is_told_of_a_request_that_nobody_waits_for_and_its_late_answer_is_dropped() -> None:
    async with connected() as server:
        with anyio.move_on_after(0.01):
            await server.requests.request("tools/call", CALL)
        asked, cancelled = server.heard
        assert (cancelled["method"], cancelled["params"]["requestId"]) == ("notifications/cancelled", asked["id"])
        assert "id" not in cancelled
        assert server.say(id=asked["id"], result={})
        assert server.say(method="notifications/progress", params={"progressToken": asked["id"], "progress": 1})


async def test_requests_that_are_made_together_are_one_write_and_one_that_is_given_up_before_is_none() -> None:
    async with connected() as server, anyio.create_task_group() as tasks:
        given_up = anyio.CancelScope()

        async def ask(number: int) -> None:
            await server.requests.request("tools/call", {"n": number})

        async def ask_in_vain() -> None:
            with given_up:
                await server.requests.request("tools/call", {"n": "given up"})

        async def give_up() -> None:
            given_up.cancel()

        tasks.start_soon(ask, 0)
        await anyio.wait_all_tasks_blocked()
        for number in (1, 2):
            tasks.start_soon(ask, number)
        tasks.start_soon(ask_in_vain)
        tasks.start_soon(give_up)
        await anyio.wait_all_tasks_blocked()
        heard = [each["params"].get("n", each["method"]) for each in server.heard]
        assert heard in ([0, 1, 2], [0, 1, 2, "given up", "notifications/cancelled"])
        assert server.writes <= 3
        for each in server.heard:
            assert server.say(id=each.get("id", FIRST_ID), result={})


async def test_who_is_given_up_takes_no_other_requests_along() -> None:
    async with connected() as server, anyio.create_task_group() as tasks:
        given_up = anyio.CancelScope()

        async def ask(number: int, scope: anyio.CancelScope) -> None:
            with scope:
                await server.requests.request("tools/call", {"n": number})

        async def give_up() -> None:
            given_up.cancel()

        tasks.start_soon(ask, 0, anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, 1, given_up)
        tasks.start_soon(give_up)
        tasks.start_soon(ask, 2, anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        assert 2 in [each["params"].get("n") for each in server.heard]
        for each in server.heard:
            assert server.say(id=each.get("id", FIRST_ID), result={})


async def test_a_pipe_that_takes_nothing_more_is_told_to_all_who_wrote_together() -> None:
    told: list[str] = []

    async def broken(_: bytes) -> None:
        raise anyio.BrokenResourceError

    async with connected() as server:
        server.requests = PipeRequests(broken, server.requests._tasks)

        async def ask() -> None:
            try:
                await server.requests.request("tools/call", {})
            except anyio.BrokenResourceError:
                told.append("broken")

        async with anyio.create_task_group() as asking:
            for _ in range(4):
                asking.start_soon(ask)
    assert told == ["broken"] * 4


async def test_progress_comes_in_order_and_a_callback_that_fails_costs_itself() -> None:
    told: list[Any] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))
        raise RuntimeError("the host is gone")

    async with connected() as server, anyio.create_task_group() as tasks:

        async def ask() -> None:
            told.append(await server.requests.request("tools/call", {"_meta": {"x": 1}}, progress))

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert server.heard[0]["params"]["_meta"] == {"x": 1, "progressToken": FIRST_ID}
        for said in ({"progress": 1, "total": 2, "message": "half"}, {"progress": "?"}, {"progress": 2, "total": "?"}):
            assert server.say(method="notifications/progress", params={"progressToken": FIRST_ID, **said})
        server.say(id=FIRST_ID, result={"done": True})
    assert told == [(1.0, 2.0, "half"), (2.0, None, None), {"done": True}]


async def test_an_answer_waits_for_the_progress_before_it_though_that_takes_turns_to_tell() -> None:
    told: list[Any] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        for _ in range(20 - int(done)):  # the later ones take fewer
            await anyio.lowlevel.checkpoint()
        told.append(done)

    async with connected() as server, anyio.create_task_group() as tasks:

        async def ask() -> None:
            told.append(await server.requests.request("tools/call", {}, progress))

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        for step in range(1, 6):
            assert server.say(method="notifications/progress", params={"progressToken": FIRST_ID, "progress": step})
        server.say(id=FIRST_ID, result={"done": True})
    assert told == [1, 2, 3, 4, 5, {"done": True}]


async def test_a_call_for_nobody_declares_what_the_sdks_client_does() -> None:
    requests = ServerRequests("s")
    send, receive = anyio.create_memory_object_stream[Any](1)
    async with send, receive:
        session = ClientSession(
            receive,
            send,
            elicitation_callback=requests.elicitation,
            sampling_callback=requests.sampling,
            sampling_capabilities=mcp_types.SamplingCapability(tools=mcp_types.SamplingToolsCapability()),
            list_roots_callback=requests.roots,
        )
        assert session._build_capabilities(LATEST_MODERN_VERSION) == _EVERYTHING
