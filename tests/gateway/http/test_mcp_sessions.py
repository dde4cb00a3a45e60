"""MCP over HTTP in the handshake eras: a call is answered as plain JSON, unless something has to be sent before its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.app import create_app
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common import mcp_sessions
from portico_servers.common.transport import security

pytestmark = pytest.mark.anyio
BOTH = "application/json, text/event-stream"
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


def message(method: str, params: dict[str, Any], identity: int | str | None = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params} | ({} if identity is None else {"id": identity})


def call(tool: str, identity: int | str = 7, *, progress: str | None = None, **arguments: Any) -> dict[str, Any]:
    meta = {} if progress is None else {"_meta": {"progressToken": progress}}
    return message("tools/call", {"name": f"one__{tool}", "arguments": arguments, **meta}, identity)


@asynccontextmanager
async def session(spec: UpstreamSpec) -> AsyncIterator[httpx2.AsyncClient]:
    """A client in a session of a gateway over this server, all of whose tools may be called."""
    upstreams = Upstreams([spec])
    calls = ToolCalls(upstreams, policy=Policy(PolicyConfig(others="allow", provenance=False)))
    app = create_app(
        upstreams, GatewayServer(upstreams, tool_calls=calls), None, security=security("127.0.0.1", 8630), tool_calls=calls
    )
    transport = httpx2.ASGITransport(app=app)
    client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8630", headers={"Accept": BOTH}, timeout=None)
    async with app.router.lifespan_context(app), client:
        answer = await client.post("/mcp", json=message("initialize", INITIALIZE))
        client.headers |= {"Mcp-Session-Id": answer.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
        await client.post("/mcp", json=message("notifications/initialized", {}, None))
        await upstreams.ready(60.0)
        yield client


def answered(answer: httpx2.Response) -> dict[str, Any]:
    """What a request was answered, in whichever form: on a busy machine the answer may not come soon."""
    plain: dict[str, Any] = answer.json() if answer.headers["content-type"] == "application/json" else events(answer)[-1]
    return plain


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    lines = answer.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def test_an_answer_that_comes_first_is_plain_json(sample: Callable[..., UpstreamSpec]) -> None:
    async with session(sample("one")) as client:
        answer = await client.post("/mcp", json=call("add", a=2, b=3))
        unknown = await client.post("/mcp", json=message("no/such", {}, "x"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["mcp-session-id"] == answer.request.headers["mcp-session-id"]
    assert (answer.json()["id"], answer.json()["result"]["structuredContent"]) == (7, {"result": 5})
    assert (unknown.json()["id"], unknown.json()["error"]["code"]) == ("x", -32601)


async def test_what_is_sent_before_an_answer_makes_it_a_stream(sample: Callable[..., UpstreamSpec]) -> None:
    async with session(sample("one")) as client:
        answer = await client.post("/mcp", json=call("count", progress="p", to=2))
    assert answer.headers["content-type"].startswith("text/event-stream")
    *before, last = events(answer)
    assert [each["params"]["progress"] for each in before] == [1, 2]
    assert last["id"] == 7
    assert "counted to 2" in last["result"]["content"][0]["text"]


async def test_an_answer_that_is_long_in_coming_is_a_stream(
    sample: Callable[..., UpstreamSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_sessions, "SOON", 0.0)
    async with session(sample("one")) as client:
        answer = await client.post("/mcp", json=call("add", a=2, b=3))
    assert answer.headers["content-type"].startswith("text/event-stream")
    (only,) = events(answer)
    assert only["result"]["structuredContent"] == {"result": 5}


async def test_calls_of_one_session_are_answered_each_with_its_own(sample: Callable[..., UpstreamSpec]) -> None:
    async with session(sample("one")) as client:
        asked = [client.post("/mcp", json=call("add", number, a=number, b=1)) for number in range(20)]
        answers = await asyncio.gather(*asked)
    said = [answered(each) for each in answers]
    assert [(each["id"], each["result"]["structuredContent"]["result"]) for each in said] == [
        (number, number + 1) for number in range(20)
    ]


async def test_a_session_that_ends_ends_its_calls(sample: Callable[..., UpstreamSpec], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    async with session(sample("one")) as client:
        asked = asyncio.create_task(client.post("/mcp", json=call("hang", marker=str(marker))))
        while not marker.with_suffix(".started").exists():  # noqa: ASYNC110 - another process makes it
            await anyio.sleep(0.01)
        ended = await client.delete("/mcp")
        answer = await asked
        after = await client.post("/mcp", json=call("add", a=1, b=1))
    assert ended.status_code == 200
    assert "result" not in answer.text
    assert after.status_code == 404


async def test_a_cancelled_call_is_answered_as_cancelled(sample: Callable[..., UpstreamSpec], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    async with session(sample("one")) as client:
        asked = asyncio.create_task(client.post("/mcp", json=call("hang", marker=str(marker))))
        while not marker.with_suffix(".started").exists():  # noqa: ASYNC110 - another process makes it
            await anyio.sleep(0.01)
        await client.post("/mcp", json=message("notifications/cancelled", {"requestId": 7}, None))
        answer = await asked
    assert '"code":-32800' in answer.text


async def test_what_can_t_be_answered_is_refused(sample: Callable[..., UpstreamSpec]) -> None:
    ping = '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    cases: list[tuple[dict[str, str], str, int]] = [
        ({"Accept": "application/json"}, ping, 406),
        ({}, "{", 400),
        ({}, '{"jsonrpc": "2.0", "id": [1], "method": "ping"}', 400),
        ({"Mcp-Session-Id": "none"}, ping, 404),
        ({"Mcp-Protocol-Version": "2025-99-99"}, ping, 400),
        ({}, ping, 200),
    ]
    async with session(sample("one")) as client:
        found = []
        for headers, body, _ in cases:
            answer = await client.post("/mcp", content=body, headers={"Content-Type": "application/json", **headers})
            found.append(answer.status_code)
    assert found == [status for _, _, status in cases]
