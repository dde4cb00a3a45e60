"""Resources, completion and prompts: a table's schema as text, names of tables and columns as they are typed."""

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

from portico_servers.db.databases import local_values as local
from portico_servers.db.databases.database import Databases, SchemaSnapshot
from portico_servers.db.errors import ArgumentError
from portico_servers.db.rows.input_schema import QualifiedTable
from portico_servers.db.tools.rows import schema_text

TEMPLATE = "db://{connection}/{table}"
_MAX_COMPLETIONS = 100


def table_uri(connection: str, table: str) -> str:
    """`db://shop/order_items`, percent-encoded."""
    return f"db://{quote(connection, safe='')}/{quote(table, safe='')}"


def table_resources(snapshot: SchemaSnapshot) -> list[Resource]:
    """One a table."""
    return [
        Resource(
            uri=table_uri(snapshot.owners[name].name, named.table.name),
            name=name,
            title=f"Schema of {name}",
            description=f"Columns and keys of the {'view' if named.table.view else 'table'} {name}.",
            mime_type="text/markdown",
        )
        for name, named in snapshot.tables.items()
    ]


def add_resources(server: MCPServer[None], databases: Databases) -> None:
    """Register the template, its completion and the prompts."""

    @server.resource(
        TEMPLATE,
        name="table",
        title="A table's schema",
        description="Columns and keys of one table.",
        mime_type="text/markdown",
    )
    def table(connection: str, table: str) -> str:
        snapshot = databases.snapshot()
        for name, named in snapshot.tables.items():
            if snapshot.owners[name].name == connection and named.table.name == table:
                return schema_text(named)
        raise ResourceNotFoundError(f"not found: {table_uri(connection, table)}")

    @server.prompt(title="Explore a table", description="Get to know one table: what is in it, what is odd.")
    def explore_table(table: str) -> str:
        """Schema, then three questions worth asking."""
        try:
            _, named = databases.snapshot().table(table)
        except ArgumentError as exc:
            return f"{exc}. List the tables with the `tables` tool and ask which one is meant."
        return (
            "Explore this table with the `rows` tool (no SQL needed) and report what it holds, in five sentences.\n\n"
            f"{schema_text(named)}\n\nCount its rows, group them by the most telling column, and look at the newest or "
            "largest ones. Say what looks wrong."
        )

    @server.prompt(title="Answer a question", description="Answer a question from the data, with the SQL that shows it.")
    def answer_question(question: str, table: str = "") -> str:
        """The question beside the schema that it needs."""
        snapshot = databases.snapshot()
        chosen = [named for name, named in snapshot.tables.items() if not table or name == table] or list(
            snapshot.tables.values()
        )
        schemas = "\n\n".join(schema_text(named) for named in chosen[:12])
        return (
            f"Answer from the data, not from memory: {question}\n\n{schemas}\n\n"
            "Use `rows` where one table and its parents suffice, else `query`. Quote the figures, and the SQL that made them."
        )

    @server.prompt(title="Profile a column", description="Values, gaps and outliers of one column.")
    def profile_column(table: str, column: str) -> str:
        """What to run about one column."""
        return (
            f"Profile the column {column} of the table {table}: how many rows, how many NULL, how many different values, "
            "the ten most frequent ones, smallest and largest. Use `rows`, and say what looks like a mistake."
        )

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
            wanted = (
                [snapshot.tables[given["table"]]] if given.get("table") in snapshot.tables else list(snapshot.tables.values())
            )
            return _completion(argument.value, (column.name for named in wanted for column in named.table.columns))
        return None


def add_local_schema(server: MCPServer[None], databases: Databases, values: Mapping[str, Sequence[str]]) -> None:
    """Register what `local.py` is about; the server's own list of resources leaves it out."""

    @server.resource(local.URI, name="local_input_schema", mime_type="application/schema+json")
    def local_input_schema() -> str:
        return json.dumps(local.input_schema(databases, values), ensure_ascii=False)


def _template_names(snapshot: SchemaSnapshot, databases: Databases, argument: str, connection: str | None) -> Iterable[str]:
    if argument == "connection":
        return databases.by_name
    named: Iterable[tuple[str, QualifiedTable]] = snapshot.tables.items()
    return [item.table.name for name, item in named if connection is None or snapshot.owners[name].name == connection]


def _completion(typed: str, names: Iterable[str]) -> Completion:
    """Names that begin with what was typed, then those that contain it."""
    folded = typed.casefold()
    known = list(dict.fromkeys(names))
    first = [name for name in known if name.casefold().startswith(folded)]
    found = first + [name for name in known if folded in name.casefold() and name not in first]
    return Completion(values=found[:_MAX_COMPLETIONS], total=len(found), has_more=len(found) > _MAX_COMPLETIONS)
