"""A call's arguments against the live schema: jsonschema decides; a refusal names the nearest right thing.

(A schema swapped in tools/list doesn't guard the function by itself.) It runs no SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portico_servers.common.validation import first_error, validator
from portico_servers.db.errors import ArgumentError
from portico_servers.db.rows.column_refs import ColumnRef
from portico_servers.db.rows.dates import parse_period
from portico_servers.db.rows.input_schema import (
    AGGREGATES,
    ANY_OF,
    MAX_ALTERNATIVES,
    MAX_LIMIT,
    NUMBER_OPS,
    OPERAND_AGGREGATES,
    ROOT,
    TEXT_OPS,
    VALUE_OPS,
    RowsSchema,
    table_schema,
)
from portico_servers.db.rows.sql_compiler import DEFAULT_LIMIT, Operand, RowFilter, RowsQuery
from portico_servers.db.schema import QualifiedTable
from portico_servers.db.suggestions import did_you_mean

_OPS: Mapping[str, Sequence[str]] = {"text": TEXT_OPS, "number": NUMBER_OPS, "date": NUMBER_OPS, "boolean": VALUE_OPS}
_KEYS = ("table", "aggregate", "columns", "filters", "of", "group_by", "order_by", "order", "limit")


def resolve_query(
    arguments: Mapping[str, Any], rows: RowsSchema, tables: Mapping[str, QualifiedTable]
) -> tuple[QualifiedTable, RowsQuery]:
    """The table, and the query of it with its names resolved. ArgumentError."""
    ask = arguments.get(ROOT)
    if not isinstance(ask, Mapping) or set(arguments) != {ROOT}:
        raise ArgumentError(
            f"the arguments must be one object under {ROOT!r}: {{{ROOT!r}: {{'table': ..., 'aggregate': ...}}}}"
        )
    for key in ask:
        if key not in _KEYS:
            raise ArgumentError(f"unknown key {key!r}{did_you_mean(str(key), _KEYS)} (known: {', '.join(_KEYS)})")
    if not rows.column_refs:
        raise ArgumentError("there are no tables in the database")
    table = tables[_chosen("table", ask.get("table"), [name for name in tables if name in rows.column_refs])]
    found = rows.every_ref(table)
    aggregate = _chosen("aggregate", ask.get("aggregate"), AGGREGATES)
    query = RowsQuery(
        table=table.table,
        aggregate=aggregate,
        columns=tuple(_field("columns", name, found) for name in _list("columns", ask.get("columns"))),
        filters=tuple(_filter(item, found) for item in _list("filters", ask.get("filters"))),
        group_by=tuple(_field("group_by", name, found) for name in _names("group_by", ask.get("group_by"))),
        order_by=_field("order_by", ask["order_by"], found) if "order_by" in ask else None,
        order=_chosen("order", ask["order"], ("asc", "desc")) if "order" in ask else None,
        limit=_limit(ask.get("limit", DEFAULT_LIMIT)),
        of=tuple(_filter(item, found) for item in _list("of", ask.get("of"))),
    )
    _check_aggregate(query, found)
    _check_schema(ask, table, rows, found)
    return table, query


def _check_aggregate(query: RowsQuery, found: Mapping[str, ColumnRef]) -> None:
    if query.of and query.aggregate != "percent":
        raise ArgumentError("of goes with percent alone: the conditions of the whole; put yours into filters")
    if query.aggregate == "percent":
        if query.columns or query.group_by:
            raise ArgumentError("percent takes neither columns nor group_by, it compares numbers of rows")
        if not query.filters:
            raise ArgumentError("percent needs filters: which part of the rows it is of")
        return
    if query.aggregate in ("none", "distinct"):
        if query.group_by:
            raise ArgumentError("group_by needs an aggregate: count lists the different values, each with its number")
        if query.aggregate == "distinct" and not query.columns:
            raise ArgumentError("distinct needs columns: which ones to list the different values of")
        return
    if query.aggregate == "count":
        if query.columns:
            raise ArgumentError("count takes no columns, it counts rows: filter by != null for those that have a value")
        return
    if not query.columns:
        raise ArgumentError(f"{query.aggregate} needs columns: which one to compute it of")
    if query.aggregate in ("sum", "avg"):
        for field in query.columns:
            if not field.summable:
                numbers = [f.path for f in found.values() if f.summable]
                known = ", ".join(numbers) or "none"
                raise ArgumentError(f"{query.aggregate} needs number columns, not {field.path!r} (there are: {known})")


def _check_schema(ask: Mapping[str, Any], table: QualifiedTable, rows: RowsSchema, found: Mapping[str, ColumnRef]) -> None:
    """The table's own schema decides: an error of all branches together would speak of other tables."""
    if table.name not in rows.validators:
        rows.validators[table.name] = validator(table_schema(table.name, tuple(found.values())))
    if (error := first_error(rows.validators[table.name], ask)) is not None:
        where = "/".join(str(part) for part in error.absolute_path)
        raise ArgumentError(f"{where or ROOT}: {error.message}")


