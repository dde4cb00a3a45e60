"""The tool `write`: absent unless configured, destructive by annotation, run only after the user agreed to it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from portico_servers.db.errors import DatabaseConfigError, DbError, LimitError, ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.server import build_server
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.worker_pool import WorkerPool

pytestmark = pytest.mark.anyio

REFUSED = [
    "SELECT 1",
    "DROP TABLE t",
    "CREATE TABLE u (a)",
    "ALTER TABLE t ADD COLUMN b",
    "ATTACH ':memory:' AS x",
    "PRAGMA writable_schema = 1",
    "VACUUM",
    "COMMIT",
    "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, 'x')",
    "DELETE FROM t; DELETE FROM t",
    "INSERT INTO t VALUES (load_extension('x'))",
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "w.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE t (a INTEGER CHECK (a < 100)); INSERT INTO t VALUES (1), (2), (3)")
    connection.close()
    (tmp_path / "w.toml").write_text("[connections.w]\nwrite = true\n")
    return path


def values(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    found = [row[0] for row in connection.execute("SELECT a FROM t ORDER BY a")]
    connection.close()
    return found


@asynccontextmanager
async def host(path: Path, era: str, answer: mcp_types.ElicitResult | None, asked: list[str]) -> AsyncIterator[Client]:
    async def ask(context: Any, params: Any) -> Any:
        asked.append(params.message)
        return answer

    arguments = ["-m", "portico_servers.db", str(path), "--config", str(path.with_suffix(".toml"))]
    parameters = StdioServerParameters(command=sys.executable, args=arguments)
    with anyio.fail_after(60):
        async with Client(stdio_client(parameters), mode=era, elicitation_callback=ask if answer else None) as client:
            yield client


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_statement_runs_when_the_user_agrees_to_it(database: Path, era: str) -> None:
    asked: list[str] = []
    agreed = mcp_types.ElicitResult(action="accept", content={"run": True})
    async with host(database, era, agreed, asked) as client:
        tool = next(tool for tool in (await client.list_tools()).tools if tool.name == "write")
        assert tool.annotations is not None
        assert (tool.annotations.read_only_hint, tool.annotations.destructive_hint) == (False, True)
        found = await client.call_tool("write", {"sql": "UPDATE t SET a = a + ? WHERE a > 1", "params": [10]})
        assert found.structured_content == {"connection": "w", "changed_rows": 2, "sql": "UPDATE t SET a = a + ? WHERE a > 1"}
        assert asked == ["Change the database w with:\nUPDATE t SET a = a + ? WHERE a > 1\nwith [10]"]
        assert values(database) == [1, 12, 13]
        seen = await client.call_tool("rows", {"ask": {"table": "t", "aggregate": "max", "columns": ["a"]}})
        assert seen.structured_content is not None
        assert seen.structured_content["rows"] == [[13]]


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize(
    "answer",
    [
        mcp_types.ElicitResult(action="decline"),
        mcp_types.ElicitResult(action="cancel"),
        mcp_types.ElicitResult(action="accept", content={"run": False}),
        None,
    ],
)
async def test_nothing_runs_without_consent(database: Path, era: str, answer: mcp_types.ElicitResult | None) -> None:
    async with host(database, era, answer, []) as client:
        if answer is None:  # the host can't ask
            with pytest.raises(MCPError, match="elicitation"):
                await client.call_tool("write", {"sql": "DELETE FROM t"})
        else:
            assert (await client.call_tool("write", {"sql": "DELETE FROM t"})).is_error
        assert values(database) == [1, 2, 3]


async def test_the_tool_is_not_there_unless_the_owner_allows_it(database: Path, duckdb_samples: dict[str, Path]) -> None:
    server = build_server([str(database)])
    assert "write" not in [tool.name for tool in await server.list_tools()]
    refused = await server.call_tool("write", {"sql": "DELETE FROM t"})
    assert isinstance(refused, mcp_types.CallToolResult)
    assert refused.is_error
    server.close()
    config = database.with_name("duck.toml")
    config.write_text("[connections.shop]\nwrite = true\n")
    with pytest.raises(DatabaseConfigError, match="DuckDB"):
        build_server([str(duckdb_samples["shop"])], config=config)


def test_one_statement_that_changes_rows_is_run_whole_or_not_at_all(database: Path) -> None:
    pool = WorkerPool(DatabaseSource("w", "sqlite", str(database), writable=True), size=1)
    for statement in REFUSED:
        with pytest.raises(DbError) as caught:
            pool.run(statement, [], StatementLimits())
        assert isinstance(caught.value, ReadOnlyError | StatementError) or statement == "SELECT 1", statement
    with pytest.raises(StatementError, match="CHECK"):
        pool.run("UPDATE t SET a = a * 40", [], StatementLimits())
    endless = "INSERT INTO t WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n % 9 FROM r"
    with pytest.raises(LimitError):
        pool.run(endless, [], StatementLimits(seconds=0.3))
    assert values(database) == [1, 2, 3]
    assert pool.run("INSERT INTO t VALUES (4) RETURNING a", [], StatementLimits())["rows"] == [[1]]
    assert values(database) == [1, 2, 3, 4]
    pool.close()


def test_postgres_writes_what_its_role_may_and_nothing_but_rows(postgres: str) -> None:
    import psycopg

    dsn = postgres.removesuffix("postgres") + "tracker"
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("CREATE ROLE writer LOGIN")
        owner.execute("CREATE TABLE notes (a INT)")
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO writer")
    pool = WorkerPool(DatabaseSource("w", "postgres", dsn.replace("//postgres@", "//writer@"), writable=True), size=1)
    assert pool.run("INSERT INTO notes SELECT generate_series(1, $1)", [3], StatementLimits())["rows"] == [[3]]
    for statement in (
        "DROP TABLE notes",
        "SELECT 1",
        "DELETE FROM notes; COMMIT",
        "COMMIT",
        "DELETE FROM users",
        "TRUNCATE notes",
    ):
        with pytest.raises((ReadOnlyError, StatementError)):
            pool.run(statement, [], StatementLimits())
    assert pool.run("DELETE FROM notes WHERE a > 1", [], StatementLimits())["rows"] == [[2]]
    pool.close()
    with psycopg.connect(dsn, autocommit=True) as owner:
        assert owner.execute("SELECT a FROM notes").fetchall() == [(1,)]
        owner.execute("DROP TABLE notes")
        owner.execute("DROP ROLE writer")
