"""A database that changes under a running gateway: its tools name other tables then, and are there as before."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import mcp_types
import pytest

from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
from portico_gateway.config.server_spec import own_spec
from portico_gateway.upstreams.definitions import FirstDefinitions
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio


def tool(description: str) -> mcp_types.Tool:
    return mcp_types.Tool(name="rows", description=description, input_schema={"type": "object"})


@pytest.mark.parametrize("own", [True, False])
def test_tools_of_our_own_servers_may_change_and_no_others(own: bool) -> None:
    known = FirstDefinitions()
    known.begin("db", None, own=own)
    first = known.standings("db", [tool("plots")])["rows"]
    later = known.standings("db", [tool("plots, plants")])["rows"]
    assert first.digest != later.digest
    assert (first.changed, later.changed) == (False, not own)


async def test_a_database_that_changes_is_asked_as_before(tmp_path: Path) -> None:
    path = tmp_path / "garden.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE plots (id INTEGER PRIMARY KEY, soil TEXT); INSERT INTO plots VALUES (1, 'clay')")
    async with Upstreams([own_spec("db", [str(path)])], log_dir=tmp_path / "logs") as upstreams:
        with anyio.fail_after(120):
            await upstreams.ready(60)
            host = UpstreamToolHost(upstreams)
            before = host.tools()
            heard = anyio.Event()
            upstreams.catalog.subscribe(lambda kinds: heard.set() if "tools" in kinds else None)
            connection.executescript(
                "CREATE TABLE plants (id INTEGER PRIMARY KEY, species TEXT); INSERT INTO plants VALUES (1, 'kale')"
            )
            await heard.wait()
            assert [tool.name for tool in host.tools()] == [tool.name for tool in before]
            reading = await host.read_question("db__rows", "How many plants are kale?")
            assert reading is not None
            assert reading.arguments["ask"]["table"] == "plants"
    connection.close()
