"""The rows of one statement as a tool's answer: `rows`, `query` and canned queries answer alike. It knows no tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portico_servers.db.databases.database import Database
from portico_servers.db.limits import StatementLimits
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools import render
from portico_servers.db.tools.definition import ToolAnswer
from portico_servers.db.tools.json_schemas import ANY_ROWS, JSON, NULLABLE_STRING, STRING_LIST

RESULT_SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "connection": {"type": "string"},
        "table": {"type": "string"},
        "columns": STRING_LIST,
        "rows": ANY_ROWS,
        "row_count": {"type": "integer"},
        "truncated": {"type": "boolean", "description": "More rows, bytes or cells were there than the limits allow."},
        "sql": {"type": "string", "description": "The statement that ran."},
        "params": {"type": "array", "description": "The values bound to it."},
        "markdown": {"type": "string", "description": "The rows as a Markdown table."},
        "note": {**NULLABLE_STRING, "description": "Where nothing matched: the nearest values."},
    },
    "required": ["connection", "columns", "rows", "row_count", "truncated", "sql", "params", "markdown", "note"],
}


def run_statement(
    database: Database, sql: str, parameters: Sequence[Any], limits: StatementLimits, cancellation: Cancellation
) -> ToolAnswer:
    """The rows of one statement."""
    found = database.run(sql, parameters, limits, cancellation)
    answer = statement_result(database, sql, parameters, found, None)
    return ToolAnswer(answer, result_text(answer))


def statement_result(
    database: Database, sql: str, parameters: Sequence[Any], found: dict[str, Any], note: str | None
) -> dict[str, Any]:
    return {
        "connection": database.name,
        "columns": found["columns"],
        "rows": found["rows"],
        "row_count": len(found["rows"]),
        "truncated": found["truncated"],
        "sql": sql,
        "params": list(parameters),
        "markdown": render.markdown(found["columns"], found["rows"]),
        "note": note,
    }


def result_text(answer: dict[str, Any]) -> str:
    if not answer["rows"]:
        return "no rows"
    text = render.markdown(answer["columns"], answer["rows"], render.TEXT_CHARACTERS - 200)
    return text + ("\n(cut at the limit: there is more)" if answer["truncated"] else "")


def with_row_limit(limits: StatementLimits, rows: Any) -> StatementLimits:
    return StatementLimits(int(rows), limits.bytes, limits.seconds)
