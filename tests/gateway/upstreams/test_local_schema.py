"""An input schema that a server keeps for the built-in model: it reaches the agent's tools, and no host."""

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
from portico_servers.db.databases.local_values import URI

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def upstreams(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upstreams]:
    """A database server whose owner opted one column in."""
    folder = tmp_path_factory.mktemp("db")
    config = folder / "db.toml"
    config.write_text('[connections.shop]\nlocal_values = ["customers.city"]\n')
    arguments = ("-m", "portico_servers.db", str(write_sqlite(folder, "shop")), "--config", str(config))
    spec = UpstreamSpec("db", command=sys.executable, args=arguments)
    async with Upstreams([spec], log_dir=folder / "logs") as connected:
        with anyio.fail_after(60):
            await connected.ready(60)
        yield connected


async def test_the_built_in_model_decodes_by_it(upstreams: Upstreams) -> None:
    rows = next(tool for tool in UpstreamToolHost(upstreams).tools() if tool.name == "db__rows")
    assert "Köln" in str(rows.parameters)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_no_host_sees_it(upstreams: Upstreams, mode: str) -> None:
    async with Client(GatewayServer(upstreams).server, mode=mode, cache=None) as host:
        with anyio.fail_after(60):
            tools = await host.list_tools()
            resources = await host.list_resources()
            assert "db__rows" in {tool.name for tool in tools.tools}
            told = tools.model_dump_json() + resources.model_dump_json()
            assert "Köln" not in told
            assert "local-input-schema" not in told
            with pytest.raises(MCPError):
                await host.read_resource(outward_uri("db", URI))
