"""From a checked query to SQL with bound parameters, joins to parents included. It runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from portico_servers.db.engines.dialect import SQLDialect
from portico_servers.db.rows.column_refs import ColumnRef, Join, joins, label_columns
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
    value: Any  # a plain value, or an Operand


@dataclass(frozen=True, slots=True)
class Operand:
    """What a condition compares with in place of a value: a column, or an aggregate of one over all of the table's rows."""

    field: ColumnRef
    aggregate: str | None = None

    def __str__(self) -> str:
        return f"{self.aggregate} {self.field.path}" if self.aggregate else self.field.path


@dataclass(frozen=True, slots=True)
class RowsQuery:
    """A query of one table and its parents, its names resolved."""

    table: Table
    aggregate: str
    columns: tuple[ColumnRef, ...] = ()
    filters: tuple[RowFilter, ...] = ()
    group_by: tuple[ColumnRef, ...] = ()
    order_by: ColumnRef | None = None
    order: str | None = None
    limit: int = DEFAULT_LIMIT
    of: tuple[RowFilter, ...] = ()  # of a percentage: which rows are the whole, of which `filters` tell a part


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
    return compile_query(schema, RowsQuery(table, "distinct", (of,), limit=limit), dialect)


class _SelectCompiler:
    def __init__(self, schema: DatabaseSchema, query: RowsQuery, dialect: SQLDialect) -> None:
        self.schema, self.q, self.dialect = schema, query, dialect
        self.parameters: list[Any] = []
        self.columns = query.columns or self._default_columns()
        self.quote = dialect.quote
        conditions = (*query.filters, *query.of)
        used = [*self.columns, *(item.field for item in conditions), *query.group_by, query.order_by]
        used += [item.value.field for item in conditions if _is_column(item.value)]
        self.joins, self.counts = _needed(used)

    def statement(self) -> CompiledStatement:
        if self.q.aggregate == "percent":
            return CompiledStatement(self._percent(), self.parameters)
        parts = [f"SELECT {self._select()}", f"FROM {self._from()}"]
        if self.q.filters:
            parts.append("WHERE " + " AND ".join(self._condition(item) for item in self.q.filters))
        grouped = bool(self.q.group_by) and not self._lists
        if grouped:
            parts.append(f"GROUP BY {', '.join(self._expression(item) for item in self.q.group_by)}")
        if order := self._order():
            parts.append(f"ORDER BY {order}")
        if grouped or self._lists:
            parts.append(f"LIMIT {int(self.q.limit)}")
        return CompiledStatement(" ".join(parts), self.parameters)

    def _percent(self) -> str:
        """What part of the whole fits, with both numbers."""
        fits = f"CASE WHEN {' AND '.join(map(self._condition, self.q.filters))} THEN 1 ELSE 0 END"
        whole = f" WHERE {' AND '.join(map(self._condition, self.q.of))}" if self.q.of else ""
        return (
            f"SELECT ROUND(100.0 * SUM(fits) / NULLIF(COUNT(*), 0), 2) AS {self.quote('percent')}, "
            f"COALESCE(SUM(fits), 0) AS {self.quote('count')}, COUNT(*) AS {self.quote('of')} "
            f"FROM (SELECT {fits} AS fits FROM {self._from()}{whole}) AS compared"
        )

    @property
    def _lists(self) -> bool:
        return self.q.aggregate in ("none", "distinct")

    def _default_columns(self) -> tuple[ColumnRef, ...]:
        """In a list: own columns, and what each parent is called. In an aggregate: none, which is all rows."""
        if not self._lists:
            return ()
        table = self.q.table
        own = [ColumnRef(c.name, c) for c in table.columns if c.kind != "other"]
        for join in joins(self.schema, table):
            own += [ColumnRef(f"{join.prefix}.{named.name}", named, join) for named in label_columns(join.parent)]
        return tuple(own)

    def _select(self) -> str:
        if self._lists:
            distinct = "DISTINCT " if self.q.aggregate == "distinct" else ""
            return distinct + ", ".join(self._named(item) for item in self.columns)
        parts = [self._named(item) for item in self.q.group_by]
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
        if item.children is not None:
            return f"COALESCE({self.quote(item.path)}.{self.quote('count')}, 0)"
        name = self.quote(item.column.name)
        if item.join is not None:
            name = f"{self.quote(item.join.prefix)}.{name}"
        elif self.joins or self.counts:
            name = f"{self.quote(self.q.table.relation)}.{name}"
        value = self.dialect.value(name, item.column)
        return self.dialect.date_part(value, item.part) if item.part else value

    def _from(self, joined: Sequence[Join] | None = None) -> str:
        """The table with the parents that are needed (all of the query's where none are said), and with counts of children."""
        parts = [self.dialect.relation(self.q.table)]
        parts += [self._join(join) for join in (self.joins if joined is None else joined)]
        if joined is None:
            parts += [self._count_join(item) for item in self.counts]
        return " ".join(parts)

    def _join(self, join: Join) -> str:
        alias = self.quote(join.prefix)
        pairs = zip(join.key.columns, join.key.parent_columns, strict=True)
        on = " AND ".join(f"{alias}.{self.quote(p)} = {self._owner(join.via)}.{self.quote(c)}" for c, p in pairs)
        named = "" if join.prefix == join.parent.relation and join.parent.schema is None else f" AS {alias}"
        return f"LEFT JOIN {self.dialect.relation(join.parent)}{named} ON {on}"

    def _count_join(self, item: ColumnRef) -> str:
        assert item.children is not None
        key, alias = item.children.key, self.quote(item.path)
        on = " AND ".join(
            f"{alias}.{self.quote(c)} = {self._owner(item.join)}.{self.quote(p)}"
            for c, p in zip(key.columns, key.parent_columns, strict=True)
        )
        return f"LEFT JOIN ({self._counted(item)}) AS {alias} ON {on}"

    def _counted(self, item: ColumnRef) -> str:
        """Of each row that has children, their number."""
        assert item.children is not None
        keys = ", ".join(self.quote(name) for name in item.children.key.columns)
        relation = self.dialect.relation(item.children.table)
        return f"SELECT {keys}, COUNT(*) AS {self.quote('count')} FROM {relation} GROUP BY {keys}"

    def _owner(self, join: Join | None) -> str:
        return self.quote(join.prefix if join else self.q.table.relation)

    def _order(self) -> str:
        q = self.q
        if self._lists:
            if q.order_by is None or (q.aggregate == "distinct" and q.order_by.path not in {c.path for c in self.columns}):
                return ""  # DISTINCT leaves nothing else to sort by
            expression = self._expression(q.order_by)
            last = self._nulls_last(expression, q.order_by) if q.aggregate == "none" else ""
            return f"{last}{expression}{_direction(q.order or 'asc')}"
        if not q.group_by:
            return ""
        groups = [self._expression(item) for item in q.group_by]
        if q.order_by is not None and q.order_by.path in {item.path for item in q.group_by}:
            return f"{self._expression(q.order_by)}{_direction(q.order or 'asc')}"
        first = self._aggregates()[0][0]
        last = self._nulls_last(first, self.columns[0]) if self.columns else ""
        return f"{last}{first}{_direction(q.order or 'desc')}, {', '.join(groups)}"

    def _nulls_last(self, expression: str, item: ColumnRef) -> str:
        """What has no value is neither the first nor the last of anything: engines differ in where they sort it."""
        return f"{expression} IS NULL, " if item.column.nullable or item.join is not None else ""

    def _condition(self, item: RowFilter) -> str:
        expression, column = self._expression(item.field), item.field.column
        if item.value is None:
            return f"{expression} IS {'NOT NULL' if item.op in ('!=', '<', '>') else 'NULL'}"
        if isinstance(item.value, tuple):
            return f"({' OR '.join(self._condition(RowFilter(item.field, '=', value)) for value in item.value)})"
        if isinstance(item.value, Operand):
            return f"{expression} {_COMPARE[item.op]} {self._operand(item.value)}"
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

    def _operand(self, value: Operand) -> str:
        if value.aggregate is None:
            return self._expression(value.field)
        function = _FUNCTIONS[value.aggregate]
        if value.field.children is not None:
            counted = self._counted(value.field)
            present = " AND ".join(f"{self.quote(name)} IS NOT NULL" for name in value.field.children.key.columns)
            return f"(SELECT {function}({self.quote('count')}) FROM ({counted}) AS counted WHERE {present})"
        joined, _ = _needed([value.field])
        return f"(SELECT {function}({self._expression(value.field)}) FROM {self._from(joined)})"

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


def _needed(used: Sequence[ColumnRef | None]) -> tuple[list[Join], list[ColumnRef]]:
    """The joins that reach these columns, each behind those that it goes through, and the counts among them."""
    found: dict[str, Join] = {}

    def add(join: Join) -> None:
        if join.via is not None:
            add(join.via)
        found.setdefault(join.prefix, join)

    for item in used:
        if item is not None and item.join is not None:
            add(item.join)
    return list(found.values()), list({item.path: item for item in used if item and item.children}.values())


def _is_column(value: Any) -> bool:
    return isinstance(value, Operand) and value.aggregate is None


def _alias(aggregate: str, item: ColumnRef) -> str:
    return f"{aggregate}_{item.path.replace('.', '_')}"


def _direction(order: str) -> str:
    return " DESC" if order == "desc" else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
