"""portico-db as an MCP server: puts tools, resources and prompts over the databases and ties their life to the server's."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp_types import CallToolResult, InputRequiredResult, Resource, Tool

from portico_servers.common.list_changed import ListChangedNotifier
from portico_servers.common.question_readers import started_by_gateway
from portico_servers.common.server import PorticoServer
from portico_servers.common.tools import tool_error
from portico_servers.common.version import package_version
from portico_servers.db import config as config_file
from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.local_values import META, URI, are_served
from portico_servers.db.databases.schema_watcher import watch_schemas
from portico_servers.db.errors import DatabaseConfigError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.prompts import add_prompts
from portico_servers.db.questions.proposals import QuestionProposals
from portico_servers.db.resources import add_completion, add_local_schema, add_resources, table_resources
from portico_servers.db.secret_columns import SECRETS
from portico_servers.db.sources import DatabaseSource, parse_sources
from portico_servers.db.statements.worker_pool import WorkerPool
from portico_servers.db.suggestions import did_you_mean
from portico_servers.db.tools.definition import ToolDefinition, ToolInvocation
from portico_servers.db.tools.registry import RESERVED_NAMES, all_tools
from portico_servers.db.tools.write import writer_pools

_INSTRUCTIONS = (
    "Read-only access to databases. `rows` answers most questions about one table and its parents without SQL; "
    "`query` runs a single SELECT; every answer shows the SQL that ran."
)


class DatabaseServer(PorticoServer[None]):
    """A server whose tools' schemas are made from the live databases at each tools/list."""

    def __init__(
        self,
        databases: Databases,
        tools: Sequence[ToolDefinition],
        limits: StatementLimits,
        writers: Mapping[str, WorkerPool] | None = None,
        local_values: Mapping[str, Sequence[str]] | None = None,
        secrets: Sequence[str] = SECRETS,
    ) -> None:
        """`local_values`: by connection, the columns whose values a gateway's own model is shown (`local_values.py`).

        `secrets`: patterns of the names of columns whose values are never read for it."""
        self.databases, self.limits, self.writers = databases, limits, writers or {}
        self._tools = {tool.name: tool for tool in tools}
        self._proposals = _question_proposals(databases, secrets) if started_by_gateway() else None
        bus = InMemorySubscriptionBus()
        self.notifier = ListChangedNotifier(bus)
        super().__init__(
            "portico-db",
            title="Portico database",
            instructions=_INSTRUCTIONS,
            version=package_version(),
            log_level="WARNING",
            lifespan=_lifespan,
            subscriptions=bus,
            middleware=[self.notifier.remember],
            question_readers={"rows": self._propose},
        )
        add_resources(self, databases)
        add_completion(self, databases)
        add_prompts(self, databases)
        self.local_values = local_values or {}
        self._serves_local_values = are_served(self.local_values)
        if self._serves_local_values:
            add_local_schema(self, databases, self.local_values)

    async def current_tools(self) -> list[Tool]:
        """All tools, schemas from the live databases."""
        snapshot = await anyio.to_thread.run_sync(self.databases.snapshot)
        connections = list(self.databases.by_name)
        tools = [tool.tool(snapshot, connections) for tool in self._tools.values()]
        meta = {META: URI} if self._serves_local_values else {}
        return [tool.model_copy(update={"meta": meta}) if meta and tool.name == "rows" else tool for tool in tools]

    async def _propose(self, question: str) -> dict[str, Any]:
        assert self._proposals is not None
        return await anyio.to_thread.run_sync(self._proposals.propose, question)

    async def prepare(self) -> None:
        """What the first question would wait for."""
        if self._proposals is not None:
            await anyio.to_thread.run_sync(self._proposals.prepare, abandon_on_cancel=True)

    async def list_resources(self) -> list[Resource]:
        """One resource a table."""
        snapshot = await anyio.to_thread.run_sync(self.databases.snapshot)
        return table_resources(snapshot)

    async def run_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        """Every tool's calls come by here."""
        tool = self._tools.get(name)
        if tool is None:
            return tool_error(f"no tool {name!r}{did_you_mean(name, self._tools)}")
        return await tool.handler(ToolInvocation(self.databases, arguments, self.limits, context or Context()))

    def close(self) -> None:
        """End all workers."""
        self.databases.close()
        for pool in self.writers.values():
            pool.close()


def build_server(
    targets: Sequence[str],
    *,
    config: Path | None = None,
    limits: StatementLimits | None = None,
    allow_powerful_role: bool = False,
) -> DatabaseServer:
    """A server over these files and DSNs. DatabaseSourceError where one is no database, DatabaseConfigError for a bad config.

    `limits` and `allow_powerful_role` go over the config file's.
    """
    settings = config_file.load(config, RESERVED_NAMES) if config else config_file.Config()
    found = [_allowed(source, settings, allow_powerful_role) for source in parse_sources(targets)]
    names = [source.name for source in found]
    for name in settings.connections:
        if name not in names:
            raise DatabaseConfigError(
                f"{config}: connections.{name}: no such connection{did_you_mean(name, names)} (there are: {names})"
            )
    lookups = {name: connection.lookups for name, connection in settings.connections.items()}
    bounds = limits or settings.bounds()
    writers = writer_pools({s.name: s for s in found if s.name in settings.connections and settings.connections[s.name].write})
    values = {name: connection.local_values for name, connection in settings.connections.items()}
    tools = all_tools(settings.queries, names, writers, bounds)
    return DatabaseServer(Databases(found, lookups), tools, bounds, writers, values, settings.secrets)


def _question_proposals(databases: Databases, secrets: Sequence[str]) -> QuestionProposals:
    # Imported here: only a gateway's child needs it, and it takes a while.
    from portico_servers.common.embeddings import Embedder

    return QuestionProposals(databases, Embedder().embed, secrets)


def _allowed(source: DatabaseSource, settings: config_file.Config, powerful: bool) -> DatabaseSource:
    connection = settings.connections.get(source.name)
    powerful = powerful or (connection is not None and connection.allow_powerful_role)
    return dataclasses.replace(source, allow_powerful_role=powerful)


@asynccontextmanager
async def _lifespan(server: MCPServer[None]) -> AsyncIterator[None]:
    assert isinstance(server, DatabaseServer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch_schemas, server.databases, server.notifier)
        tasks.start_soon(server.prepare)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
            server.close()
