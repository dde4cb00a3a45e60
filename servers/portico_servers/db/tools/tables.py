"""`tables` and `describe`: what the databases are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portico_servers.common.text_budget import within
from portico_servers.db.databases.database import Database
from portico_servers.db.databases.databases import Databases
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.errors import ArgumentError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.schema import QualifiedTable, Table
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools import render
from portico_servers.db.tools.definition import Arguments, ToolAnswer, ToolDefinition, constant, in_worker_thread
from portico_servers.db.tools.json_schemas import ANY_ROWS, JSON, NULLABLE_STRING, STRING_LIST, object_schema

_SAMPLE_ROWS = 3
_TABLES_A_PAGE = 100
_REST_CHARACTERS = 80  # of a text: kept for what is said of the rest
_SAMPLE_CHARACTERS = 500
_SUMMARY: JSON = {
    "name": {"type": "string"},
    "connection": {"type": "string"},
    "kind": {"enum": ["table", "view"]},
    "column_count": {"type": "integer"},
    "rows": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "An estimate."},
    "parents": STRING_LIST,
}
_TABLES_OUT: JSON = {
    "type": "object",
    "properties": {
        "tables": {"type": "array", "items": {"type": "object", "properties": _SUMMARY, "required": list(_SUMMARY)}},
        "complete": {"type": "boolean"},
        "note": NULLABLE_STRING,
        "next_cursor": NULLABLE_STRING,
    },
    "required": ["tables", "complete", "note", "next_cursor"],
}
_DESCRIBE_OUT: JSON = {
    "type": "object",
    "properties": {
        **_SUMMARY,
        "columns": {"type": "array", "items": {"type": "object"}},
        "foreign_keys": {"type": "array", "items": {"type": "object"}},
        "indexes": {"type": "array", "items": STRING_LIST},
        "sample": {"type": "object", "properties": {"columns": STRING_LIST, "rows": ANY_ROWS}, "required": ["columns", "rows"]},
    },
    "required": [*_SUMMARY, "columns", "foreign_keys", "indexes", "sample"],
}


def answer_tables(
    databases: Databases, arguments: Arguments, limits: StatementLimits, cancellation: Cancellation
) -> ToolAnswer:
    """Every table: name, kind, number of columns, estimated rows, parents."""
    snapshot = databases.snapshot()
    names = list(snapshot.tables)
    start = _page(arguments.get("cursor"), len(names))
    shown_names = names[start : start + _TABLES_A_PAGE]
    items = [_summary(snapshot.owners[name], snapshot.tables[name]) for name in shown_names]
    more = start + _TABLES_A_PAGE < len(names)
    problems = [f"{name}: {text}" for name, text in databases.problems.items()]
    warnings = [d.warning for d in databases.all if d.warning]
    note = "; ".join([*problems, *warnings]) or None
    lines = [
        f"{item['name']}{_row_estimate(item['rows'])}: {', '.join(c.name for c in snapshot.tables[item['name']].table.columns)}"
        for item in items
    ]
    cursor = str(start + _TABLES_A_PAGE) if more else None
    structured = {"tables": items, "complete": not more and not problems, "note": note, "next_cursor": cursor}
    return ToolAnswer(structured, _tables_text(lines, start, len(names), note))


def _tables_text(lines: Sequence[str], start: int, total: int, note: str | None) -> str:
    """As many tables as fit, and the cursor of the rest: the text goes on where it ends itself."""
    tail = [note] if note else []
    text, shown = within(lines, render.TEXT_CHARACTERS - _REST_CHARACTERS - len(note or ""))
    left = total - start - shown
    rest = [f"(+{left} more tables, with cursor {start + shown})"] if left else []
    return render.clipped([*([text] if shown else ["no tables"]), *rest, *tail])


def answer_describe(
    databases: Databases, arguments: Arguments, limits: StatementLimits, cancellation: Cancellation
) -> ToolAnswer:
    """One table: columns, keys, indexes, a few rows."""
    database, qualified = databases.snapshot().table(arguments.get("table"))
    table = qualified.table
    columns = [
        {"name": c.name, "type": c.type, "nullable": c.nullable, "primary_key": c.primary_key > 0, "values": list(c.values)}
        for c in table.columns
    ]
    keys = [
        {"columns": list(k.columns), "parent": k.parent, "parent_columns": list(k.parent_columns)} for k in table.foreign_keys
    ]
    sample = _sample(database, table, limits, cancellation)
    structured = {
        **_summary(database, qualified),
        "columns": columns,
        "foreign_keys": keys,
        "indexes": [list(index) for index in table.indexes],
        "sample": sample,
    }
    return ToolAnswer(structured, _describe_text(qualified, sample))


def _describe_text(qualified: QualifiedTable, sample: dict[str, Any]) -> str:
    """Columns, then sample rows where there is room for them."""
    head, *columns = table_text(qualified).split("\n")
    text, shown = within(columns, render.TEXT_CHARACTERS - len(head) - _REST_CHARACTERS)
    left = len(columns) - shown
    if left:
        return "\n".join([head, text, f"(+{left} more columns: a query of SELECT * with LIMIT 1 names them)"])
    rows = render.text_table(sample["columns"], sample["rows"], _SAMPLE_CHARACTERS)
    lines = [head, *([text] if columns else []), "", rows.text]
    cut = [f"(… marks a cut cell: substr(column, {rows.cut_at}, 900) in a query reads on)"] if rows.cut_at else []
    return render.clipped([*lines, *cut])


def table_text(qualified: QualifiedTable) -> str:
    """A table's columns and keys, a line each."""
    lines = [f"{qualified.name} ({'view' if qualified.table.view else 'table'}{_row_estimate(qualified.table.row_estimate)})"]
    parents = {name: key for key in qualified.table.foreign_keys for name in key.columns}
    for column in qualified.table.columns:
        marks = [column.type.lower() or "any"]
        if column.primary_key:
            marks.append("primary key")
        if (key := parents.get(column.name)) is not None:
            marks.append(f"-> {key.parent}.{key.parent_columns[key.columns.index(column.name)]}")
        if column.values:
            marks.append("one of " + ", ".join(column.values))
        lines.append(f"- {column.name}: {', '.join(marks)}")
    return "\n".join(lines)


