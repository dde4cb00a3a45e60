"""The input schema of `rows`, made from a live schema: one branch a table, so that nothing wrong can be said.

Written for a small model that decodes it under a grammar from left to right: first the table, then what to compute, then the
conditions; names are enums, most of the rest is forced. Everything stands under one property, since hosts' APIs refuse `anyOf`
at the top of a tool's schema. It knows no SQL.

Cells never enter it (tool definitions go to the host's cloud): value enums come from CHECK constraints and enum types, and from
lookup columns that the owner configured.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portico_servers.db.rows.column_refs import ColumnRef, column_refs, every_column_ref
from portico_servers.db.rows.implied_keys import with_implied_keys
from portico_servers.db.schema import QualifiedTable

ROOT = "ask"
AGGREGATES = ("none", "count", "sum", "avg", "min", "max", "count_distinct", "distinct", "percent")
OPERAND_AGGREGATES = ("avg", "min", "max")  # of what a condition may compare with
ANY_OF = "in"  # the operator whose value is a list
MAX_ALTERNATIVES = 50  # values of that list
MAX_GROUPS = 6  # columns to group by
MAX_FILTERS = 4
MAX_LIMIT = 1000
MAX_NUMBER = 10**12  # what a number is compared with: without a bound small models write digits without end
TEXT_OPS = ("=", "!=", "contains", "starts with")
NUMBER_OPS = ("=", "!=", "<", "<=", ">", ">=")
VALUE_OPS = ("=", "!=")
DATE_PATTERN = r"^\d{4}(-\d\d(-\d\d([ T]\d\d:\d\d)?)?)?$"
BUDGET = 9_850  # characters of compact JSON; a token has 2.8 of them
_PARENT_COLUMNS = (1_000, 8, 6, 4, 2, 0)  # of each parent, tried in turn
_WORTH_SHARING = 100  # characters of a list of names, from which on a definition of it is shorter than the list twice

# What people say for a key, or (`option: "words"`) for one of its values; "..." is where what they mean stands, and a key in
# backquotes lends its words (docs/tool-descriptions.md). Hosts' models read it, and the gateway's guidance does.
_AGGREGATE_WORDS = (
    'none: "list", "show", "which", "who", "what are", "give me"; count: "how many", "number of", "count", "the most", '
    '"most often", "most frequent", "most common", "the fewest"; sum: "total", "sum", "how much"; avg: "average", "mean"; '
    'max: "highest", "largest", "longest", "maximum"; min: "lowest", "smallest", "shortest", "cheapest", "minimum"; '
    'count_distinct: "how many different", "number of different"'
)
_FILTER_WORDS = (
    '>: "more than", "over", "above", "after", "longer than"; <: "less than", "under", "below", "before", "fewer than", '
    '"shorter than"; >=: "at least", "since", "between", "... or more"; <=: "at most", "until", "between ... and ..."; '
    'null: "no", "not", "without", "never"; !=: "not in", "except"; contains: "containing"'
)
_GROUP_WORDS = (
    'Said as "each ...", "every ...", "per ...", "by ...", "which ... the most", "who ... the most", "which ... the fewest", '
    '"which ... most often"'
)
_ORDER_BY_WORDS = 'Said as `order`, "the most ...", "... the most?", "the fewest ...", "top ... by ...", "sorted by ..."'
_ORDER_WORDS = (
    'asc: "oldest", "first", "cheapest", "fewest", "lowest", "smallest", "shortest"; '
    'desc: "newest", "latest", "last", "youngest", "most", "top", "most expensive", "highest", "largest", "longest"'
)
_LIMIT_WORDS = '"top ...", "first ..."; 1: `order`'

JSON = dict[str, Any]
_NEVER: JSON = {"not": {}}  # a key that must not be there; several APIs don't take `false`
_SHARED = {"ask", "ask_plain", "plain", "total", "text", "number", "date", "boolean", "listed"}


@dataclass(frozen=True, slots=True)
class RowsSchema:
    """The schema, and what may be named: every table's fields, listed or not."""

    input_schema: JSON
    column_refs: Mapping[str, tuple[ColumnRef, ...]]
    note: str | None = None  # what was left out to keep within the budget
    validators: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)  # by table, made when first needed
    _every: dict[str, dict[str, ColumnRef]] = dataclasses.field(default_factory=dict, compare=False)

    def every_ref(self, table: QualifiedTable) -> Mapping[str, ColumnRef]:
        """All that a query of the table may name, listed or not."""
        if table.name not in self._every:
            self._every[table.name] = every_column_ref(
                with_implied_keys(table.schema), with_implied_keys(table.schema).by_name[table.table.name]
            )
        return self._every[table.name]


