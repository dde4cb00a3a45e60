"""Reads query plans for full scans that an index would spare. Advice only; it runs nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from portico_servers.db.schema import DatabaseSchema, Table
from portico_servers.db.sources import EngineName

_SQLITE_SCAN = re.compile(r"\bSCAN (?:TABLE )?(\S+)(?! USING)")
_SQLITE_SORT = re.compile(r"USE TEMP B-TREE FOR (ORDER BY|GROUP BY|DISTINCT)")
_SQLITE_AUTO = re.compile(r"SEARCH (\S+) USING AUTOMATIC (?:PARTIAL )?COVERING INDEX \(([^=)]+)=")
_POSTGRES_SCAN = re.compile(r"Seq Scan on (?:\w+\.)?(\S+)")
_POSTGRES_FILTER = re.compile(r"Filter: \((.+)\)")
_FEW_ROWS = 500  # a scan of fewer costs nothing


def index_advice(engine: EngineName, plan: Sequence[str], sql: str, schema: DatabaseSchema) -> list[str]:
    """One line of advice for each scan of a large table that compares a column without an index."""
    if engine == "sqlite":
        return _sqlite(plan, sql, schema)
    if engine == "postgres":
        return _postgres(plan, schema)
    return []  # DuckDB scans by design: its row groups carry their own minima and maxima


def _sqlite(plan: Sequence[str], sql: str, schema: DatabaseSchema) -> list[str]:
    found: list[str] = []
    for line in plan:
        if (auto := _SQLITE_AUTO.search(line)) and (table := _table(auto[1], sql, schema)):
            found.append(f"SQLite builds an index for this query alone: CREATE INDEX ON {table.name} ({auto[2]})")
        elif (scan := _SQLITE_SCAN.search(line)) and " USING " not in line and (table := _table(scan[1], sql, schema)):
            found.extend(_missing(table, sql, scan[1]))
    return list(dict.fromkeys(found))


def _postgres(plan: Sequence[str], schema: DatabaseSchema) -> list[str]:
    found: list[str] = []
    for line, below in zip(plan, [*plan[1:], ""], strict=True):
        scan, condition = _POSTGRES_SCAN.search(line), _POSTGRES_FILTER.search(below)
        if scan and condition and (table := _table(scan[1], "", schema)):
            found.extend(_missing(table, condition[1], table.name))
    return list(dict.fromkeys(found))


def _missing(table: Table, conditions: str, alias: str) -> list[str]:
    """Columns of a scanned table that the text compares and that no index begins with."""
    if table.row_estimate is not None and table.row_estimate < _FEW_ROWS:
        return []
    indexed = {index[0] for index in table.indexes if index}
    compared = []
    for column in table.columns:
        name = re.escape(column.name)
        pattern = rf"(?<![\w.])(?:{re.escape(alias)}\.)?[\"`\[]?{name}[\"`\]]?\)*(?:::\w+)?\s*(?:=|<|>|IN\b|BETWEEN\b)"
        if column.name not in indexed and not column.primary_key and re.search(pattern, conditions, re.IGNORECASE):
            compared.append(column.name)
    size = f" of about {table.row_estimate:,} rows" if table.row_estimate is not None else ""
    return [f"full scan of {table.name}{size}; an index on {table.name}({name}) may spare it" for name in compared]


def _table(name: str, sql: str, schema: DatabaseSchema) -> Table | None:
    """By its name in a plan, which may be an alias of the statement's."""
    name = name.strip('"')
    for table in schema.tables:
        if table.relation.lower() == name.lower():
            return table
    for table in schema.tables:
        pattern = rf"[\"`\[]?{re.escape(table.relation)}[\"`\]]?\s+(?:AS\s+)?{re.escape(name)}\b"
        if re.search(pattern, sql, re.IGNORECASE):
            return table
    return None
