"""What each tool does, free of MCP: checked arguments in, an `Answer` out. It runs statements through `Databases` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portico_servers.db.databases.database import Cancellation, Database, Databases
from portico_servers.db.errors import ArgumentError, DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.rows.arguments import resolve_query
from portico_servers.db.rows.input_schema import QualifiedTable
from portico_servers.db.rows.sql_compiler import RowsQuery, compile_distinct_values, compile_query, filters_text
from portico_servers.db.schema import Table
from portico_servers.db.suggestions import nearest
from portico_servers.db.tools import render

Arguments = Mapping[str, Any]

_SAMPLE_ROWS = 3
_VALUES_COMPARED = 5_000
_TABLES_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """Structured content, and the short text beside it."""

    structured: dict[str, Any]
    text: str


def tables(databases: Databases, arguments: Arguments, limits: StatementLimits, call: Cancellation) -> ToolAnswer:
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
        f"{item['name']}{_about(item['rows'])}: {', '.join(c.name for c in snapshot.tables[item['name']].table.columns)}"
        for item in items
    ]
    text = _clipped([*lines, *([note] if note else []), *(["(more tables: pass next_cursor)"] if more else [])]) or "no tables"
    cursor = str(start + _TABLES_A_PAGE) if more else None
    return ToolAnswer({"tables": items, "complete": not more and not problems, "note": note, "next_cursor": cursor}, text)


def describe(databases: Databases, arguments: Arguments, limits: StatementLimits, call: Cancellation) -> ToolAnswer:
    """One table: columns, keys, indexes, a few rows."""
    database, named = databases.snapshot().table(arguments.get("table"))
    table = named.table
    columns = [
        {"name": c.name, "type": c.type, "nullable": c.nullable, "primary_key": c.primary_key > 0, "values": list(c.values)}
        for c in table.columns
    ]
    keys = [
        {"columns": list(k.columns), "parent": k.parent, "parent_columns": list(k.parent_columns)} for k in table.foreign_keys
    ]
    sample = _sample(database, table, limits, call)
    structured = {
        **_summary(database, named),
        "columns": columns,
        "foreign_keys": keys,
        "indexes": [list(index) for index in table.indexes],
        "sample": sample,
    }
    return ToolAnswer(structured, _clipped([schema_text(named), "", render.markdown(sample["columns"], sample["rows"], 500)]))


def rows(databases: Databases, arguments: Arguments, limits: StatementLimits, call: Cancellation) -> ToolAnswer:
    """The structured question."""
    snapshot = databases.snapshot()
    named, query = resolve_query(arguments, snapshot.rows_schema, snapshot.tables)
    database = snapshot.owners[named.name]
    statement = compile_query(named.schema, query, database.dialect)
    found = database.run(statement.sql, statement.parameters, _with_rows(limits, query.limit), call)
    note = _hint(database, named, query, limits, call) if _no_match(query, found["rows"]) else None
    answer = _result(database, statement.sql, statement.parameters, found, note)
    answer["table"] = named.name
    return ToolAnswer(answer, _rows_text(named, query, answer))


def query(databases: Databases, arguments: Arguments, limits: StatementLimits, call: Cancellation) -> ToolAnswer:
    """One statement in SQL, its parameters bound."""
    database = databases.choose(arguments.get("connection"))
    rows = arguments.get("limit") or limits.rows
    return sql_answer(database, str(arguments["sql"]), arguments.get("params") or [], _with_rows(limits, rows), call)


def sql_answer(
    database: Database, sql: str, parameters: Sequence[Any], limits: StatementLimits, call: Cancellation
) -> ToolAnswer:
    """The rows of one statement."""
    found = database.run(sql, parameters, limits, call)
    answer = _result(database, sql, parameters, found, None)
    return ToolAnswer(answer, _table_text(answer))


def explain(databases: Databases, arguments: Arguments, limits: StatementLimits, call: Cancellation) -> ToolAnswer:
    """The plan of a statement, and where an index may be missing."""
    from portico_servers.db.tools.query_plans import index_advice

    database = databases.choose(arguments.get("connection"))
    databases.snapshot()
    sql = str(arguments["sql"])
    plan = database.explain(sql, [], limits, call)
    advice = index_advice(database.source.engine, plan, sql, database.schema)
    return ToolAnswer({"connection": database.name, "plan": plan, "hints": advice, "sql": sql}, _clipped([*plan, *advice]))


def schema_text(named: QualifiedTable) -> str:
    """A table's columns and keys, a line each."""
    lines = [f"{named.name} ({'view' if named.table.view else 'table'}{_about(named.table.row_estimate)})"]
    parents = {name: key for key in named.table.foreign_keys for name in key.columns}
    for column in named.table.columns:
        marks = [column.type.lower() or "any"]
        if column.primary_key:
            marks.append("primary key")
        if (key := parents.get(column.name)) is not None:
            marks.append(f"-> {key.parent}.{key.parent_columns[key.columns.index(column.name)]}")
        if column.values:
            marks.append("one of " + ", ".join(column.values))
        lines.append(f"- {column.name}: {', '.join(marks)}")
    return "\n".join(lines)


