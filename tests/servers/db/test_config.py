"""The owner's config file: what it allows, and how a mistake in it is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portico_servers.db.config import load
from portico_servers.db.errors import DatabaseConfigError
from portico_servers.db.server import build_server
from portico_servers.db.statements.placeholders import bind_placeholders, placeholder_names

GOOD = """
[limits]
rows = 7
seconds = 2.5

[connections.shop]
lookups = ["customers.country"]

[[queries]]
name = "best_customers"
description = "The customers who spent most in a country."
sql = "SELECT c.name, SUM(o.total) AS spent FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.country = :country GROUP BY 1 ORDER BY 2 DESC LIMIT :n"
params.country = { type = "string" }
params.n = { type = "integer", default = 3, minimum = 1, maximum = 20 }
"""  # noqa: E501


def written(folder: Path, text: str) -> Path:
    path = folder / "db.toml"
    path.write_text(text)
    return path


async def call(server: Any, name: str, arguments: dict[str, Any]) -> Any:
    return await server.call_tool(name, arguments)


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_canned_query_is_a_tool_with_typed_parameters(tmp_path: Path, samples: dict[str, Path]) -> None:
    server = build_server([str(samples["shop"])], config=written(tmp_path, GOOD))
    tools = {tool.name: tool for tool in await server.list_tools()}
    schema = tools["best_customers"].input_schema
    assert schema["properties"]["n"] == {"type": "integer", "default": 3, "minimum": 1, "maximum": 20}
    assert schema["required"] == ["country"]
    found = await call(server, "best_customers", {"country": "Japan"})
    assert len(found.structured_content["rows"]) == 3
    assert found.structured_content["params"] == ["Japan", 3]
    refused = await call(server, "best_customers", {"country": "Japan", "n": 99})
    assert refused.is_error
    assert "n: 99 is greater than the maximum" in refused.content[0].text
    assert (await call(server, "best_customers", {})).is_error
    server.databases.close()


async def test_lookup_columns_put_their_values_into_the_schema_and_other_cells_never_do(
    tmp_path: Path, samples: dict[str, Path]
) -> None:
    plain = build_server([str(samples["shop"])])
    with_lookups = build_server([str(samples["shop"])], config=written(tmp_path, GOOD))
    before, after = str(await plain.list_tools()), str(await with_lookups.list_tools())
    assert "Norway" not in before
    assert "Norway" in after
    for cell in ("Oak One", "Köln", "example.org"):
        assert cell not in after
    found = await call(
        with_lookups,
        "rows",
        {"ask": {"table": "customers", "aggregate": "count", "filters": [{"column": "country", "op": "=", "value": "Nrway"}]}},
    )
    assert found.is_error
    assert "did you mean Norway" in found.content[0].text
    plain.databases.close()
    with_lookups.databases.close()


async def test_limits_of_the_file_hold(tmp_path: Path, samples: dict[str, Path]) -> None:
    server = build_server([str(samples["shop"])], config=written(tmp_path, GOOD))
    found = await call(server, "query", {"sql": "SELECT * FROM orders"})
    assert len(found.structured_content["rows"]) == 7
    assert found.structured_content["truncated"] is True
    server.databases.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\nrow = 5", "db.toml:2: limits.row: unknown key"),
        ("[limits]\n\nrows = 0", "db.toml:3: limits.rows"),
        ("[limits]\nseconds = 'soon'", "db.toml:2: limits.seconds"),
        ("[conections.shop]\nwrite = true", "conections: unknown key"),
        ("[connections.shop]\nlookups = ['country']", "lookups"),
        ("[connections.stor]\nlookups = []", "connections.stor: no such connection"),
        ("[[queries]]\nname = 'rows'\ndescription = ''\nsql = 'SELECT 1'", "built-in"),
        ("[[queries]]\nname = 'a b'\ndescription = ''\nsql = 'SELECT 1'", "name"),
        ("[[queries]]\nname = 'a'\ndescription = ''\nsql = 'SELECT :x'", "sql uses ['x'], but params are []"),
        ("[[queries]]\nname = 'a'\ndescription = ''\nsql = 'SELECT 1'\nparams.x = { type = 'string' }", "but params are ['x']"),
        ("[[queries]]\nname = 'a'\ndescription = ''\nsql = 'SELECT :x'\nparams.x = { type = 'text' }", "params.x.type"),
        ("[[queries]]\nname = 'a'\ndescription = ''\nsql = 'SELECT 1'\nconnection = 'x'", "no connection 'x'"),
        (
            "[[queries]]\nname = 'a'\ndescription = ''\nsql = '1'\n[[queries]]\nname = 'a'\ndescription = ''\nsql = '1'",
            "two queries",
        ),
        ("[limits", "db.toml:"),
    ],
)
def test_a_mistake_is_told_with_its_key(tmp_path: Path, samples: dict[str, Path], text: str, words: str) -> None:
    with pytest.raises(DatabaseConfigError) as caught:
        build_server([str(samples["shop"])], config=written(tmp_path, text))
    assert words in str(caught.value)


def test_a_config_file_that_is_not_there_ends_the_command_with_one_line(tmp_path: Path, samples: dict[str, Path]) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(DatabaseConfigError, match="No such file"):
        load(missing)
    command = [sys.executable, "-m", "portico_servers.db", str(samples["shop"]), "--config", str(missing)]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert str(missing) in run.stderr


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT :a, :b, :a", ["a", "b", "a"]),
        ("SELECT ':a', \":b\", `:c` -- :d\n, :e", ["e"]),
        ("SELECT /* :a */ x::int, :b_1", ["b_1"]),
        ("SELECT $$ :a $$, $t$ :b $t$, :c", ["c"]),
        ("SELECT 'it''s :a' || :b", ["b"]),
        ("SELECT 12:30", []),
    ],
)
def test_placeholders_are_found_outside_of_strings_and_comments(sql: str, names: list[str]) -> None:
    assert list(placeholder_names(sql)) == names


def test_placeholders_become_the_engines_own_and_values_follow_their_order() -> None:
    assert bind_placeholders("SELECT :a + :b + :a", {"a": 1, "b": 2}, lambda n: f"${n}") == ("SELECT $1 + $2 + $3", [1, 2, 1])
