"""What each tool does, free of MCP: checked arguments in, an `Answer` out. It runs statements through `Databases` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portico_servers.db.database import Call, Database, Databases
from portico_servers.db.errors import ArgumentError, DbError
from portico_servers.db.rows import check
from portico_servers.db.rows.compile import Question, compile_question, compile_values, shown
from portico_servers.db.rows.tool_schema import Named
from portico_servers.db.schema import Table
from portico_servers.db.statements.limits import Limits
from portico_servers.db.suggest import nearest
from portico_servers.db.tools import render

Arguments = Mapping[str, Any]

_SAMPLE_ROWS = 3
_VALUES_COMPARED = 5_000
_TABLES_A_PAGE = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """Structured content, and the short text beside it."""

    structured: dict[str, Any]
    text: str


def tables(databases: Databases, arguments: Arguments, limits: Limits, call: Call) -> Answer:
    """Every table: name, kind, number of columns, estimated rows, parents."""
    view = databases.view()
    names = list(view.tables)
    start = _page(arguments.get("cursor"), len(names))
    shown_names = names[start : start + _TABLES_A_PAGE]
    items = [_summary(view.owners[name], view.tables[name]) for name in shown_names]
    more = start + _TABLES_A_PAGE < len(names)
    problems = [f"{name}: {text}" for name, text in databases.problems.items()]
    warnings = [d.warning for d in databases.all if d.warning]
    note = "; ".join([*problems, *warnings]) or None
    lines = [
        f"{item['name']}{_about(item['rows'])}: {', '.join(c.name for c in view.tables[item['name']].table.columns)}"
        for item in items
    ]
    text = _clipped([*lines, *([note] if note else []), *(["(more tables: pass next_cursor)"] if more else [])]) or "no tables"
    cursor = str(start + _TABLES_A_PAGE) if more else None
    return Answer({"tables": items, "complete": not more and not problems, "note": note, "next_cursor": cursor}, text)


def describe(databases: Databases, arguments: Arguments, limits: Limits, call: Call) -> Answer:
    """One table: columns, keys, indexes, a few rows."""
    database, named = databases.view().table(arguments.get("table"))
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
    return Answer(structured, _clipped([schema_text(named), "", render.markdown(sample["columns"], sample["rows"], 500)]))


def rows(databases: Databases, arguments: Arguments, limits: Limits, call: Call) -> Answer:
    """The structured question."""
    view = databases.view()
    named, question = check.resolve(arguments, view.rows, view.tables)
    database = view.owners[named.name]
    statement = compile_question(named.schema, question, database.dialect)
    found = database.run(statement.sql, statement.parameters, _with_rows(limits, question.limit), call)
    note = _hint(database, named, question, limits, call) if _no_match(question, found["rows"]) else None
    answer = _result(database, statement.sql, statement.parameters, found, note)
    answer["table"] = named.name
    return Answer(answer, _rows_text(named, question, answer))


def query(databases: Databases, arguments: Arguments, limits: Limits, call: Call) -> Answer:
    """One statement in SQL, its parameters bound."""
    database = databases.choose(arguments.get("connection"))
    rows = arguments.get("limit") or limits.rows
    return sql_answer(database, str(arguments["sql"]), arguments.get("params") or [], _with_rows(limits, rows), call)


def sql_answer(database: Database, sql: str, parameters: Sequence[Any], limits: Limits, call: Call) -> Answer:
    """The rows of one statement."""
    found = database.run(sql, parameters, limits, call)
    answer = _result(database, sql, parameters, found, None)
    return Answer(answer, _table_text(answer))


def explain(databases: Databases, arguments: Arguments, limits: Limits, call: Call) -> Answer:
    """The plan of a statement, and where an index may be missing."""
    from portico_servers.db.tools.query_plans import hints

    database = databases.choose(arguments.get("connection"))
    databases.view()
    sql = str(arguments["sql"])
    plan = database.explain(sql, [], limits, call)
    advice = hints(database.source.engine, plan, sql, database.schema)
    return Answer({"connection": database.name, "plan": plan, "hints": advice, "sql": sql}, _clipped([*plan, *advice]))


def schema_text(named: Named) -> str:
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


def _rows_text(named: Named, question: Question, answer: dict[str, Any]) -> str:
    where = f" where {shown(question.filters)}" if question.filters else ""
    if question.aggregate != "none" and question.group_by is None:
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


def _no_match(question: Question, found: Sequence[Sequence[Any]]) -> bool:
    if not question.filters:
        return False
    if question.aggregate == "none" or question.group_by is not None:
        return not found
    return all(value in (0, None) for value in found[0])


def _hint(database: Database, named: Named, question: Question, limits: Limits, call: Call) -> str | None:
    """For each condition on text that nothing meets: the nearest values that are there."""
    parts = []
    for item in question.filters:
        if not isinstance(item.value, str) or item.field.column.kind != "text" or item.op == "!=":
            continue
        statement = compile_values(named.schema, named.table, item.field, database.dialect, _VALUES_COMPARED)
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


def _sample(database: Database, table: Table, limits: Limits, call: Call) -> dict[str, Any]:
    quote = database.dialect.quote
    name = quote(table.relation) if table.schema is None else f"{quote(table.schema)}.{quote(table.relation)}"
    found = database.run(f"SELECT * FROM {name} LIMIT {_SAMPLE_ROWS}", [], limits, call)
    return {"columns": found["columns"], "rows": found["rows"]}


def _summary(database: Database, named: Named) -> dict[str, Any]:
    table = named.table
    return {
        "name": named.name,
        "connection": database.name,
        "kind": "view" if table.view else "table",
        "column_count": len(table.columns),
        "rows": table.row_estimate,
        "parents": sorted({key.parent for key in table.foreign_keys}),
    }


def _with_rows(limits: Limits, rows: Any) -> Limits:
    return Limits(int(rows), limits.bytes, limits.seconds)


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
