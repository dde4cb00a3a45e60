"""A server of ours over HTTP: which answers are plain JSON, and the streams between a request and its session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventMessage
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from starlette.requests import Request

from portico_servers.common.edges import HttpEdge
from portico_servers.common.mcp_sessions import SoonestTransport, _FirstMessage, _Incoming
from portico_servers.common.transport import http_app, low_level, security

pytestmark = pytest.mark.anyio
BOTH = "application/json, text/event-stream"
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def said(text: str) -> SessionMessage:
    return SessionMessage(JSONRPCNotification(jsonrpc="2.0", method=text))


def event(identity: int) -> EventMessage:
    return EventMessage(JSONRPCResponse(jsonrpc="2.0", id=identity, result={}))


def call(tool: str) -> dict[str, Any]:
    params = {"name": tool, "arguments": {}, "_meta": {"progressToken": 1}}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


@asynccontextmanager
async def session() -> AsyncIterator[httpx2.AsyncClient]:
    server: MCPServer[Any] = MCPServer("example")

    @server.tool()
    async def answer() -> str:
        return "half a pair: \ud83d"

    @server.tool()
    async def tell(ctx: Context[Any, Any]) -> str:
        await ctx.report_progress(1)
        return "told"

    app = http_app(low_level(server), security("127.0.0.1", 8630))
    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=HttpEdge(app)), base_url="http://127.0.0.1:8630", headers={"Accept": BOTH}
    )
    async with app.router.lifespan_context(app), client:
        begun = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE})
        client.headers["Mcp-Session-Id"] = begun.headers["mcp-session-id"]
        await client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield client


async def test_an_answer_is_plain_json_and_what_comes_before_it_makes_it_a_stream() -> None:
    async with session() as client:
        plain = await client.post("/mcp", json=call("answer"))
        stream = await client.post("/mcp", json=call("tell"))
    assert plain.headers["content-type"] == "application/json"
    assert plain.json()["result"]["content"][0]["text"] == "half a pair: \ufffd"
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.text.index("notifications/progress") < stream.text.index("told")


async def test_an_id_may_be_used_again_as_soon_as_its_answer_is_there() -> None:
    transport = SoonestTransport("one")
    answer = event(7)
    told = EventMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={}))
    request = JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call")
    again = (_FirstMessage(), _FirstMessage())

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            transport._request_streams["7"] = again  # type: ignore[assignment]

    async def receive() -> Any:
        await anyio.sleep_forever()

    async def session() -> None:
        async with transport.connect() as (read, write):
            async for _ in read:
                metadata = ServerMessageMetadata(related_request_id=7)
                await write.send(SessionMessage(told.message, metadata))
                await write.send(SessionMessage(answer.message))

    running = asyncio.create_task(session())
    await anyio.lowlevel.checkpoint()
    asked = Request({"type": "http", "method": "POST", "headers": []}, receive)
    await transport._answer(request, asked, send)
    assert transport._request_streams["7"] is again
    running.cancel()
    await asyncio.wait([running])


async def test_messages_to_a_session_are_taken_in_order_and_their_senders_wait_for_a_busy_one() -> None:
    incoming = _Incoming()
    senders = [asyncio.create_task(incoming.send(said(str(number)))) for number in range(3)]
    await anyio.lowlevel.checkpoint()
    assert not any(sender.done() for sender in senders), "nobody reads yet"
    senders[1].cancel()
    await asyncio.wait([senders[1]])
    taken = [await anext(incoming), await anext(incoming)]
    assert taken == [said("0"), said("2")]
    await asyncio.gather(senders[0], senders[2])
    waiting = asyncio.create_task(incoming.receive())
    await anyio.lowlevel.checkpoint()
    await incoming.send(said("3"))
    assert await waiting == said("3")


async def test_a_session_that_ends_tells_who_reads_and_who_sends() -> None:
    incoming = _Incoming()
    sender = asyncio.create_task(incoming.send(said("unread")))
    await anyio.lowlevel.checkpoint()
    incoming.close()
    with pytest.raises(anyio.BrokenResourceError):
        await sender
    with pytest.raises(anyio.ClosedResourceError):
        await incoming.send(said("later"))
    assert [each async for each in incoming] == []
    other = _Incoming()
    reader = asyncio.create_task(other.receive())
    await anyio.lowlevel.checkpoint()
    other.close()
    with pytest.raises(anyio.EndOfStream):
        await reader


async def test_the_first_message_is_waited_for_and_what_comes_behind_it_is_kept() -> None:
    first = _FirstMessage()
    for number in range(3):
        first.send_nowait(event(number))
    assert await first.wait(5.0) == event(0)
    assert first.later == [event(1), event(2)]
    late = _FirstMessage()
    assert await late.wait(0.0) is None
    late.send_nowait(event(3))
    assert late.later == [event(3)]
    ended = _FirstMessage()
    ended.close()
    with pytest.raises(anyio.EndOfStream):
        await ended.wait(5.0)
