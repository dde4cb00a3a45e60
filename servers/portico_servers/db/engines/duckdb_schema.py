"""Reads what a DuckDB database is made of. It knows neither limits nor results."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import Any

import duckdb

from portico_servers.db.engines.column_kinds import allowed_values, declared_kind
from portico_servers.db.schema import Column, DatabaseSchema, ForeignKey, Table

_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_RELATIONS = """
SELECT schema_name, table_name, FALSE, estimated_size FROM duckdb_tables()
WHERE NOT internal AND database_name = current_database()
UNION ALL
SELECT schema_name, view_name, TRUE, NULL FROM duckdb_views() WHERE NOT internal AND database_name = current_database()
"""
_COLUMNS = """
SELECT schema_name, table_name, column_name, data_type, is_nullable FROM duckdb_columns()
WHERE NOT internal AND database_name = current_database() ORDER BY schema_name, table_name, column_index
"""
_CONSTRAINTS = """
SELECT schema_name, table_name, constraint_type, constraint_column_names, constraint_text, referenced_table,
  referenced_column_names
FROM duckdb_constraints() WHERE database_name = current_database() ORDER BY constraint_index
"""
_INDEXES = "SELECT schema_name, table_name, expressions FROM duckdb_indexes() WHERE database_name = current_database()"
_TEXTS = """
SELECT sql FROM (
  SELECT sql FROM duckdb_tables() WHERE NOT internal UNION ALL SELECT sql FROM duckdb_views() WHERE NOT internal
  UNION ALL SELECT sql FROM duckdb_indexes()
) ORDER BY 1
"""

Key = tuple[str, str]


def read(connection: duckdb.DuckDBPyConnection) -> DatabaseSchema:
    """Tables, then views, in the order of their creation."""
    columns: dict[Key, list[tuple[str, str, bool]]] = defaultdict(list)
    for schema, table, name, kind, nullable in connection.execute(_COLUMNS).fetchall():
        columns[schema, table].append((name, kind, nullable))
    constraints: dict[Key, list[tuple[Any, ...]]] = defaultdict(list)
    for schema, table, *rest in connection.execute(_CONSTRAINTS).fetchall():
        constraints[schema, table].append(tuple(rest))
    indexes: dict[Key, list[tuple[str, ...]]] = defaultdict(list)
    for schema, table, expressions in connection.execute(_INDEXES).fetchall():
        indexes[schema, table].append(tuple(re.findall(r"\w+", str(expressions))))
    tables = []
    for schema, name, view, size in connection.execute(_RELATIONS).fetchall():
        key = (schema, name)
        tables.append(_table(key, view, size, columns[key], constraints[key], indexes[key]))
    return DatabaseSchema(tuple(tables))


def version(connection: duckdb.DuckDBPyConnection) -> str:
    """A digest of all CREATE texts."""
    return hashlib.sha256(repr(connection.execute(_TEXTS).fetchall()).encode()).hexdigest()


def _table(
    key: Key,
    view: bool,
    size: int | None,
    columns: list[tuple[str, str, bool]],
    constraints: list[tuple[Any, ...]],
    indexes: list[tuple[str, ...]],
) -> Table:
    primary: list[str] = []
    keys: list[ForeignKey] = []
    checks: dict[str, tuple[str, ...]] = {}
    for kind, names, text, parent, parent_columns in constraints:
        if kind == "PRIMARY KEY":
            primary = list(names)
        elif kind == "FOREIGN KEY" and parent:
            keys.append(ForeignKey(tuple(names), _display(key[0], parent), tuple(parent_columns)))
        elif kind == "CHECK":
            checks.update(allowed_values(str(text)))
    return Table(
        name=_display(*key),
        schema=None if key[0] == "main" else key[0],
        relation=key[1],
        view=view,
        columns=tuple(_column(name, kind, nullable, primary, checks) for name, kind, nullable in columns),
        foreign_keys=tuple(keys),
        indexes=(*((tuple(primary),) if primary else ()), *indexes),
        row_estimate=size,
    )


def _column(name: str, kind: str, nullable: bool, primary: list[str], checks: dict[str, tuple[str, ...]]) -> Column:
    values = checks.get(name.lower(), ())
    if kind.startswith("ENUM("):
        values = tuple(value.replace("''", "'") for value in _LITERAL.findall(kind))
        kind = "ENUM"
    position = primary.index(name) + 1 if name in primary else 0
    return Column(name, kind, declared_kind(kind), nullable and not position, position, values)


def _display(schema: str, name: str) -> str:
    return name if schema == "main" else f"{schema}.{name}"
