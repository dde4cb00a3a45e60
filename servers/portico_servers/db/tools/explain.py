"""`explain`: the plan of one statement, and where an index may be missing."""

from __future__ import annotations

from collections.abc import Sequence

from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.limits import StatementLimits
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools import render
from portico_servers.db.tools.definition import Arguments, ToolAnswer, ToolDefinition, constant, in_worker_thread
from portico_servers.db.tools.json_schemas import JSON, STRING_LIST, sql_input
from portico_servers.db.tools.query_plans import index_advice

_EXPLAIN_OUT: JSON = {
    "type": "object",
    "properties": {"connection": {"type": "string"}, "plan": STRING_LIST, "hints": STRING_LIST, "sql": {"type": "string"}},
    "required": ["connection", "plan", "hints", "sql"],
}


def answer_explain(
    databases: Databases, arguments: Arguments, limits: StatementLimits, cancellation: Cancellation
) -> ToolAnswer:
    """The plan of a statement, and where an index may be missing."""
    database = databases.choose(arguments.get("connection"))
    databases.snapshot()
    sql = str(arguments["sql"])
    plan = database.explain(sql, [], limits, cancellation)
    advice = index_advice(database.source.engine, plan, sql, database.schema)
    return ToolAnswer(
        {"connection": database.name, "plan": plan, "hints": advice, "sql": sql}, render.clipped([*plan, *advice])
    )


def _explain_in(snapshot: SchemaSnapshot, connections: Sequence[str]) -> JSON:
    return sql_input({"sql": {"type": "string"}}, connections)


EXPLAIN = ToolDefinition(
    name="explain",
    title="Explain SQL",
    description=constant("Show the query plan of one SQL statement."),
    input_schema=_explain_in,
    output_schema=_EXPLAIN_OUT,
    handler=in_worker_thread(answer_explain, _explain_in),
)
