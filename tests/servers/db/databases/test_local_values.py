"""Values of opted-in columns: for the model built into a gateway, and for nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from portico_servers.common.question_readers import STARTED_BY_GATEWAY
from portico_servers.db.databases import local_values as local
from portico_servers.db.server import DatabaseServer, build_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "db.toml"
    path.write_text(
        '[connections.shop]\nlocal_values = ["customers.city", "customers.email", "orders.total", "nothing.at_all"]\n'
    )
    return path


@pytest.fixture
def served(samples: dict[str, Path], config: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseServer]:
    monkeypatch.setenv(STARTED_BY_GATEWAY, "1")
    server = build_server([str(samples["shop"])], config=config)
    yield server
    server.close()


def conditions(schema: dict[str, Any], table: str) -> dict[str, list[str]]:
    """The listed values of a table's branch, by column."""
    branch = next(b for b in schema["properties"]["ask"]["anyOf"] if b["properties"]["table"]["const"] == table)
    shapes = branch["properties"]["filters"]["items"]["anyOf"]
    listed = [shape["properties"] for shape in shapes if "listed" in shape["$ref"]]
    values = {each["column"]["const"]: each["value"] for each in listed}
    return {column: value.get("anyOf", [value])[0]["enum"] for column, value in values.items()}  # or null, where there is that


async def test_a_gateway_finds_the_values_by_the_tools_meta_in_the_table_and_in_its_children(served: DatabaseServer) -> None:
    listed = {tool.name: tool for tool in await served.list_tools()}
    assert (listed["rows"].meta or {})[local.META] == local.URI
    assert listed["query"].meta is None
    schema = local.input_schema(served.databases, served.local_values)
    assert "Köln" in conditions(schema, "customers")["city"]
    assert "Köln" in conditions(schema, "orders")["customers.city"]
    assert "c10@example.org" in conditions(schema, "customers")["email"]
    assert "total" not in conditions(schema, "orders"), "numbers have no list of values"
    [content] = await served.read_resource(local.URI)
    assert json.loads(content.content) == schema


async def test_no_list_that_a_host_reads_has_a_value_or_the_resource(served: DatabaseServer) -> None:
    lists = [await served.list_tools(), await served.list_resources(), await served.list_resource_templates()]
    text = str([item.model_dump(exclude={"meta"}) for found in lists for item in found])
    assert "Köln" not in text
    assert "example.org" not in text
    assert local.URI not in text


async def test_a_call_with_such_a_value_is_an_ordinary_one(served: DatabaseServer) -> None:
    ask = {"table": "customers", "aggregate": "count", "filters": [{"column": "city", "op": "=", "value": "Köln"}]}
    found = await served.call_tool("rows", {"ask": ask})
    assert not found.is_error


async def test_values_are_those_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    connection = sqlite3.connect(tmp_path / "pets.db")
    connection.executescript("CREATE TABLE pets (kind TEXT, name TEXT); INSERT INTO pets VALUES ('cat', 'Mo')")
    config = tmp_path / "db.toml"
    config.write_text('[connections.pets]\nlocal_values = ["pets.kind"]\n')
    monkeypatch.setenv(STARTED_BY_GATEWAY, "1")
    server = build_server([str(tmp_path / "pets.db")], config=config)
    assert "'cat'" in str(local.input_schema(server.databases, server.local_values))
    connection.execute("INSERT INTO pets VALUES ('newt', 'Al')")
    connection.commit()
    connection.close()
    assert "'newt'" in str(local.input_schema(server.databases, server.local_values))
    server.close()


@pytest.mark.parametrize("started_by_gateway", [False, True])
async def test_without_a_gateway_or_without_a_column_there_is_nothing(
    samples: dict[str, Path], config: Path, monkeypatch: pytest.MonkeyPatch, started_by_gateway: bool
) -> None:
    if started_by_gateway:
        monkeypatch.setenv(STARTED_BY_GATEWAY, "1")
    server = build_server([str(samples["shop"])], config=None if started_by_gateway else config)
    assert all(local.META not in (tool.meta or {}) for tool in await server.list_tools())
    with pytest.raises(ResourceNotFoundError):
        await server.read_resource(local.URI)
    server.close()
