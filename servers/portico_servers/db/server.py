"""portico-db as an MCP server: tools and their live schemas. What the tools do is in `answers.py`."""

from __future__ import annotations

import dataclasses
import functools
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
from portico_servers.common.server import PorticoServer
from portico_servers.common.tools import tool_error, tool_result
from portico_servers.common.validation import first_error, validator
from portico_servers.common.version import package_version
from portico_servers.db import config as config_file
from portico_servers.db import local_values as local
from portico_servers.db import sources
from portico_servers.db.database import Call, Databases
from portico_servers.db.errors import ArgumentError, ConfigError, DbError
from portico_servers.db.resources import add_local_schema, add_resources, table_resources
from portico_servers.db.schema_watcher import watch
from portico_servers.db.statements.limits import Limits
from portico_servers.db.statements.workers import Pool
from portico_servers.db.suggest import did_you_mean
from portico_servers.db.tools import canned_queries as canned
from portico_servers.db.tools.tool_specs import BUILT_IN, ToolSpec
from portico_servers.db.tools.tools import Answer
from portico_servers.db.tools.write import add_write, writable

_INSTRUCTIONS = (
    "Read-only access to databases. `rows` answers most questions about one table and its parents without SQL; "
    "`query` runs a single SELECT; every answer shows the SQL that ran."
)


class DatabaseServer(PorticoServer[None]):
    """A server whose tools' schemas are made from the live databases at each tools/list."""

    def __init__(
        self,
        databases: Databases,
        tools: Sequence[ToolSpec],
        limits: Limits,
        writers: Mapping[str, Pool] | None = None,
        local_values: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`local_values`: by connection, the columns whose values a gateway's own model is shown (`local.py`)."""
        self.databases, self.limits, self.writers = databases, limits, writers or {}
        self._specs = {spec.name: spec for spec in tools}
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
        )
        add_resources(self, databases)
        self.local_values = local_values or {}
        self._local = local.wanted(self.local_values)
        if self._local:
            add_local_schema(self, databases, self.local_values)
        self._write_tool = add_write(self, self.writers, limits) if self.writers else None

    async def list_tools(self) -> list[Tool]:
        """All tools, schemas from the live databases."""
        view = await anyio.to_thread.run_sync(self.databases.view)
        connections = list(self.databases.by_name)
        tools = [spec.tool(view, connections) for spec in self._specs.values()]
        if self._local:
            tools = [
                tool.model_copy(update={"meta": {local.META: local.URI}}) if tool.name == "rows" else tool for tool in tools
            ]
        return [*tools, self._write_tool] if self._write_tool else tools

    async def list_resources(self) -> list[Resource]:
        """One resource a table."""
        view = await anyio.to_thread.run_sync(self.databases.view)
        return table_resources(view)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool. What goes wrong is told in an `is_error` result; cancelling the call ends its statement."""
        if self._write_tool is not None and name == self._write_tool.name:
            return await super().call_tool(name, arguments, context)
        call = Call()
        try:
            work = functools.partial(self._run, name, arguments, call)
            answer = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except DbError as exc:
            return tool_error(str(exc))
        except anyio.get_cancelled_exc_class():
            call.cancel()
            raise
        return tool_result(answer.text, answer.structured)

    def close(self) -> None:
        """End all workers."""
        self.databases.close()
        for pool in self.writers.values():
            pool.close()

    def _run(self, name: str, arguments: dict[str, Any], call: Call) -> Answer:
        spec = self._specs.get(name)
        if spec is None:
            raise ArgumentError(f"no tool {name!r}{did_you_mean(name, self._specs)}")
        view = self.databases.view()
        if spec.name != "rows":  # rows explains better what is wrong, and runs the same check itself
            _check(spec.input_schema(view, list(self.databases.by_name)), arguments)
        return spec.run(self.databases, arguments, self.limits, call)


def build_server(
    targets: Sequence[str], *, config: Path | None = None, limits: Limits | None = None, allow_powerful_role: bool = False
) -> DatabaseServer:
    """A server over these files and DSNs. SourceError where one of them is no database, ConfigError for a bad config.

    `limits` and `allow_powerful_role` go over the config file's.
    """
    settings = config_file.load(config) if config else config_file.Config()
    found = [_allowed(source, settings, allow_powerful_role) for source in sources.parse(targets)]
    names = [source.name for source in found]
    for name in settings.connections:
        if name not in names:
            raise ConfigError(
                f"{config}: connections.{name}: no such connection{did_you_mean(name, names)} (there are: {names})"
            )
    lookups = {name: connection.lookups for name, connection in settings.connections.items()}
    tools = (*BUILT_IN, *canned.tools(settings.queries, names))
    writers = writable({s.name: s for s in found if s.name in settings.connections and settings.connections[s.name].write})
    values = {name: connection.local_values for name, connection in settings.connections.items()}
    return DatabaseServer(Databases(found, lookups), tools, limits or settings.bounds(), writers, values)


def _allowed(source: sources.Source, settings: config_file.Config, powerful: bool) -> sources.Source:
    connection = settings.connections.get(source.name)
    powerful = powerful or (connection is not None and connection.allow_powerful_role)
    return dataclasses.replace(source, allow_powerful_role=powerful)


def _check(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    if (error := first_error(validator(schema), arguments)) is not None:
        where = "/".join(str(part) for part in error.absolute_path)
        options = error.validator_value if error.validator == "enum" else ()
        raise ArgumentError(
            f"{where + ': ' if where else ''}{error.message}{did_you_mean(str(error.instance), map(str, options))}"
        )


@asynccontextmanager
async def _lifespan(server: MCPServer[None]) -> AsyncIterator[None]:
    assert isinstance(server, DatabaseServer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, server.databases, server.notifier)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
            server.close()