def _result(database: Database, sql: str, parameters: Sequence[Any], found: dict[str, Any], note: str | None) -> dict[str, Any]:
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


def _rows_text(named: QualifiedTable, query: RowsQuery, answer: dict[str, Any]) -> str:
    where = f" where {filters_text(query.filters)}" if query.filters else ""
    if query.aggregate != "none" and query.group_by is None:
        values = ", ".join(f"{name} = {render.value(v)}" for name, v in zip(answer["columns"], answer["rows"][0], strict=True))
        lines = [f"{named.name}{where}: {values}"]
    elif not answer["rows"]:
        lines = [f"no rows in {named.name}{where}"]
    else:
        lines = [f"{named.name}{where}:", _table_text(answer)]
    if answer["note"]:
        lines.append(answer["note"])
    return _clipped(lines)


def _table_text(answer: dict[str, Any]) -> str:
    if not answer["rows"]:
        return "no rows"
    text = render.markdown(answer["columns"], answer["rows"], render.TEXT_CHARACTERS - 200)
    return text + ("\n(cut at the limit: there is more)" if answer["truncated"] else "")


def _no_match(query: RowsQuery, found: Sequence[Sequence[Any]]) -> bool:
    if not query.filters:
        return False
    if query.aggregate == "none" or query.group_by is not None:
        return not found
    return all(value in (0, None) for value in found[0])


def _hint(
    database: Database, named: QualifiedTable, query: RowsQuery, limits: StatementLimits, call: Cancellation
) -> str | None:
    """For each condition on text that nothing meets: the nearest values that are there."""
    parts = []
    for item in query.filters:
        if not isinstance(item.value, str) or item.field.column.kind != "text" or item.op == "!=":
            continue
        statement = compile_distinct_values(named.schema, named.table, item.field, database.dialect, _VALUES_COMPARED)
        try:
            found = database.run(statement.sql, statement.parameters, _with_rows(limits, _VALUES_COMPARED), call)
        except DbError:
            continue  # a hint isn't worth an error
        values = [str(row[0]) for row in found["rows"] if row[0] is not None]
        if any(value.casefold() == item.value.casefold() for value in values):
            continue
        close = nearest(item.value, values)
        parts.append(f"no {item.field.path} is {item.value!r}" + (f"; the nearest are: {', '.join(close)}" if close else ""))
    return "; ".join(parts) or None


def _sample(database: Database, table: Table, limits: StatementLimits, call: Cancellation) -> dict[str, Any]:
    quote = database.dialect.quote
    name = quote(table.relation) if table.schema is None else f"{quote(table.schema)}.{quote(table.relation)}"
    found = database.run(f"SELECT * FROM {name} LIMIT {_SAMPLE_ROWS}", [], limits, call)
    return {"columns": found["columns"], "rows": found["rows"]}


def _summary(database: Database, named: QualifiedTable) -> dict[str, Any]:
    table = named.table
    return {
        "name": named.name,
        "connection": database.name,
        "kind": "view" if table.view else "table",
        "column_count": len(table.columns),
        "rows": table.row_estimate,
        "parents": sorted({key.parent for key in table.foreign_keys}),
    }


def _with_rows(limits: StatementLimits, rows: Any) -> StatementLimits:
    return StatementLimits(int(rows), limits.bytes, limits.seconds)


def _about(estimate: int | None) -> str:
    return "" if estimate is None else f", about {estimate:,} rows"


def _page(cursor: Any, size: int) -> int:
    if cursor is None:
        return 0
    if not str(cursor).isdigit() or int(cursor) >= max(size, 1):
        raise ArgumentError(f"cursor: {cursor!r} is not one that this tool gave")
    return int(cursor)


def _clipped(lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    return text if len(text) <= render.TEXT_CHARACTERS else text[: render.TEXT_CHARACTERS - 2].rstrip() + "\n…"
