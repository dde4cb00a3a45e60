"""Canned queries as tools of their own: the owner's SQL, the caller's typed parameters. It knows no engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portico_servers.db.config import QueryConfig
from portico_servers.db.databases.database import Cancellation, Databases, SchemaSnapshot
from portico_servers.db.errors import DatabaseConfigError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.statements.placeholders import bind_placeholders
from portico_servers.db.suggestions import did_you_mean
from portico_servers.db.tools import rows as answers
from portico_servers.db.tools.definition import RESULT_SCHEMA, ToolDefinition, object_schema
from portico_servers.db.tools.rows import Arguments, ToolAnswer


def canned_query_tools(queries: Sequence[QueryConfig], connections: Sequence[str]) -> tuple[ToolDefinition, ...]:
    """One tool a query. ConfigError where one names no connection that there is."""
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

    def run(databases: Databases, arguments: Arguments, limits: StatementLimits, call: Cancellation) -> ToolAnswer:
        database = databases.choose(connection)
        given = {name: arguments.get(name, param.default) for name, param in query.params.items()}
        sql, values = bind_placeholders(query.sql, given, database.dialect.placeholder)
        return answers.sql_answer(database, sql, values, limits, call)

    title = query.title or query.name.replace("_", " ").capitalize()
    return ToolDefinition(query.name, title, lambda snapshot: query.description, input_schema, RESULT_SCHEMA, run)
