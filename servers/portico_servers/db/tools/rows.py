"""`rows`: a structured query of one table and its parents, no SQL needed. What it means is `db/rows/`'s; here it is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portico_servers.db.databases.database import Database
from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.errors import DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.rows.arguments import resolve_query
from portico_servers.db.rows.query_text import query_text
from portico_servers.db.rows.sql_compiler import RowsQuery, compile_distinct_values, compile_query
from portico_servers.db.schema import QualifiedTable
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.suggestions import nearest
from portico_servers.db.tools import render
from portico_servers.db.tools.definition import Arguments, ToolAnswer, ToolDefinition, in_worker_thread
from portico_servers.db.tools.json_schemas import JSON
from portico_servers.db.tools.statement_result import RESULT_SCHEMA, result_text, statement_result, with_row_limit

_VALUES_COMPARED = 5_000


def answer_rows(databases: Databases, arguments: Arguments, limits: StatementLimits, cancellation: Cancellation) -> ToolAnswer:
    """A structured query, its rows, and where nothing matched the nearest values."""
    snapshot = databases.snapshot()
    qualified, query = resolve_query(arguments, snapshot.rows_schema, snapshot.tables)
    database = snapshot.owners[qualified.name]
    statement = compile_query(qualified.schema, query, database.dialect)
    found = database.run(statement.sql, statement.parameters, with_row_limit(limits, query.limit), cancellation)
    note = _nearest_values(database, qualified, query, limits, cancellation) if _no_match(query, found["rows"]) else None
    answer = statement_result(database, statement.sql, statement.parameters, found, note)
    answer["table"] = qualified.name
    return ToolAnswer(answer, _rows_text(qualified, query, answer))


def _rows_description(snapshot: SchemaSnapshot) -> str:
    names = ", ".join(snapshot.rows_schema.column_refs)
    text = "Count, sum, average, filter, group or list the data" + (f" in the tables {names}" if names else "")
    text = text if len(text) <= 119 else text[:118].rsplit(",", 1)[0] + ", …"
    asked = (
        "How many are there? Which one has the most? What is the total, average, highest or lowest? List or show all of them."
    )
    return f"{text}. No SQL needed. {asked}" + (f" ({snapshot.rows_schema.note}.)" if snapshot.rows_schema.note else "")


def _rows_in(snapshot: SchemaSnapshot, connections: Sequence[str]) -> JSON:
    return snapshot.rows_schema.input_schema


def _rows_text(qualified: QualifiedTable, query: RowsQuery, answer: dict[str, Any]) -> str:
    understood = query_text(qualified.name, query)
    if query.aggregate not in ("none", "distinct"):
        answer = {**answer, "rows": [[render.computed(cell) for cell in row] for row in answer["rows"]]}
    if query.aggregate not in ("none", "distinct") and not query.group_by:
        values = ", ".join(f"{name} = {render.value(v)}" for name, v in zip(answer["columns"], answer["rows"][0], strict=True))
        lines = [f"{understood}: {values}"]
    elif not answer["rows"]:
        lines = [f"no rows in {understood}"]
    else:
        lines = [f"{understood}:", result_text(answer)]
    if answer["note"]:
        lines.append(answer["note"])
    return render.clipped(lines)


def _no_match(query: RowsQuery, found: Sequence[Sequence[Any]]) -> bool:
    if not query.filters:
        return False
    if query.aggregate in ("none", "distinct") or query.group_by:
        return not found
    return all(value in (0, None) for value in found[0])


def _nearest_values(
    database: Database, qualified: QualifiedTable, query: RowsQuery, limits: StatementLimits, cancellation: Cancellation
) -> str | None:
    """For each condition on text that nothing meets: the nearest values that are there."""
    parts = []
    for item in query.filters:
        if not isinstance(item.value, str) or item.field.column.kind != "text" or item.op == "!=":
            continue
        statement = compile_distinct_values(qualified.schema, qualified.table, item.field, database.dialect, _VALUES_COMPARED)
        try:
            found = database.run(statement.sql, statement.parameters, with_row_limit(limits, _VALUES_COMPARED), cancellation)
        except DbError:
            continue  # a hint isn't worth an error
        values = [str(row[0]) for row in found["rows"] if row[0] is not None]
        if any(value.casefold() == item.value.casefold() for value in values):
            continue
        close = nearest(item.value, values)
        parts.append(f"no {item.field.path} is {item.value!r}" + (f"; the nearest are: {', '.join(close)}" if close else ""))
    return "; ".join(parts) or None


# Its arguments are checked where they are resolved, with more to say about what is wrong.
ROWS = ToolDefinition(
    name="rows",
    title="Ask the data",
    description=_rows_description,
    input_schema=_rows_in,
    output_schema=RESULT_SCHEMA,
    handler=in_worker_thread(answer_rows),
)
