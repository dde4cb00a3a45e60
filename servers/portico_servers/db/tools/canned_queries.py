"""Canned queries as tools of their own: the owner's SQL, the caller's typed parameters. It knows no engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portico_servers.db.config import QueryConfig
from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.errors import DatabaseConfigError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.statements.placeholders import bind_placeholders
from portico_servers.db.suggestions import did_you_mean
from portico_servers.db.tools.definition import Arguments, ToolAnswer, ToolDefinition, constant, in_worker_thread
from portico_servers.db.tools.json_schemas import object_schema
from portico_servers.db.tools.statement_result import RESULT_SCHEMA, run_statement


def canned_query_tools(queries: Sequence[QueryConfig], connections: Sequence[str]) -> tuple[ToolDefinition, ...]:
    """One tool a query. DatabaseConfigError where one names no connection that there is."""
    return tuple(_tool(query, connections) for query in queries)


def _tool(query: QueryConfig, connections: Sequence[str]) -> ToolDefinition:
    connection = query.connection or (connections[0] if len(connections) == 1 else None)
    if connection not in connections:
        wrong = (
            f"no connection {connection!r}{did_you_mean(connection, connections)}" if connection else "connection is missing"
        )
        raise DatabaseConfigError(f"query {query.name}: {wrong} (there are: {', '.join(connections)})")
    schema = object_schema(
        {name: param.json_schema() for name, param in query.params.items()},
        [name for name, param in query.params.items() if param.default is None],
    )

    def input_schema(snapshot: SchemaSnapshot, connections: Sequence[str]) -> dict[str, Any]:
        return schema

    def answer(databases: Databases, arguments: Arguments, limits: StatementLimits, cancellation: Cancellation) -> ToolAnswer:
        database = databases.choose(connection)
        given = {name: arguments.get(name, param.default) for name, param in query.params.items()}
        sql, values = bind_placeholders(query.sql, given, database.dialect.placeholder)
        return run_statement(database, sql, values, limits, cancellation)

    title = query.title or query.name.replace("_", " ").capitalize()
    return ToolDefinition(
        name=query.name,
        title=title,
        description=constant(query.description),
        input_schema=input_schema,
        output_schema=RESULT_SCHEMA,
        handler=in_worker_thread(answer, input_schema),
    )
