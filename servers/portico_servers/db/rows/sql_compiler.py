"""From a checked query to SQL with bound parameters, joins to parents included. It runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from portico_servers.db.engines.dialect import SQLDialect
from portico_servers.db.rows.column_refs import ColumnRef, Join, joins, label_column
from portico_servers.db.rows.dates import iso_text, parse_period
from portico_servers.db.schema import DatabaseSchema, Table

DEFAULT_LIMIT = 50
_FUNCTIONS = {"sum": "SUM", "avg": "AVG", "min": "MIN", "max": "MAX", "count": "COUNT"}
# A date's comparison by the bounds of the period that it stands for: operator, and whether its end (else its start) counts.
_DATE_BOUNDS = {"<": ("<", False), ">=": (">=", False), "<=": ("<", True), ">": (">=", True)}
_COMPARE = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class RowFilter:
    """One condition of a query."""

    field: ColumnRef
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class RowsQuery:
    """A query of one table and its parents, its names resolved."""

    table: Table
    aggregate: str
    columns: tuple[ColumnRef, ...] = ()
    filters: tuple[RowFilter, ...] = ()
    group_by: ColumnRef | None = None
    order_by: ColumnRef | None = None
    order: str | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """SQL and the values bound to its placeholders."""

    sql: str
    parameters: list[Any] = field(default_factory=list)


def compile_query(schema: DatabaseSchema, query: RowsQuery, dialect: SQLDialect) -> CompiledStatement:
    """The statement that answers it. One row more than `limit` is not asked for here: the runner cuts."""
    return _SelectCompiler(schema, query, dialect).statement()


def compile_distinct_values(
    schema: DatabaseSchema, table: Table, of: ColumnRef, dialect: SQLDialect, limit: int
) -> CompiledStatement:
    """The different values of one field."""
    return compile_query(schema, RowsQuery(table, "none", group_by=of, limit=limit), dialect)


class _SelectCompiler:
    def __init__(self, schema: DatabaseSchema, query: RowsQuery, dialect: SQLDialect) -> None:
        self.schema, self.q, self.dialect = schema, query, dialect
        self.parameters: list[Any] = []
        self.columns = query.columns or self._default_columns()
        self.joins = self._needed_joins()
        self.quote = dialect.quote

    def statement(self) -> CompiledStatement:
        parts = [f"SELECT {self._select()}", f"FROM {self._from()}"]
        if self.q.filters:
            parts.append("WHERE " + " AND ".join(self._condition(item) for item in self.q.filters))
        grouped = self.q.group_by is not None and self.q.aggregate != "none"
        if grouped and self.q.group_by is not None:
            parts.append(f"GROUP BY {self._expression(self.q.group_by)}")
        if order := self._order():
            parts.append(f"ORDER BY {order}")
        if grouped or self.q.aggregate == "none":
            parts.append(f"LIMIT {int(self.q.limit)}")
        return CompiledStatement(" ".join(parts), self.parameters)

    def _default_columns(self) -> tuple[ColumnRef, ...]:
        """In a list: own columns, and what each parent is called. In an aggregate: none, which is all rows."""
        if self.q.aggregate != "none" or self.q.group_by is not None:
            return ()
        table = self.q.table
        own = [ColumnRef(c.name, c) for c in table.columns if c.kind != "other"]
        for join in joins(self.schema, table):
            if named := label_column(join.parent):
                own.append(ColumnRef(f"{join.prefix}.{named.name}", named, join))
        return tuple(own)

    def _needed_joins(self) -> list[Join]:
        used = [*self.columns, *(item.field for item in self.q.filters), self.q.group_by, self.q.order_by]
        found: dict[str, Join] = {}
        for item in used:
            if item is not None and item.join is not None:
                found.setdefault(item.join.prefix, item.join)
        return list(found.values())

    def _select(self) -> str:
        if self.q.aggregate == "none":
            items = [*([self.q.group_by] if self.q.group_by else []), *self.columns]
            distinct = "DISTINCT " if self.q.group_by else ""
            return distinct + ", ".join(self._named(item) for item in items)
        parts = [self._named(self.q.group_by)] if self.q.group_by else []
        return ", ".join([*parts, *(f"{expression} AS {self.quote(name)}" for expression, name in self._aggregates())])

    def _aggregates(self) -> list[tuple[str, str]]:
        if not self.columns:
            return [("COUNT(*)", "count")]
        if self.q.aggregate == "count_distinct":
            return [(f"COUNT(DISTINCT {self._expression(c)})", _alias("distinct", c)) for c in self.columns]
        function = _FUNCTIONS[self.q.aggregate]
        return [(f"{function}({self._expression(c)})", _alias(self.q.aggregate, c)) for c in self.columns]

    def _named(self, item: ColumnRef) -> str:
        expression = self._expression(item)
        return expression if expression == self.quote(item.path) else f"{expression} AS {self.quote(item.path)}"

    def _expression(self, item: ColumnRef) -> str:
        name = self.quote(item.column.name)
        if item.join is not None:
            name = f"{self.quote(item.join.prefix)}.{name}"
        elif self.joins:
            name = f"{self.quote(self.q.table.relation)}.{name}"
        return self.dialect.date_part(name, item.part) if item.part else self.dialect.value(name, item.column)

    def _from(self) -> str:
        table = self.q.table
        parts = [self.dialect.relation(table)]
        for join in self.joins:
            alias = self.quote(join.prefix)
            pairs = zip(join.key.columns, join.key.parent_columns, strict=True)
            on = " AND ".join(f"{alias}.{self.quote(p)} = {self.quote(table.relation)}.{self.quote(c)}" for c, p in pairs)
            named = "" if join.prefix == join.parent.relation and join.parent.schema is None else f" AS {alias}"
            parts.append(f"LEFT JOIN {self.dialect.relation(join.parent)}{named} ON {on}")
        return " ".join(parts)

    def _order(self) -> str:
        q = self.q
        if q.aggregate == "none":
            if q.order_by is None:
                return ""
            if q.group_by is not None and q.order_by.path not in {q.group_by.path, *(c.path for c in self.columns)}:
                return ""  # DISTINCT leaves nothing else to sort by
            return f"{self._expression(q.order_by)}{_direction(q.order or 'asc')}"
        if q.group_by is None:
            return ""
        group = self._expression(q.group_by)
        if q.order_by is not None and q.order_by.path == q.group_by.path:
            return f"{group}{_direction(q.order or 'asc')}"
        return f"{self._aggregates()[0][0]}{_direction(q.order or 'desc')}, {group}"

    def _condition(self, item: RowFilter) -> str:
        expression, column = self._expression(item.field), item.field.column
        if item.value is None:
            return f"{expression} IS {'NOT NULL' if item.op in ('!=', '<', '>') else 'NULL'}"
        if isinstance(item.value, bool):
            return f"{expression} {_COMPARE[item.op]} {self.dialect.boolean(item.value)}"
        if column.kind == "date":
            return self._date_condition(expression, item)
        if column.kind == "number" or not isinstance(item.value, str):
            return f"{expression} {_COMPARE[item.op]} {self._bind(item.value)}"
        text = self.dialect.text(expression, column)
        if item.op == "contains":
            return self.dialect.like(text, f"%{_escaped(item.value)}%", self._bind)
        if item.op == "starts with":
            return self.dialect.like(text, f"{_escaped(item.value)}%", self._bind)
        equal = self.dialect.equals(text, item.value, self._bind)
        return f"NOT ({equal})" if item.op == "!=" else equal

    def _date_condition(self, expression: str, item: RowFilter) -> str:
        covered = parse_period(str(item.value))
        if self.dialect.name == "sqlite" and covered.sub_day:
            expression = f"REPLACE({expression}, 'T', ' ')"

        def compare(op: str, end: bool) -> str:
            moment = covered.end if end else covered.start
            if moment is None:
                return "TRUE" if op == "<" else "FALSE"
            return f"{expression} {op} {self.dialect.moment(iso_text(moment, sub_day=covered.sub_day), self._bind)}"

        if item.op in ("=", "!="):
            inside = f"{compare('>=', False)} AND {compare('<', True)}"
            return inside if item.op == "=" else f"NOT ({inside})"
        return compare(*_DATE_BOUNDS[item.op])

    def _bind(self, value: Any) -> str:
        self.parameters.append(value)
        return self.dialect.placeholder(len(self.parameters))


def _alias(aggregate: str, item: ColumnRef) -> str:
    return f"{aggregate}_{item.path.replace('.', '_')}"


def _direction(order: str) -> str:
    return " DESC" if order == "desc" else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def filters_text(filters: Sequence[RowFilter]) -> str:
    """Conditions as a person reads them: `status = paid and total > 5`."""
    return " and ".join(f"{item.field.path} {item.op} {'empty' if item.value is None else item.value}" for item in filters)
