"""The tool `write`: off unless the owner's config allows it for a connection, destructive by annotation, run only with consent.

Consent is asked of the host's user for the exact statement and its values, over whichever way the protocol's era has (the SDK's
resolvers). A host that can't ask can't write. Each statement runs in a worker of its own that may write.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Annotated

import anyio
import anyio.to_thread
from mcp.server.mcpserver import AcceptedElicitation, Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, Field

from portico_servers.common.tools import tool_error, tool_result
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.errors import DatabaseConfigError, DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.worker_pool import WorkerPool
from portico_servers.db.suggestions import did_you_mean
from portico_servers.db.tools.definition import ToolDefinition, ToolInvocation, constant
from portico_servers.db.tools.json_schemas import JSON, PARAMETERS, object_schema

NAME = "write"
Parameters = list[str | int | float | bool | None]
_ANNOTATIONS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)
_DESCRIPTION = "Change rows with one INSERT, UPDATE or DELETE, after the user has agreed."
_OUT: JSON = {
    "type": "object",
    "properties": {"connection": {"type": "string"}, "changed_rows": {"type": "integer"}, "sql": {"type": "string"}},
    "required": ["connection", "changed_rows", "sql"],
}


class WriteConsent(BaseModel):
    """What the user is asked."""

    run: bool = Field(title="Run it", description="Run this statement on the database.")


def writer_pools(sources: Mapping[str, DatabaseSource]) -> dict[str, WorkerPool]:
    """A pool that may write for each of these sources. DatabaseConfigError for an engine that can't."""
    for source in sources.values():
        if source.engine == "duckdb":
            raise DatabaseConfigError(
                f"connections.{source.name}.write: DuckDB files are only read (one process may write, or many read)"
            )
    return {name: WorkerPool(dataclasses.replace(source, writable=True), size=1) for name, source in sources.items()}


def write_tool(pools: Mapping[str, WorkerPool], limits: StatementLimits) -> ToolDefinition:
    """The tool over these pools, of which there is one at least. The SDK checks its arguments and asks the user."""
    only = next(iter(pools)) if len(pools) == 1 else None

    def chosen(connection: str | None) -> str:
        name = connection or only
        if name is None or name not in pools:
            raise ToolError(
                f"connection: {name!r} can't be written{did_you_mean(name or '', pools)} (there are: {', '.join(pools)})"
            )
        return name

    def ask(sql: str, params: Parameters | None, connection: str | None) -> Elicit[WriteConsent]:
        values = f"\nwith {json.dumps(params, ensure_ascii=False)}" if params else ""
        return Elicit(f"Change the database {chosen(connection)} with:\n{sql}{values}", WriteConsent)

    async def write(
        sql: str,
        consent: ElicitationResult[WriteConsent],
        params: Parameters | None = None,
        connection: str | None = None,
    ) -> CallToolResult:
        name = chosen(connection)
        if not (isinstance(consent, AcceptedElicitation) and consent.data.run):
            return tool_error("not run: the user did not agree")
        work = functools.partial(pools[name].run, sql, params or [], limits)
        try:
            found = await anyio.to_thread.run_sync(work)
        except DbError as exc:
            return tool_error(str(exc))
        changed = found["rows"][0][0]
        text = f"{changed} rows changed"
        structured = {"connection": name, "changed_rows": changed, "sql": sql}
        return tool_result(text, structured)

    # Given as an object, since the SDK evaluates annotations in the module, where `ask` is not.
    write.__annotations__["consent"] = Annotated[ElicitationResult[WriteConsent], Resolve(ask)]
    asking = Tool.from_function(write, NAME, description=_DESCRIPTION, structured_output=False)

    async def handler(invocation: ToolInvocation) -> CallToolResult | InputRequiredResult:
        result: CallToolResult | InputRequiredResult = await asking.run(
            invocation.arguments, invocation.context, convert_result=True
        )
        return result

    def input_schema(snapshot: SchemaSnapshot, connections: Sequence[str]) -> JSON:
        properties: JSON = {"sql": {"type": "string"}, "params": PARAMETERS}
        if only is None:
            properties = {"connection": {"enum": list(pools)}, **properties}
        return object_schema(properties, ["sql"] if only else ["connection", "sql"])

    return ToolDefinition(
        name=NAME,
        title="Change rows",
        description=constant(_DESCRIPTION),
        input_schema=input_schema,
        output_schema=_OUT,
        handler=handler,
        annotations=_ANNOTATIONS,
    )
