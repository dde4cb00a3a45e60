"""A query as a person reads it: `orders where status = paid and total > 5, by city, the most first`. It knows no SQL."""

from __future__ import annotations

from collections.abc import Sequence

from portico_servers.db.rows.sql_compiler import Operand, RowFilter, RowsQuery

_FUNCTIONS = {"avg": "average", "min": "lowest", "max": "highest"}


def query_text(name: str, query: RowsQuery) -> str:
    """What a query of the table called `name` asks: its conditions, groups and order. What it computes, its columns say."""
    where = f" where {filters_text(query.filters)}" if query.filters else ""
    groups = f" by {', '.join(item.path for item in query.group_by)}" if query.group_by else ""
    whole = f" (of those where {filters_text(query.of)})" if query.of else ""
    return f"{name}{where}{whole}{groups}{_order(query)}"


def filters_text(filters: Sequence[RowFilter]) -> str:
    """Conditions: `status = paid and total > 5`."""
    return " and ".join(_condition(item) for item in filters)


def _condition(item: RowFilter) -> str:
    if item.value is None:
        return f"{item.field.path} is {'not ' if item.op in ('!=', '<', '>') else ''}empty"
    op = "=" if isinstance(item.value, tuple) else item.op
    return f"{item.field.path} {op} {_value(item.value)}"


def _value(value: object) -> str:
    if isinstance(value, Operand):
        return f"{_FUNCTIONS[value.aggregate]} {value.field.path}" if value.aggregate else value.field.path
    if isinstance(value, tuple):
        return " or ".join(map(_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _order(query: RowsQuery) -> str:
    if query.group_by and query.aggregate != "none":
        many, few = ("most", "fewest") if query.aggregate == "count" else ("highest", "lowest")
        return f", {many if query.order == 'desc' else few} first" if query.order else ""
    if query.order_by is None:
        return ""
    dated = query.order_by.column.kind == "date"
    first = ("latest" if dated else "highest") if query.order == "desc" else ("earliest" if dated else "lowest")
    return (
        f", {first} {query.order_by.path} first"
        if query.order_by.column.kind in ("date", "number")
        else f", by {query.order_by.path}"
    )
