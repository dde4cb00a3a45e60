"""How our servers meet a host: both eras on one pipe, Host and Origin over HTTP, and a port that somebody else has."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from mcp.server.mcpserver import MCPServer
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

from portico_servers.common.edges import HttpEdge
from portico_servers.common.host_messages import Refusal, read_host_messages
from portico_servers.common.transport import EXIT_PORT_IN_USE, bind, http_app, low_level, security, serve_both_eras

pytestmark = pytest.mark.anyio

ENVELOPE = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def example() -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("example")
    started = anyio.Event()

    @server.tool()
    async def hang() -> str:
        started.set()
        await anyio.sleep_forever()
        return ""

    @server.tool()
    async def wait_for_hang() -> str:
        await started.wait()
        return "it hangs"

    return server


class Pipe:
    """The host's end of a stream pair."""

    def __init__(self, send: Any, receive: Any) -> None:
        self._send, self._receive, self._ids = send, receive, 0

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._ids += 1
        await self.request(self._ids, method, **params)
        return await self.answer()

    async def request(self, number: int, method: str, **params: Any) -> None:
        self._ids = number
        await self._send.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=params)))

    async def write(self, line: str) -> None:
        """What the reader of stdio makes of a line."""
        for message in read_host_messages(line.encode()):
            await self._send.send(message if isinstance(message, Refusal) else SessionMessage(message))

    async def tell(self, method: str, **params: Any) -> None:
        await self._send.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method=method, params=params)))

    async def answer(self) -> dict[str, Any]:
        with anyio.fail_after(60):
            message = (await self._receive.receive()).message
        found: dict[str, Any] = message.model_dump(by_alias=True, exclude_unset=True)
        return found


@asynccontextmanager
async def served() -> AsyncIterator[Pipe]:
    to_server, read = anyio.create_memory_object_stream[Any](8)
    write, from_server = anyio.create_memory_object_stream[Any](8)
    low = low_level(example())
    async with low.lifespan(low) as state, anyio.create_task_group() as tasks, from_server, to_server:

        async def serve() -> None:
            async with read:
                await serve_both_eras(low, read, write, lifespan_state=state)

        tasks.start_soon(serve)
        yield Pipe(to_server, from_server)


async def test_a_host_may_discover_and_then_initialize() -> None:
    async with served() as pipe:
        assert (await pipe.ask("server/discover", _meta=ENVELOPE))["result"]["supportedVersions"] == ["2026-07-28"]
        initialized = (await pipe.ask("initialize", **INITIALIZE))["result"]
        assert initialized["protocolVersion"] == "2025-11-25"
        assert initialized["capabilities"]["tools"]["listChanged"] is True
        await pipe.tell("notifications/initialized")
        assert len((await pipe.ask("tools/list"))["result"]["tools"]) == 2
        assert (await pipe.ask("server/discover", _meta=ENVELOPE))["result"]["supportedVersions"] == ["2026-07-28"]


async def test_a_host_may_go_on_in_the_modern_era_and_even_mix() -> None:
    async with served() as pipe:
        await pipe.ask("server/discover", _meta=ENVELOPE)
        assert "result" in await pipe.ask("tools/list", _meta=ENVELOPE)
        assert "result" in await pipe.ask("initialize", **INITIALIZE)
        assert "result" in await pipe.ask("tools/list", _meta=ENVELOPE)


async def test_initialize_is_the_handshakes_even_in_an_envelope() -> None:
    async with served() as pipe:
        assert (await pipe.ask("initialize", **INITIALIZE, _meta=ENVELOPE))["result"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("meta", [{}, ENVELOPE])
async def test_a_cancellation_reaches_the_era_whose_request_it_names(meta: dict[str, Any]) -> None:
    async with served() as pipe:
        await pipe.ask("initialize", **INITIALIZE)
        await pipe.tell("notifications/initialized")
        await pipe.request(7, "tools/call", name="hang", arguments={}, _meta=meta)
        assert (await pipe.ask("tools/call", name="wait_for_hang", arguments={}, _meta=meta))["id"] == 8
        await pipe.tell("notifications/cancelled", requestId=7)
        # A cancelled request is not answered: the next answer is the next request's.
        assert (await pipe.ask("tools/list", _meta=meta))["id"] == 9


async def test_the_hosts_hanging_up_ends_the_service() -> None:
    with anyio.fail_after(60):
        async with served() as pipe:
            await pipe.ask("server/discover", _meta=ENVELOPE)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8931"}, 200),
        ({"Host": "portico.lan:8931"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1:80"}, 421),
        ({"Origin": "http://127.0.0.1:8931"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_host_and_origin_are_checked(headers: dict[str, str], status: int) -> None:
    app = http_app(low_level(example()), security("127.0.0.1", 8931, ["portico.lan"]))
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    accept = {"Accept": "application/json, text/event-stream"}
    transport = httpx2.ASGITransport(app=HttpEdge(app))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8931") as client,
    ):
        assert (await client.post("/mcp", json=body, headers={**accept, **headers})).status_code == status


def test_on_every_address_only_names_of_this_machine_are_answered() -> None:
    settings = security("0.0.0.0", 8630, ["gateway.lan:443"])
    assert settings.enable_dns_rebinding_protection
    assert {"127.0.0.1:8630", f"{socket.gethostname()}:8630", "gateway.lan:443"} <= set(settings.allowed_hosts)
    assert "0.0.0.0:8630" not in settings.allowed_hosts
    assert security("::1", 80).allowed_hosts[-2:] == ["[::1]:80", "[::1]"]


def test_a_port_in_use_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as caught:
            bind("127.0.0.1", port)
    assert caught.value.code == EXIT_PORT_IN_USE
    said = capsys.readouterr().err
    assert f"can't listen on 127.0.0.1:{port}: Address already in use; choose another port" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_accepted_connection_sends_at_once(host: str) -> None:
    """Without TCP_NODELAY every answer on a kept connection waits 40 ms for the client's delayed acknowledgement."""
    set_on: list[int] = []
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        set_on.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()
        accepted.set()

    with bind(host, 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP
        async with await asyncio.start_server(accept, sock=sock):
            _, writer = await asyncio.open_connection(host, sock.getsockname()[1])
            with anyio.fail_after(60):
                await accepted.wait()
            writer.close()
    assert set_on[0] != 0


async def test_a_line_that_is_no_message_is_answered_and_the_next_one_heard() -> None:
    async with served() as pipe:
        await pipe.write('{"jsonrpc":"2.0","id":4}')
        answer = await pipe.answer()
        assert (answer["id"], answer["error"]["code"]) == (4, -32600)
        await pipe.write('{"jsonrpc":')
        answer = await pipe.answer()
        assert (answer["id"], answer["error"]["code"]) == (None, -32700)
        await pipe.write("\n")  # an empty line is no message at all
        await pipe.write('{"jsonrpc":"2.0","id":"\\ud83d","method":"initialize","params":{}}')
        assert (await pipe.answer())["id"] == "\ufffd"
