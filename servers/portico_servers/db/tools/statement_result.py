"""The rows of one statement as a tool's answer: `rows`, `query` and canned queries answer alike. It knows no tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portico_servers.db.databases.database import Database
from portico_servers.db.limits import CELL_CHARACTERS, StatementLimits
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools import render
from portico_servers.db.tools.definition import ToolAnswer
from portico_servers.db.tools.json_schemas import ANY_ROWS, JSON, NULLABLE_STRING, STRING_LIST

_NOTES_CHARACTERS = 260  # of the text: kept for what is said of rows and cells left out
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
    """The rows within the text's bound; what is left out or cut is said, and how to read it."""
    rows = answer["rows"]
    if not rows:
        return "no rows"
    table = render.text_table(answer["columns"], rows, render.TEXT_CHARACTERS - _NOTES_CHARACTERS)
    lines = [table.text]
    left = len(rows) - table.shown
    if left:
        lines.append(f"({left} more rows of this answer: read on with LIMIT and OFFSET {table.shown} in SQL, or narrow it)")
    if table.cut_at is not None:
        lines.append(f"(… marks a cut cell: substr(column, {table.cut_at}, 900) in a query of that cell alone reads on)")
    elif any(isinstance(cell, str) and len(cell) > CELL_CHARACTERS for row in rows[: table.shown] for cell in row):
        lines.append(f"(… marks a cut cell: substr(column, {CELL_CHARACTERS + 1}, 900) in a query reads on)")
    if answer["truncated"]:
        lines.append("(cut at the limit: there is more)")
    return "\n".join(lines)


def with_row_limit(limits: StatementLimits, rows: Any) -> StatementLimits:
    return StatementLimits(int(rows), limits.bytes, limits.seconds)
