"""`query`: one SELECT of the caller's."""

from __future__ import annotations

from collections.abc import Sequence

from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.limits import StatementLimits
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.definition import Arguments, ToolAnswer, ToolDefinition, constant, in_worker_thread
from portico_servers.db.tools.json_schemas import JSON, PARAMETERS, sql_input
from portico_servers.db.tools.statement_result import RESULT_SCHEMA, run_statement, with_row_limit


def answer_query(databases: Databases, arguments: Arguments, limits: StatementLimits, cancellation: Cancellation) -> ToolAnswer:
    """One statement in SQL, its parameters bound."""
    database = databases.choose(arguments.get("connection"))
    rows = arguments.get("limit") or limits.rows
    return run_statement(
        database, str(arguments["sql"]), arguments.get("params") or [], with_row_limit(limits, rows), cancellation
    )


def _query_in(snapshot: SchemaSnapshot, connections: Sequence[str]) -> JSON:
    properties: JSON = {
        "sql": {"type": "string"},
        "params": PARAMETERS,
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    }
    return sql_input(properties, connections)


QUERY = ToolDefinition(
    name="query",
    title="Run SQL",
    description=constant("Run one read-only SQL SELECT statement."),
    input_schema=_query_in,
    output_schema=RESULT_SCHEMA,
    handler=in_worker_thread(answer_query, _query_in),
)
