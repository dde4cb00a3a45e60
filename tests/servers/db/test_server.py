"""portico-db as a host meets it: over real stdio, in both eras."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult

from portico_servers.db.server import build_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def host(*targets: object, era: str = "auto") -> AsyncIterator[Client]:
    """A client connected to a server process over these databases."""
    arguments = ["-m", "portico_servers.db", *map(str, targets)]
    parameters = StdioServerParameters(command=sys.executable, args=arguments)
    with anyio.fail_after(30):
        async with Client(stdio_client(parameters), mode=era) as client:
            yield client


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_every_tool_answers_with_structured_rows_in_both_eras(samples: dict[str, Path], era: str) -> None:
    async with host(samples["shop"], era=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["rows", "tables", "describe", "query", "explain"]
        assert all(
            tool.annotations and tool.annotations.read_only_hint and tool.output_schema and tool.title
            for tool in tools.values()
        )
        asked = await client.call_tool("rows", {"ask": {"table": "orders", "aggregate": "count"}})
        assert asked.structured_content is not None
        assert asked.structured_content["rows"] == [[240]]
        assert asked.structured_content["sql"] == "SELECT COUNT(*) AS count FROM orders"
        queried = await client.call_tool("query", {"sql": "SELECT name FROM customers WHERE id = ?", "params": [7], "limit": 5})
        assert queried.structured_content is not None
        assert queried.structured_content["columns"] == ["name"]
        described = await client.call_tool("describe", {"table": "orders"})
        assert described.structured_content is not None
        assert described.structured_content["foreign_keys"][0]["parent"] == "customers"
        plan = await client.call_tool("explain", {"sql": "SELECT * FROM orders WHERE customer_id = 3"})
        assert plan.structured_content is not None
        assert "orders_by_customer" in plan.structured_content["plan"][0]


async def test_a_table_is_a_resource_and_its_name_is_completed(samples: dict[str, Path]) -> None:
    async with host(samples["shop"]) as client:
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert "db://shop/order_items" in uris
        text = (await client.read_resource("db://shop/order_items")).contents[0]
        assert "-> products.id" in getattr(text, "text", "")
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == ["db://{connection}/{table}"]


def test_building_the_server_imports_nothing_slow(samples: dict[str, Path]) -> None:
    slow = ("duckdb", "psycopg", "sqlite_utils", "jsonschema", "numpy", "wordllama")
    probe = f"""
import sys
from portico_servers.db.server import build_server
build_server([{str(samples["shop"])!r}])
print([name for name in {slow!r} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("content", [b"hello, this is no database at all", None])
def test_what_is_no_database_is_one_line_naming_the_file_and_exit_code_2(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "notes.db"
    if content is not None:
        file.write_bytes(content)
    command = [sys.executable, "-m", "portico_servers.db", str(file)]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, env=dict(os.environ))
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert str(file) in run.stderr
    assert "expected a SQLite" in run.stderr


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
async def test_other_engines_answer_through_the_same_tools(engine: str, request: pytest.FixtureRequest) -> None:
    server = build_server([str(request.getfixturevalue(f"{engine}_samples")["shop"])])
    rows = next(tool for tool in await server.list_tools() if tool.name == "rows")
    assert "customers.country" in str(rows.input_schema)
    ask = {"table": "orders", "aggregate": "count", "filters": [{"column": "customers.country", "op": "=", "value": "japan"}]}
    for name, arguments in (
        ("tables", {}),
        ("describe", {"table": "orders"}),
        ("rows", {"ask": ask}),
        ("query", {"sql": f"SELECT COUNT(*) FROM orders WHERE id = {'$1' if engine == 'postgres' else '?'}", "params": [1]}),
        ("explain", {"sql": f"SELECT * FROM orders WHERE id = {'$1' if engine == 'postgres' else '?'}"}),
    ):
        found = await server.call_tool(name, arguments)
        assert isinstance(found, CallToolResult)
        assert not found.is_error, found.content
        assert found.structured_content
    assert "shop" in server.databases.by_name
    server.close()


async def test_a_database_that_cannot_be_reached_is_said_and_the_others_answer(samples: dict[str, Path]) -> None:
    server = build_server([str(samples["music"]), "postgresql://nobody:secret@127.0.0.1:1/none"])
    listed = await server.call_tool("tables", {})
    assert isinstance(listed, CallToolResult)
    assert listed.structured_content is not None
    assert "music.Track" in str(listed.structured_content["tables"])
    assert listed.structured_content["complete"] is False
    assert "none: postgresql://127.0.0.1:1/none" in listed.structured_content["note"]
    assert "secret" not in str(listed)
    asked = await server.call_tool("rows", {"ask": {"table": "music.Track", "aggregate": "count"}})
    assert isinstance(asked, CallToolResult)
    assert not asked.is_error
    failed = await server.call_tool("query", {"connection": "none", "sql": "SELECT 1"})
    assert isinstance(failed, CallToolResult)
    assert failed.is_error
    server.close()
