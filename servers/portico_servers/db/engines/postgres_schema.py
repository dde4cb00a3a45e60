"""Reads what a PostgreSQL database is made of, as far as the role may read it. It knows neither limits nor results."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import psycopg

from portico_servers.db.engines.column_kinds import declared_kind
from portico_servers.db.schema import Column, DatabaseSchema, ForeignKey, Table

_VISIBLE = """
  n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT c.relispartition AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
"""
_RELATIONS = f"""
SELECT c.oid::int8, n.nspname, c.relname, c.relkind IN ('v', 'm'), c.reltuples::int8
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE {_VISIBLE} ORDER BY c.relkind IN ('v', 'm'), c.oid
"""
_COLUMNS = f"""
SELECT c.oid::int8, a.attname, pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), NULL), NOT a.attnotnull,
  ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = a.atttypid ORDER BY e.enumsortorder), a.attnum
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE {_VISIBLE} ORDER BY c.oid, a.attnum
"""
_CONSTRAINTS = f"""
SELECT c.oid::int8, k.contype::text, k.conkey::int[], k.confrelid::int8, k.confkey::int[],
  pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid AND k.contype IN ('p', 'f', 'c') WHERE {_VISIBLE} ORDER BY k.oid
"""
_INDEXES = f"""
SELECT c.oid::int8, ARRAY(SELECT unnest(i.indkey::int2[])::int)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid WHERE {_VISIBLE} ORDER BY i.indexrelid
"""
_VERSION = f"""
SELECT md5(coalesce(string_agg(concat_ws(',', n.nspname, c.relname, a.attname, a.atttypid, a.attnotnull), ';'
  ORDER BY c.oid, a.attnum), ''))
  || (SELECT count(*)::text || '/' || coalesce(max(oid)::text, '') FROM pg_catalog.pg_constraint)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE {_VISIBLE}
"""
_CHECK_ANY = re.compile(r"CHECK \(\(+\"?(\w+)\"?\)?(?:::[\w ]+)? = ANY \(+(?:\(?ARRAY\[(.*?)\]\)?(?:::[\w \[\]]+)?)\)+$")
_LITERAL = re.compile(r"'((?:[^']|'')*)'")

Connection = psycopg.Connection[tuple[Any, ...]]


def read(connection: Connection) -> DatabaseSchema:
    """Tables, then views, in the order of their creation."""
    default = connection.execute("SELECT current_schema()").fetchone()
    home = default[0] if default else None
    columns: dict[int, list[tuple[Any, ...]]] = _grouped(connection, _COLUMNS)
    constraints = _grouped(connection, _CONSTRAINTS)
    indexes = _grouped(connection, _INDEXES)
    relations = connection.execute(_RELATIONS).fetchall()
    names = {oid: (name if schema == home else f"{schema}.{name}") for oid, schema, name, _, _ in relations}
    numbered = {oid: {row[4]: row[0] for row in columns[oid]} for oid in names}
    tables = []
    for oid, schema, name, view, size in relations:
        tables.append(
            Table(
                name=names[oid],
                schema=None if schema == home else schema,
                relation=name,
                view=view,
                columns=tuple(_columns(columns[oid], constraints[oid])),
                foreign_keys=tuple(_foreign_keys(oid, constraints[oid], names, numbered)),
                indexes=tuple(_index(index[0], numbered[oid]) for index in indexes[oid]),
                row_estimate=None if view or size < 0 else size,
            )
        )
    return DatabaseSchema(tuple(tables))


def version(connection: Connection) -> str:
    """A digest of what `read` would find, but for estimates."""
    row = connection.execute(_VERSION).fetchone()
    return str(row[0]) if row else ""


def _grouped(connection: Connection, sql: str) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for oid, *rest in connection.execute(sql).fetchall():
        found[oid].append(tuple(rest))
    return found


def _columns(rows: list[tuple[Any, ...]], constraints: list[tuple[Any, ...]]) -> list[Column]:
    primary = next((list(row[1]) for row in constraints if row[0] == "p"), [])
    checks = dict(found for row in constraints if row[0] == "c" and (found := _check(row[4])) is not None)
    columns = []
    for name, declared, nullable, labels, number in rows:
        kind = "text" if labels else declared_kind(declared)
        position = primary.index(number) + 1 if number in primary else 0
        columns.append(Column(name, declared, kind, nullable, position, tuple(labels) or checks.get(name, ())))
    return columns


def _check(text: str) -> tuple[str, tuple[str, ...]] | None:
    """`CHECK ((status = ANY (ARRAY['a'::text, 'b'::text])))` -> its column and values."""
    match = _CHECK_ANY.match(text)
    if not match or "'" not in match[2]:
        return None
    return match[1], tuple(value.replace("''", "'") for value in _LITERAL.findall(match[2]))


def _foreign_keys(
    oid: int, constraints: list[tuple[Any, ...]], names: dict[int, str], numbered: dict[int, dict[int, str]]
) -> list[ForeignKey]:
    found = []
    for kind, columns, parent, parent_columns, _ in constraints:
        if kind == "f" and parent in names:
            here, there = numbered[oid], numbered[parent]
            found.append(ForeignKey(tuple(here[n] for n in columns), names[parent], tuple(there[n] for n in parent_columns)))
    return found


def _index(numbers: list[int], names: dict[int, str]) -> tuple[str, ...]:
    return tuple(names[number] for number in numbers if number in names)
