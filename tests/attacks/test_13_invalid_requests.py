"""A request whose parameters or cursor are none is refused as invalid, in words that say what was wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_PARAMS, JSONRPCError, JSONRPCRequest

from portico_gateway.mcp.server import GatewayServer
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.server import PorticoServer
from portico_servers.common.transport import low_level, serve_both_eras

pytestmark = [pytest.mark.anyio, pytest.mark.attack("13 calls that were cut, odd messages of hosts")]
LISTS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
ERAS = ["legacy", "2026-07-28"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def connected(kind: str, era: str) -> AsyncIterator[Client]:
    if kind == "server":
        async with Client(PorticoServer[Any]("s"), mode=era, cache=None) as client:  # type: ignore[arg-type]
            yield client
        return
    async with Upstreams([]) as upstreams:
        server = GatewayServer(upstreams)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run)
            async with Client(server.server, mode=era, cache=None) as client:  # type: ignore[arg-type]
                yield client
            tasks.cancel_scope.cancel()


async def answers(*requests: tuple[str, dict[str, Any] | None]) -> list[mcp_types.ErrorData]:
    """What a server says to them, one after the other, all of them wrong."""
    server = low_level(PorticoServer[Any]("s"))
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage](0)
    outgoing, to_host = anyio.create_memory_object_stream[SessionMessage](0)
    said = []
    async with to_server, incoming, outgoing, to_host, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve_both_eras, server, incoming, outgoing, lifespan_state=None))
        for number, (method, params) in enumerate(requests):
            with anyio.fail_after(30):
                await to_server.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=params)))
                answer = (await to_host.receive()).message
            if method != "initialize":
                assert isinstance(answer, JSONRPCError), answer
                said.append(answer.error)
        tasks.cancel_scope.cancel()
    return said


INITIALIZE = (
    "initialize",
    {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}},
)


async def test_parameters_that_are_wrong_are_named() -> None:
    wrong: list[tuple[str, dict[str, Any] | None, str]] = [
        ("tools/call", None, "params"),
        ("tools/call", {"name": 5}, "name"),
        ("tools/call", {"name": "t", "arguments": []}, "arguments"),
        ("tools/list", {"cursor": 5}, "cursor"),
        ("prompts/get", {}, "name"),
        ("resources/read", {"uri": None}, "uri"),
        ("resources/read", {"url": "a:b"}, "uri"),
        ("completion/complete", {"ref": {"type": "ref/tool"}}, "ref"),
        ("logging/setLevel", {"level": "loud"}, "level"),
    ]
    said = await answers(INITIALIZE, *((method, params) for method, params, _ in wrong))
    for (method, _, named), error in zip(wrong, said, strict=True):
        assert (error.code, error.data) == (INVALID_PARAMS, None), method
        assert error.message.startswith(f"{method}: "), error
        assert named in error.message, error


async def test_what_comes_before_the_greeting_is_told_so() -> None:
    (error,) = await answers(("tools/list", None))
    assert error.code == INVALID_PARAMS
    assert "initialize" in error.message


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", ["server", "gateway"])
async def test_a_cursor_that_was_not_given_out_is_invalid(kind: str, era: str) -> None:
    async with connected(kind, era) as client:
        for method, of in zip(
            LISTS,
            (client.list_tools, client.list_prompts, client.list_resources, client.list_resource_templates),
            strict=True,
        ):
            assert await of() is not None
            with pytest.raises(MCPError, match=f"{method}: cursor 'page2' was not given out") as caught:
                await of(cursor="page2")
            assert caught.value.error.code == INVALID_PARAMS