def _chosen(key: str, value: Any, options: Sequence[str]) -> str:
    if isinstance(value, str) and value in options:
        return value
    if value is None:
        raise ArgumentError(f"{key!r} is missing: one of {_some(options)}")
    raise ArgumentError(f"{key}: {value!r} is not one of {_some(options)}{did_you_mean(str(value), options)}")


def _field(key: str, name: Any, found: Mapping[str, ColumnRef]) -> ColumnRef:
    return found[_chosen(key, name, list(found))]


def _limit(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_LIMIT:
        raise ArgumentError(f"limit: must be a whole number from 1 to {MAX_LIMIT}, {value!r} is none")
    return value


def _names(key: str, value: Any) -> Sequence[Any]:
    """One name, or several."""
    return [value] if isinstance(value, str) else _list(key, value)


def _list(key: str, value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ArgumentError(f"{key}: must be a list")
    return value


def _filter(item: Any, found: Mapping[str, ColumnRef]) -> RowFilter:
    if not isinstance(item, Mapping) or set(item) != {"column", "op", "value"}:
        raise ArgumentError("filters: each must be {column, op, value}")
    field = _field("filters/column", item["column"], found)
    if field.part is not None:
        raise ArgumentError(f"filters/column: filter {field.column.name!r} itself, with a value such as 2024 or 2024-05")
    kind = field.column.kind
    if item["op"] == ANY_OF:
        return _any_of(item, field, found)
    op = _chosen("filters/op", item["op"], VALUE_OPS if field.column.values else _OPS[kind])
    value = item["value"]
    if isinstance(value, Mapping):
        return RowFilter(field, op, _operand(value, field, op, found))
    right = {
        "text": isinstance(value, str),
        "date": isinstance(value, str),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
    }[kind]
    if kind == "date" and isinstance(value, str):
        parse_period(value)
    if value is not None and not right:
        raise ArgumentError(f"filters/value: {field.path!r} is compared with a {kind} value, {value!r} is none")
    if field.column.values and value is not None:
        _chosen(f"filters/value of {field.path}", value, field.column.values)
    return RowFilter(field, op, value)


def _any_of(item: Mapping[str, Any], field: ColumnRef, found: Mapping[str, ColumnRef]) -> RowFilter:
    """One of several values, each as "=" takes it."""
    values = _list("filters/value", item["value"])
    if not 1 <= len(values) <= MAX_ALTERNATIVES:
        raise ArgumentError(f"filters/value: {ANY_OF!r} takes a list of 1 to {MAX_ALTERNATIVES} values")
    checked = [_filter({**item, "op": "=", "value": value}, found) for value in values]
    return RowFilter(field, ANY_OF, tuple(one.value for one in checked))


def _operand(value: Mapping[str, Any], compared: ColumnRef, op: str, found: Mapping[str, ColumnRef]) -> Operand:
    """`{"column": name}`, or `{"aggregate": "avg", "column": name}`, of the kind that it is compared with."""
    if not {"column"} <= set(value) <= {"column", "aggregate"}:
        raise ArgumentError("filters/value: an object must be {column} or {aggregate, column}")
    field = _field("filters/value/column", value["column"], found)
    aggregate = _chosen("filters/value/aggregate", value["aggregate"], OPERAND_AGGREGATES) if "aggregate" in value else None
    if field.column.kind != compared.column.kind or field.part is not None:
        raise ArgumentError(f"filters/value: {compared.path!r} ({compared.column.kind}) can't be compared with {field.path!r}")
    if aggregate == "avg" and field.column.kind != "number":
        raise ArgumentError(f"filters/value: there is no average of {field.path!r}")
    if op in TEXT_OPS[2:]:
        raise ArgumentError(f"filters/op: {op!r} takes a text")
    return Operand(field, aggregate)


def _some(options: Sequence[str], n: int = 12) -> str:
    return (", ".join(options[:n]) or "none at all") + (", …" if len(options) > n else "")
