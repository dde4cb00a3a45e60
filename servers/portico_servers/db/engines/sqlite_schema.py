"""Reads what a SQLite database is made of. It knows neither limits nor results."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable

from portico_servers.db.engines.column_kinds import ISO_DATE, allowed_values, declared_kind, epoch_unit
from portico_servers.db.schema import Column, DatabaseSchema, ForeignKey, Kind, Table

_FAILED = (sqlite3.Error, MemoryError)  # Python's, where SQLite met its limit on memory
_MODULE = re.compile(r"\bUSING\s+[\"\[`]?(\w+)", re.IGNORECASE)
_FTS3 = ("content", "segments", "segdir", "docsize", "stat")
_RTREE = ("node", "rowid", "parent")
_SHADOWS = {  # by module, the ends of the names of the tables beneath
    "fts3": _FTS3,
    "fts4": _FTS3,
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": _RTREE,
    "rtree_i32": _RTREE,
    "geopoly": _RTREE,
}
_COUNTED = 1_000  # rows of a table that are counted: less than a millisecond
_MAX_DIGITS = 18  # of a number of rows
_SAMPLE = 20  # cells looked at where the declared type says nothing


def read(connection: sqlite3.Connection, out_of_time: Callable[[], bool] = lambda: False) -> DatabaseSchema:
    """Tables, then views, each by name as created; a view that there is no time left for has no columns."""
    shadows = _shadow_tables(connection)
    listed = connection.execute(
        "SELECT name, type, sql FROM sqlite_schema"
        " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, rowid"
    ).fetchall()
    estimates = _estimates(connection)
    tables = []
    for name, kind, sql in listed:
        if name in shadows:
            continue
        if kind == "view" and out_of_time():
            tables.append(Table(name, None, name, view=True, columns=()))
        else:
            tables.append(_table(connection, name, kind == "view", sql or "", estimates))
    return DatabaseSchema(tuple(tables))


def virtual_tables(connection: sqlite3.Connection) -> list[str]:
    """By name."""
    return [name for name, _ in _virtual_tables(connection)]


def _virtual_tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Name and module. Not by PRAGMA table_list, which expands every view, and views may be made to cost much."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'")
    found = []
    for name, sql in rows.fetchall():
        module = _MODULE.search(sql)
        found.append((name, module[1].lower() if module else ""))
    return found


def _shadow_tables(connection: sqlite3.Connection) -> set[str]:
    """What virtual tables keep their data in."""
    return {f"{name}_{part}" for name, module in _virtual_tables(connection) for part in _SHADOWS.get(module, ())}


def _table(connection: sqlite3.Connection, name: str, view: bool, sql: str, estimates: dict[str, int]) -> Table:
    checks = {} if view else allowed_values(sql)
    columns = []
    try:
        found = connection.execute('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', (name,)).fetchall()
    except _FAILED:
        found = []  # a view on something that is gone, or a virtual table whose module is missing
    for column, declared, not_null, key, hidden in found:
        if hidden == 1:
            continue
        kind = _kind(connection, name, column, declared)
        epoch = epoch_unit(column, _sample(connection, name, column)) if kind in ("number", "date") and not key else 0
        values = checks.get(column.lower(), ())
        columns.append(Column(column, declared, "date" if epoch else kind, not (not_null or key), key, values, epoch))
    return Table(
        name=name,
        schema=None,
        relation=name,
        view=view,
        columns=tuple(columns),
        foreign_keys=tuple(_foreign_keys(connection, name)),
        indexes=tuple(_indexes(connection, name)),
        row_estimate=None if view else _row_estimate(connection, name, estimates),
    )


def _kind(connection: sqlite3.Connection, table: str, column: str, declared: str) -> Kind:
    kind = declared_kind(declared)
    if kind in ("number", "boolean"):
        return kind
    # SQLite's dates are text or numbers, and a column without a type may hold anything: see what is there.
    cells = _sample(connection, table, column)
    if kind == "other" and declared and "BLOB" in declared.upper():
        return "other"
    if not cells:
        return "text" if kind == "other" else kind
    if all(isinstance(cell, str) and ISO_DATE.fullmatch(cell) for cell in cells):
        return "date"
    if all(isinstance(cell, int | float) for cell in cells):
        return "number"
    if all(isinstance(cell, str | int | float) for cell in cells):
        return "text"
    return "other"


def _sample(connection: sqlite3.Connection, table: str, column: str) -> list[object]:
    t, c = quoted(table), quoted(column)
    try:
        return [
            r[0]
            for r in connection.execute(
                f"SELECT {c} FROM (SELECT {c} FROM {t} LIMIT 1000) WHERE {c} IS NOT NULL LIMIT {_SAMPLE}"
            )
        ]
    except _FAILED:
        return []


def _foreign_keys(connection: sqlite3.Connection, table: str) -> Iterable[ForeignKey]:
    keys: dict[int, list[tuple[str, str | None, str]]] = {}
    rows = connection.execute(
        'SELECT id, "from", "to", "table" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq', (table,)
    )
    for identity, column, parent_column, parent in rows.fetchall():
        keys.setdefault(identity, []).append((column, parent_column, parent))
    for parts in keys.values():
        parent = _actual_name(connection, parts[0][2])
        if parent is None:
            continue
        target = tuple(part[1] or "" for part in parts)
        if not all(target):
            target = _primary_key(connection, parent)
        if len(target) == len(parts):
            yield ForeignKey(tuple(part[0] for part in parts), parent, target)


def _actual_name(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", (name,)
    ).fetchone()
    return row[0] if row else None


def _primary_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(r[0] for r in connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)))


def _indexes(connection: sqlite3.Connection, table: str) -> Iterable[tuple[str, ...]]:
    for (name,) in connection.execute("SELECT name FROM pragma_index_list(?) ORDER BY seq DESC", (table,)).fetchall():
        columns = connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (name,)).fetchall()
        yield tuple(column for (column,) in columns if column)


def _estimates(connection: sqlite3.Connection) -> dict[str, int]:
    """Row counts that ANALYZE left behind."""
    found: dict[str, int] = {}
    try:
        rows = connection.execute("SELECT tbl, stat FROM sqlite_stat1").fetchall()
    except _FAILED:
        return found
    for table, stat in rows:
        first = str(stat).split(" ", 1)[0]
        if first.isdecimal() and len(first) <= _MAX_DIGITS:  # anybody may have written it
            found[table] = max(found.get(table, 0), int(first))
    return found


def _row_estimate(connection: sqlite3.Connection, table: str, estimates: dict[str, int]) -> int | None:
    """The number of rows of a small table, ANALYZE's estimate of a larger one; None where it left none. Never the largest
    rowid: ids may be sparse, and begin anywhere."""
    try:
        row = connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM {quoted(table)} LIMIT {_COUNTED + 1})").fetchone()
    except _FAILED:
        return None  # a virtual table whose module is missing
    counted = int(row[0])
    return counted if counted <= _COUNTED else estimates.get(table)


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'
