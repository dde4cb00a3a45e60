"""db:// resources and completion: a table's schema as text, names of tables and columns as they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import anyio
import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    Resource,
    ResourceTemplateReference,
)

from portico_servers.db.databases import local_values
from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.schema import QualifiedTable
from portico_servers.db.tools.tables import table_text

TEMPLATE = "db://{connection}/{table}"
_MAX_COMPLETIONS = 100


def table_uri(connection: str, table: str) -> str:
    """`db://shop/order_items`, percent-encoded."""
    return f"db://{quote(connection, safe='')}/{quote(table, safe='')}"


def table_resources(snapshot: SchemaSnapshot) -> list[Resource]:
    """One a table."""
    return [
        Resource(
            uri=table_uri(snapshot.owners[name].name, qualified.table.name),
            name=name,
            title=f"Schema of {name}",
            description=f"Columns and keys of the {'view' if qualified.table.view else 'table'} {name}.",
            mime_type="text/markdown",
        )
        for name, qualified in snapshot.tables.items()
    ]


def add_resources(server: MCPServer[None], databases: Databases) -> None:
    """Register the template of a table's schema."""

    @server.resource(
        TEMPLATE,
        name="table",
        title="A table's schema",
        description="Columns and keys of one table.",
        mime_type="text/markdown",
    )
    def table(connection: str, table: str) -> str:
        snapshot = databases.snapshot()
        for name, qualified in snapshot.tables.items():
            if snapshot.owners[name].name == connection and qualified.table.name == table:
                return table_text(qualified)
        raise ResourceNotFoundError(f"not found: {table_uri(connection, table)}")


def add_completion(server: MCPServer[None], databases: Databases) -> None:
    """Connections and tables of the template; tables and columns of the prompts."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        snapshot = await anyio.to_thread.run_sync(databases.snapshot)
        given = (context.arguments if context else None) or {}
        if isinstance(ref, ResourceTemplateReference):
            return _completion(argument.value, _template_names(snapshot, databases, argument.name, given.get("connection")))
        if argument.name == "table":
            return _completion(argument.value, snapshot.tables)
        if argument.name == "column":
            tables = (
                [snapshot.tables[given["table"]]] if given.get("table") in snapshot.tables else list(snapshot.tables.values())
            )
            return _completion(argument.value, (column.name for qualified in tables for column in qualified.table.columns))
        return None


def add_local_schema(server: MCPServer[None], databases: Databases, values: Mapping[str, Sequence[str]]) -> None:
    """Register what `local_values.py` is about; the server's own list of resources leaves it out."""

    @server.resource(local_values.URI, name="local_input_schema", mime_type="application/schema+json")
    def local_input_schema() -> str:
        return json.dumps(local_values.input_schema(databases, values), ensure_ascii=False)


def _template_names(snapshot: SchemaSnapshot, databases: Databases, argument: str, connection: str | None) -> Iterable[str]:
    if argument == "connection":
        return databases.by_name
    qualified: Iterable[tuple[str, QualifiedTable]] = snapshot.tables.items()
    return [item.table.name for name, item in qualified if connection is None or snapshot.owners[name].name == connection]


def _completion(typed: str, names: Iterable[str]) -> Completion:
    """Names that begin with what was typed, then those that contain it."""
    folded = typed.casefold()
    known = list(dict.fromkeys(names))
    first = [name for name in known if name.casefold().startswith(folded)]
    found = first + [name for name in known if folded in name.casefold() and name not in first]
    return Completion(values=found[:_MAX_COMPLETIONS], total=len(found), has_more=len(found) > _MAX_COMPLETIONS)