def _tables_in(snapshot: SchemaSnapshot, connections: Sequence[str]) -> JSON:
    return object_schema({"cursor": {"type": "string"}})


def _describe_in(snapshot: SchemaSnapshot, connections: Sequence[str]) -> JSON:
    table: JSON = {"enum": list(snapshot.tables)} if 0 < len(snapshot.tables) <= 60 else {"type": "string"}
    return object_schema({"table": table}, ["table"])


def _sample(database: Database, table: Table, limits: StatementLimits, cancellation: Cancellation) -> dict[str, Any]:
    found = database.run(f"SELECT * FROM {database.dialect.relation(table)} LIMIT {_SAMPLE_ROWS}", [], limits, cancellation)
    return {"columns": found["columns"], "rows": found["rows"]}


def _summary(database: Database, qualified: QualifiedTable) -> dict[str, Any]:
    table = qualified.table
    return {
        "name": qualified.name,
        "connection": database.name,
        "kind": "view" if table.view else "table",
        "column_count": len(table.columns),
        "rows": table.row_estimate,
        "parents": sorted({key.parent for key in table.foreign_keys}),
    }


def _row_estimate(estimate: int | None) -> str:
    return "" if estimate is None else f", about {estimate:,} rows"


def _page(cursor: Any, size: int) -> int:
    if cursor is None:
        return 0
    given = str(cursor)
    if not (given.isascii() and given.isdigit()) or len(given) > 9 or int(given) >= max(size, 1):
        raise ArgumentError(f"cursor: {given[:40]!r} is not one that this tool gave")
    return int(given)


TABLES = ToolDefinition(
    name="tables",
    title="List tables",
    description=constant("List the tables of the database. Which tables are there?"),
    input_schema=_tables_in,
    output_schema=_TABLES_OUT,
    handler=in_worker_thread(answer_tables, _tables_in),
)
DESCRIBE = ToolDefinition(
    name="describe",
    title="Describe a table",
    description=constant("Columns, keys and sample rows of one table. Which columns does it have?"),
    input_schema=_describe_in,
    output_schema=_DESCRIBE_OUT,
    handler=in_worker_thread(answer_describe, _describe_in),
)
