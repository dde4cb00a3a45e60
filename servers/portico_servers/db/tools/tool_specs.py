"""The tools as hosts see them: names, titles, schemas, and descriptions that a very small model can choose by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp_types import Tool, ToolAnnotations

from portico_servers.common.tools import READ_ONLY
from portico_servers.db.database import Call, Databases, View
from portico_servers.db.statements.limits import Limits
from portico_servers.db.tools import tools as answers
from portico_servers.db.tools.tools import Answer, Arguments

JSON = dict[str, Any]
Run = Callable[[Databases, Arguments, Limits, Call], Answer]

_NOTE: JSON = {"anyOf": [{"type": "string"}, {"type": "null"}]}  # several APIs take no list of types
_SCALAR: JSON = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
PARAMETERS: JSON = {"type": "array", "items": _SCALAR}
_ANY_ROWS: JSON = {"type": "array", "items": {"type": "array"}}
_NAMES: JSON = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool. `input_schema` is made anew from each view of the databases."""

    name: str
    title: str
    description: Callable[[View], str]
    input_schema: Callable[[View, Sequence[str]], JSON]
    output_schema: JSON
    run: Run
    annotations: ToolAnnotations = field(default_factory=lambda: READ_ONLY)

    def tool(self, view: View, connections: Sequence[str]) -> Tool:
        """As tools/list shows it."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description(view),
            input_schema=self.input_schema(view, connections),
            output_schema=self.output_schema,
            annotations=self.annotations,
        )


def object_schema(properties: JSON, required: Sequence[str] = ()) -> JSON:
    """A closed object."""
    schema: JSON = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return {**schema, "additionalProperties": False}


RESULT_SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "connection": {"type": "string"},
        "table": {"type": "string"},
        "columns": _NAMES,
        "rows": _ANY_ROWS,
        "row_count": {"type": "integer"},
        "truncated": {"type": "boolean", "description": "More rows, bytes or cells were there than the limits allow."},
        "sql": {"type": "string", "description": "The statement that ran."},
        "params": {"type": "array", "description": "The values bound to it."},
        "markdown": {"type": "string", "description": "The rows as a Markdown table."},
        "note": {**_NOTE, "description": "Where nothing matched: the nearest values."},
    },
    "required": ["connection", "columns", "rows", "row_count", "truncated", "sql", "params", "markdown", "note"],
}
_SUMMARY: JSON = {
    "name": {"type": "string"},
    "connection": {"type": "string"},
    "kind": {"enum": ["table", "view"]},
    "column_count": {"type": "integer"},
    "rows": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "An estimate."},
    "parents": _NAMES,
}
_TABLES_OUT: JSON = {
    "type": "object",
    "properties": {
        "tables": {"type": "array", "items": {"type": "object", "properties": _SUMMARY, "required": list(_SUMMARY)}},
        "complete": {"type": "boolean"},
        "note": _NOTE,
        "next_cursor": _NOTE,
    },
    "required": ["tables", "complete", "note", "next_cursor"],
}
_DESCRIBE_OUT: JSON = {
    "type": "object",
    "properties": {
        **_SUMMARY,
        "columns": {"type": "array", "items": {"type": "object"}},
        "foreign_keys": {"type": "array", "items": {"type": "object"}},
        "indexes": {"type": "array", "items": _NAMES},
        "sample": {"type": "object", "properties": {"columns": _NAMES, "rows": _ANY_ROWS}, "required": ["columns", "rows"]},
    },
    "required": [*_SUMMARY, "columns", "foreign_keys", "indexes", "sample"],
}
_EXPLAIN_OUT: JSON = {
    "type": "object",
    "properties": {"connection": {"type": "string"}, "plan": _NAMES, "hints": _NAMES, "sql": {"type": "string"}},
    "required": ["connection", "plan", "hints", "sql"],
}


def _tables_in(view: View, connections: Sequence[str]) -> JSON:
    return object_schema({"cursor": {"type": "string"}} if len(view.tables) > 100 else {})


def _describe_in(view: View, connections: Sequence[str]) -> JSON:
    table: JSON = {"enum": list(view.tables)} if 0 < len(view.tables) <= 60 else {"type": "string"}
    return object_schema({"table": table}, ["table"])


def _query_in(view: View, connections: Sequence[str]) -> JSON:
    properties: JSON = {
        "sql": {"type": "string"},
        "params": PARAMETERS,
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    }
    return _of_connection(properties, connections)


def _explain_in(view: View, connections: Sequence[str]) -> JSON:
    return _of_connection({"sql": {"type": "string"}}, connections)


def _of_connection(properties: JSON, connections: Sequence[str]) -> JSON:
    """The properties of a tool that takes SQL: which connection comes first where there are several."""
    if len(connections) == 1:
        return object_schema(properties, ["sql"])
    return object_schema({"connection": {"enum": list(connections)}, **properties}, ["connection", "sql"])


def _rows_description(view: View) -> str:
    names = ", ".join(view.rows.fields)
    text = "Count, sum, average, filter, group or list the data" + (f" in the tables {names}" if names else "")
    text = text if len(text) <= 119 else text[:118].rsplit(",", 1)[0] + ", …"
    asked = (
        "How many are there? Which one has the most? What is the total, average, highest or lowest? List or show all of them."
    )
    return f"{text}. No SQL needed. {asked}" + (f" ({view.rows.note}.)" if view.rows.note else "")


def _said(text: str) -> Callable[[View], str]:
    return lambda view: text


def _rows_in(view: View, connections: Sequence[str]) -> JSON:
    return view.rows.input_schema


_TABLES, _DESCRIBE = (
    "List the tables of the database. Which tables are there?",
    "Columns, keys and sample rows of one table. Which columns does it have?",
)
_QUERY, _EXPLAIN = "Run one read-only SQL SELECT statement.", "Show the query plan of one SQL statement."

BUILT_IN: tuple[ToolSpec, ...] = (
    ToolSpec("rows", "Ask the data", _rows_description, _rows_in, RESULT_SCHEMA, answers.rows),
    ToolSpec("tables", "List tables", _said(_TABLES), _tables_in, _TABLES_OUT, answers.tables),
    ToolSpec("describe", "Describe a table", _said(_DESCRIBE), _describe_in, _DESCRIBE_OUT, answers.describe),
    ToolSpec("query", "Run SQL", _said(_QUERY), _query_in, RESULT_SCHEMA, answers.query),
    ToolSpec("explain", "Explain SQL", _said(_EXPLAIN), _explain_in, _EXPLAIN_OUT, answers.explain),
)
