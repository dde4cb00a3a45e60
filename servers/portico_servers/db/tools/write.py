"""The tool `write`: off unless the owner's config allows it for a connection, destructive by annotation, run only with consent.

Consent is asked of the host's user for the exact statement and its values, over whichever way the protocol's era has (the SDK's
resolvers). A host that can't ask can't write. Each statement runs in a worker of its own that may write.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Annotated, Any

import anyio
import anyio.to_thread
from mcp.server.mcpserver import AcceptedElicitation, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, Tool, ToolAnnotations
from pydantic import BaseModel, Field

from portico_servers.common.tools import tool_error, tool_result
from portico_servers.db.errors import ConfigError, DbError
from portico_servers.db.sources import Source
from portico_servers.db.statements.limits import Limits
from portico_servers.db.statements.workers import Pool
from portico_servers.db.suggest import did_you_mean
from portico_servers.db.tools.tool_specs import PARAMETERS, object_schema

NAME = "write"
Values = list[str | int | float | bool | None]
_DESCRIPTION = "Change rows with one INSERT, UPDATE or DELETE, after the user has agreed."
_OUT: dict[str, Any] = {
    "type": "object",
    "properties": {"connection": {"type": "string"}, "changed_rows": {"type": "integer"}, "sql": {"type": "string"}},
    "required": ["connection", "changed_rows", "sql"],
}


class Consent(BaseModel):
    """What the user is asked."""

    run: bool = Field(title="Run it", description="Run this statement on the database.")


def writable(sources: Mapping[str, Source]) -> dict[str, Pool]:
    """A pool that may write for each of these sources. ConfigError for an engine that can't."""
    for source in sources.values():
        if source.engine == "duckdb":
            raise ConfigError(
                f"connections.{source.name}.write: DuckDB files are only read (one process may write, or many read)"
            )
    return {name: Pool(dataclasses.replace(source, writable=True), size=1) for name, source in sources.items()}


def add_write(server: MCPServer[None], pools: Mapping[str, Pool], limits: Limits) -> Tool:
    """Register the tool, and return it as tools/list shows it."""
    only = next(iter(pools)) if len(pools) == 1 else None

    def chosen(connection: str | None) -> str:
        name = connection or only
        if name is None or name not in pools:
            raise ToolError(
                f"connection: {name!r} can't be written{did_you_mean(name or '', pools)} (there are: {', '.join(pools)})"
            )
        return name

    def ask(sql: str, params: Values | None, connection: str | None) -> Elicit[Consent]:
        values = f"\nwith {json.dumps(params, ensure_ascii=False)}" if params else ""
        return Elicit(f"Change the database {chosen(connection)} with:\n{sql}{values}", Consent)

    async def write(
        sql: str,
        consent: ElicitationResult[Consent],
        params: Values | None = None,
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
    write.__annotations__["consent"] = Annotated[ElicitationResult[Consent], Resolve(ask)]
    annotations = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)
    server.add_tool(
        write, NAME, title="Change rows", description=_DESCRIPTION, annotations=annotations, structured_output=False
    )
    properties: dict[str, Any] = {
        "sql": {"type": "string"},
        "params": PARAMETERS,
    }
    if only is None:
        properties = {"connection": {"enum": list(pools)}, **properties}
    schema = object_schema(properties, ["sql"] if only else ["connection", "sql"])
    return Tool(
        name=NAME,
        title="Change rows",
        description=_DESCRIPTION,
        input_schema=schema,
        output_schema=_OUT,
        annotations=annotations,
    )