def build_rows_schema(tables: Sequence[QualifiedTable], *, budget: int = BUDGET) -> RowsSchema:
    """The fullest schema within `budget`: all parents' columns, fewer of each, none, at last columns as plain strings."""
    every = {item.name: column_refs(item.schema, item.table) for item in tables}
    for limit in _PARENT_COLUMNS if every else ():
        listed = {name: _within(found, limit) for name, found in every.items()}
        schema = _schema(listed)
        if len(json.dumps(schema, separators=(",", ":"))) <= budget:
            return RowsSchema(schema, listed, None if listed == every else "some columns of parent tables need SQL")
    return RowsSchema(
        _loose(tuple(every)), every, "columns are not listed: see describe" if every else "there are no tables yet"
    )


def table_schema(name: str, found: Sequence[ColumnRef]) -> JSON:
    """What a query of one table may be, all in all: besides what is listed it may group by several columns, compare with a
    column or an aggregate in place of a value, ask for different rows only, and for what part of the rows that fit `of` fits
    `filters`."""
    schema = _schema({name: found})
    ask, shared = schema["properties"][ROOT]["anyOf"][0], schema["$defs"]
    names = {"$ref": f"#/$defs/{_key(name)}"} if found else False
    operand = _closed({"column": names, "aggregate": {"enum": list(OPERAND_AGGREGATES)}}, ["column"])
    for kind in ("text", "number", "date", "boolean", "listed"):
        if kind in shared:
            plain = shared[kind]["properties"]["value"]
            several = {"type": "array", "items": plain, "minItems": 1, "maxItems": MAX_ALTERNATIVES}
            shared[kind]["properties"]["value"] = {"anyOf": [plain, operand, several]}
            shared[kind]["properties"]["op"]["enum"].append(ANY_OF)
    for shape in ask["properties"].get("filters", {}).get("items", {}).get("anyOf", ()):
        shape["properties"].pop("value", None)  # listed values are checked where names are resolved
    if found:
        ask["properties"]["group_by"] = {"anyOf": [names, {"type": "array", "items": names, "maxItems": MAX_GROUPS}]}
        shared["ask"]["properties"]["group_by"].pop("type")
    distinct = {"properties": {"aggregate": {"const": "distinct"}, "group_by": _NEVER}, "required": ["columns"]}
    percent = {
        "properties": {"aggregate": {"const": "percent"}, "columns": _NEVER, "group_by": _NEVER},
        "required": ["filters"],
    }
    shared["plain"]["anyOf"] += [distinct, percent]
    if "filters" in ask["properties"]:
        ask["properties"]["of"] = ask["properties"]["filters"]
        shared["ask"]["properties"]["of"] = shared["ask"]["properties"]["filters"]
    return {**ask, "$defs": shared}


def _closed(properties: JSON, required: list[str]) -> JSON:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _within(found: Sequence[ColumnRef], limit: int) -> tuple[ColumnRef, ...]:
    """Own columns, and at most `limit` of each parent's."""
    taken: Counter[str] = Counter()
    kept = []
    for field in found:
        if field.join is not None:
            taken[field.join.prefix] += 1
            if taken[field.join.prefix] > limit:
                continue
        kept.append(field)
    return tuple(kept)


def _schema(listed: Mapping[str, Sequence[ColumnRef]]) -> JSON:
    columns = [f.column for found in listed.values() for f in found]
    kinds = {"listed" if column.values else column.kind for column in columns}
    branches, names = [], {}
    for name, found in listed.items():
        defs, text = _names(_key(name), found) if found else ({}, {})
        names.update(defs)
        branches.append(_branch(name, found, text))
    return _root({"anyOf": branches}, {**_shared(kinds), **names})


def _names(key: str, found: Sequence[ColumnRef]) -> tuple[JSON, JSON]:
    """A table's names as definitions, and a schema of its text columns: a definition of its own where there are many."""
    texts = [f.path for f in found if _shape(f) == "text"]
    others = [f.path for f in found if _shape(f) != "text"]
    if len(json.dumps(texts)) < _WORTH_SHARING or not others:
        return {key: {"enum": [f.path for f in found]}}, {"enum": texts}
    text = {"$ref": f"#/$defs/{key}.text"}
    return {f"{key}.text": {"enum": texts}, key: {"anyOf": [text, {"enum": others}]}}, text


def _shape(field: ColumnRef) -> str | None:
    """The kind of condition that fits a field: by its kind, or by its own values; none for a part of a date."""
    if field.part is not None:
        return None
    return "listed" if field.column.values else field.column.kind


def _branch(name: str, found: Sequence[ColumnRef], text: JSON) -> JSON:
    """One table's branch of the query: `ask` with this table's names in the open places."""
    if not found:  # nothing that can be compared or shown: its rows can be counted
        closed: JSON = dict.fromkeys(("columns", "filters", "group_by", "order_by"), _NEVER)
        return {"$ref": "#/$defs/ask", "properties": {"table": {"const": name}, "aggregate": {"const": "count"}, **closed}}
    columns = {"$ref": f"#/$defs/{_key(name)}"}
    properties = {
        "table": {"const": name},
        "columns": {"items": columns},
        "filters": {"items": {"anyOf": _filters(found, text)}},
        "group_by": columns,
        "order_by": columns,
    }
    numbers = [f.path for f in found if f.summable]
    if not numbers:
        return {"$ref": "#/$defs/ask_plain", "properties": properties}
    total = {"$ref": "#/$defs/total", "properties": {"columns": {"items": {"enum": numbers}}}}
    return {"$ref": "#/$defs/ask", "properties": properties, "anyOf": [{"$ref": "#/$defs/plain"}, total]}


