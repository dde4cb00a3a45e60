"""Schemas that change under a running server, several databases at once, cancelled calls, completion: as a host sees it."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def host(*targets: object, era: str = "auto", **options: Any) -> AsyncIterator[Client]:
    arguments = ["-m", "portico_servers.db", *map(str, targets)]
    parameters = StdioServerParameters(command=sys.executable, args=arguments)
    with anyio.fail_after(60):
        async with Client(stdio_client(parameters), mode=era, **options) as client:
            yield client


def small(folder: Path, name: str = "small", script: str = "CREATE TABLE first (id INTEGER PRIMARY KEY, word TEXT)") -> Path:
    path = folder / f"{name}.db"
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


async def table_names(client: Client) -> list[str]:
    found = await client.call_tool("tables", {})
    assert found.structured_content is not None
    return [item["name"] for item in found.structured_content["tables"]]


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_new_table_changes_the_tools_and_the_host_is_told(tmp_path: Path, era: str) -> None:
    path = small(tmp_path)
    changed = anyio.Event()

    async def notice(message: Any) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            changed.set()

    async with host(path, era=era, message_handler=notice) as client:
        before = await client.list_tools()
        assert "second" not in str(before)
        if era == "legacy":
            small(tmp_path, script="CREATE TABLE second (id INTEGER PRIMARY KEY, amount REAL)")
            await changed.wait()
        else:
            async with client.listen(tools_list_changed=True) as events:
                small(tmp_path, script="CREATE TABLE second (id INTEGER PRIMARY KEY, amount REAL)")
                await anext(aiter(events))
        rows = next(tool for tool in (await client.list_tools()).tools if tool.name == "rows")
        assert "second" in str(rows.input_schema)
        asked = await client.call_tool("rows", {"ask": {"table": "second", "aggregate": "sum", "columns": ["amount"]}})
        assert asked.structured_content is not None
        assert asked.structured_content["rows"] == [[None]]


async def test_several_databases_are_told_apart_by_their_names(tmp_path: Path, samples: dict[str, Path]) -> None:
    (tmp_path / "other").mkdir()
    again = small(tmp_path / "other", "shop")
    async with host(samples["shop"], samples["music"], again) as client:
        names = await table_names(client)
        assert {"shop.orders", "music.Track", "shop_2.first"} <= set(names)
        asked = await client.call_tool("rows", {"ask": {"table": "music.Track", "aggregate": "count"}})
        assert asked.structured_content is not None
        assert asked.structured_content["rows"] == [[300]]
        unclear = await client.call_tool("query", {"sql": "SELECT 1"})
        assert unclear.is_error
        clear = await client.call_tool("query", {"connection": "music", "sql": "SELECT COUNT(*) FROM Track"})
        assert clear.structured_content is not None
        assert clear.structured_content["connection"] == "music"
        assert "-> Artist.ArtistId" in str((await client.read_resource("db://music/Album")).contents)
        described = await client.call_tool("describe", {"table": "music.Album"})
        assert described.structured_content is not None
        assert described.structured_content["sample"]["columns"][0] == "AlbumId"


async def test_names_of_tables_and_columns_are_completed(samples: dict[str, Path]) -> None:
    template = mcp_types.ResourceTemplateReference(uri="db://{connection}/{table}")
    prompt = mcp_types.PromptReference(name="profile_column")
    async with host(samples["shop"]) as client:
        found = await client.complete(template, {"name": "table", "value": "OR"})
        assert found.completion.values[:2] == ["orders", "order_items"]
        assert (await client.complete(template, {"name": "connection", "value": ""})).completion.values == ["shop"]
        columns = await client.complete(prompt, {"name": "column", "value": "to"}, {"table": "orders"})
        assert columns.completion.values == ["total", "customer_id"][: len(columns.completion.values)]
        assert (await client.complete(prompt, {"name": "column", "value": "zzz"}, {"table": "orders"})).completion.values == []
        asked = await client.get_prompt("explore_table", {"table": "orders"})
        assert "customer_id" in str(asked.messages[0].content)
        assert "did you mean orders" in str((await client.get_prompt("explore_table", {"table": "ordes"})).messages)


async def test_a_resource_that_is_not_there_is_not_found(samples: dict[str, Path]) -> None:
    async with host(samples["shop"]) as client:
        for uri in ("db://shop/nothing", "db://other/orders", "db://shop/..%2f..%2fetc%2fpasswd"):
            with pytest.raises(Exception, match=r"(?i)not found|unknown resource|no such"):
                await client.read_resource(uri)


async def test_a_cancelled_call_ends_its_statement(samples: dict[str, Path]) -> None:
    endless = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
    async with host(samples["shop"]) as client:
        await client.call_tool("query", {"sql": "SELECT 1"})
        for _ in range(6):  # more than the pool has places: none may stay taken
            with anyio.move_on_after(0.3):
                await client.call_tool("query", {"sql": endless})
        start = time.monotonic()
        found = await client.call_tool("query", {"sql": "SELECT 42"})
        assert found.structured_content is not None
        assert found.structured_content["rows"] == [[42]]
        assert time.monotonic() - start < 4.0  # the five seconds of a statement that went on would have to pass first


async def test_an_unknown_tool_and_wrong_arguments_are_errors_that_say_what_would_be_right(samples: dict[str, Path]) -> None:
    async with host(samples["shop"]) as client:
        unknown = await client.call_tool("quer", {"sql": "SELECT 1"})
        assert unknown.is_error
        assert "did you mean query" in str(unknown.content)
        wrong = await client.call_tool("describe", {"table": "order_item"})
        assert wrong.is_error
        assert "did you mean order_items" in str(wrong.content)
        missing = await client.call_tool("query", {})
        assert missing.is_error
        assert "'sql' is a required property" in str(missing.content)


async def test_explain_says_which_index_is_missing(tmp_path: Path) -> None:
    rows = "INSERT INTO big SELECT value, value % 7, value FROM generate_series(1, 2000)".replace(
        "generate_series(1, 2000)", "json_each('[" + ",".join(map(str, range(2000))) + "]')"
    )
    path = small(tmp_path, "big", f"CREATE TABLE big (id INTEGER PRIMARY KEY, kind INTEGER, x INTEGER); {rows}")
    async with host(path) as client:
        found = await client.call_tool("explain", {"sql": "SELECT * FROM big WHERE kind = 3"})
        assert found.structured_content is not None
        assert "index on big(kind)" in found.structured_content["hints"][0]
        sub_day = await client.call_tool("explain", {"sql": "SELECT * FROM big WHERE id = 3"})
        assert sub_day.structured_content is not None
        assert sub_day.structured_content["hints"] == []
