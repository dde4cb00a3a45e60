"""A server that reads questions for the built-in model: the agent's tools are told, and no host can ask."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import anyio
import pytest
from benchmarks.data.db_samples import write_sqlite
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.upstreams.names import outward_uri
from portico_gateway.upstreams.upstreams import Upstreams

URI = "portico-db:///rows/question"
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def upstreams(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upstreams]:
    folder = tmp_path_factory.mktemp("db")
    spec = UpstreamSpec("db", command=sys.executable, args=("-m", "portico_servers.db", str(write_sqlite(folder, "shop"))))
    async with Upstreams([spec], log_dir=folder / "logs") as connected:
        with anyio.fail_after(60):
            await connected.ready(60)
        yield connected


async def test_the_agent_is_told_the_call_and_the_words_left_over(upstreams: Upstreams) -> None:
    host = UpstreamToolHost(upstreams)
    with anyio.fail_after(60):
        reading = await host.read_question("db__rows", "How many purple customers are from Germany?")
        assert reading is not None
        assert reading.arguments["ask"]["filters"] == [{"column": "country", "op": "=", "value": "Germany"}]
        assert reading.unused == ("purple",)
        assert await host.read_question("db__query", "How many customers?") is None


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_no_host_is_told_or_can_ask(upstreams: Upstreams, mode: str) -> None:
    async with Client(GatewayServer(upstreams).server, mode=mode, cache=None) as host:
        with anyio.fail_after(60):
            told = (await host.list_tools()).model_dump_json() + (await host.list_resources()).model_dump_json()
            assert "rows/question" not in told
            for uri in (URI, f"{URI}?question=How%20many%20customers%20are%20from%20Germany"):
                with pytest.raises(MCPError):
                    await host.read_resource(outward_uri("db", uri))