def _filters(found: Sequence[ColumnRef], text: JSON) -> list[JSON]:
    """A condition's shapes: one for each kind of column that there is, and one for each column with listed values."""
    shapes: list[JSON] = []
    for kind in ("text", "number", "date", "boolean"):
        paths = [f.path for f in found if _shape(f) == kind]
        if paths:
            column = text if kind == "text" else {"enum": paths}
            shapes.append({"$ref": f"#/$defs/{kind}", "properties": {"column": column}})
    for field in found:
        if _shape(field) == "listed":
            value: JSON = {"enum": list(field.column.values)}
            narrowed = {"column": {"const": field.path}, "value": _or_null(value) if field.column.nullable else value}
            shapes.append({"$ref": "#/$defs/listed", "properties": narrowed})
    return shapes


def _ask() -> JSON:
    """The query's keys, in the order in which a model decides them."""
    properties: JSON = {
        "table": {"type": "string"},
        "aggregate": {"type": "string", "description": _AGGREGATE_WORDS},
        "columns": {"type": "array", "minItems": 1},
        "filters": {"type": "array", "maxItems": MAX_FILTERS, "description": _FILTER_WORDS},
        "group_by": {"type": "string", "description": _GROUP_WORDS},
        "order_by": {"type": "string", "description": _ORDER_BY_WORDS},
        "order": {"enum": ["asc", "desc"], "description": _ORDER_WORDS},
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "description": _LIMIT_WORDS},
    }
    return {"type": "object", "properties": properties, "required": ["table", "aggregate"], "additionalProperties": False}


def _shared(kinds: set[str]) -> JSON:
    conditions: JSON = {
        "text": _condition(TEXT_OPS, _or_null({"type": "string"})),
        "number": _condition(NUMBER_OPS, _or_null({"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER})),
        "date": _condition(NUMBER_OPS, _or_null({"type": "string", "pattern": DATE_PATTERN})),
        "boolean": _condition(VALUE_OPS, _or_null({"type": "boolean"})),
        "listed": _condition(VALUE_OPS, _or_null({"type": "string"})),
    }
    one: JSON = {"columns": {"maxItems": 1}}  # small models would repeat the name without end
    plain = [
        {"properties": {"aggregate": {"const": "none"}, "group_by": _NEVER}},
        {"properties": {"aggregate": {"const": "count"}, "columns": _NEVER}},
        {"properties": {"aggregate": {"enum": ["min", "max", "count_distinct"]}, **one}, "required": ["columns"]},
    ]
    return {
        "ask": _ask(),
        "plain": {"anyOf": plain},
        "ask_plain": {"$ref": "#/$defs/ask", "allOf": [{"$ref": "#/$defs/plain"}]},
        "total": {"properties": {"aggregate": {"enum": ["sum", "avg"]}, **one}, "required": ["columns"]},
        **{kind: shape for kind, shape in conditions.items() if kind in kinds},
    }


def _condition(ops: Sequence[str], value: JSON) -> JSON:
    properties = {"column": {"type": "string"}, "op": {"enum": list(ops)}, "value": value}
    return {"type": "object", "properties": properties, "required": ["column", "op", "value"], "additionalProperties": False}


def _or_null(value: JSON) -> JSON:
    """Not as a list of types: several APIs take none."""
    return {"anyOf": [value, {"type": "null"}]}


def _loose(names: Sequence[str]) -> JSON:
    ask, text = _ask(), {"type": "string"}
    ask["properties"]["table"] = {"enum": list(names)} if names else {"type": "string"}
    ask["properties"]["aggregate"]["enum"] = list(AGGREGATES)
    condition = _condition(
        [*NUMBER_OPS, *TEXT_OPS[2:]], {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
    )
    condition["properties"]["column"] = text
    ask["properties"]["filters"]["items"] = condition
    ask["properties"]["columns"]["items"] = text
    ask["properties"]["group_by"].update(text)
    ask["properties"]["order_by"].update(text)
    return _root(ask, {})


def _root(ask: JSON, defs: JSON) -> JSON:
    schema: JSON = {"type": "object", "properties": {ROOT: ask}, "required": [ROOT]}
    return {**schema, "$defs": defs} if defs else schema


def _key(name: str) -> str:
    """A table's name as a key of $defs: one that needs no escaping in a JSON pointer and meets none of the shared ones."""
    key = re.sub(r"[^A-Za-z0-9_.]", lambda match: f"_{ord(match[0]):x}", name)
    return f"{key}." if key in _SHARED else key
