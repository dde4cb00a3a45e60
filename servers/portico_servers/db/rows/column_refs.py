"""What a query of a table may name: its own columns, those of its foreign-key parents by path (`Artist.Name`), and counts.

`column_refs` are what a tool's schema lists; `every_column_ref` has besides the parents' parents (`Album.Artist.Name`),
parents' keys, and of every row so reached how many rows of a child table point to it (`Album.Track.count`). It knows neither
JSON Schema nor SQL.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from portico_servers.db.schema import Column, DatabaseSchema, ForeignKey, Table

MAX_DEPTH = 4  # foreign keys in a row
MAX_REFS = 5_000  # of one table
COUNT = Column("count", "INTEGER", "number", nullable=False)
PARTS: tuple[Literal["year", "month"], ...] = ("year", "month")
_LABELS = ("name", "title", "label", "full_name", "display_name", "username", "email", "key", "code", "subject")


@dataclass(frozen=True, slots=True)
class Join:
    """A parent reached over a foreign key. `prefix` is its columns' path, and the parent's alias in SQL. `via`: the join of the
    table that holds the key, where that isn't the query's own."""

    prefix: str
    key: ForeignKey
    parent: Table
    via: Join | None = None

    @property
    def depth(self) -> int:
        return 1 if self.via is None else 1 + self.via.depth


@dataclass(frozen=True, slots=True)
class ChildRows:
    """The rows of `table` whose key points to a row: as a column, their number."""

    table: Table
    key: ForeignKey


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """One column as a query names it."""

    path: str
    column: Column
    join: Join | None = None
    key: bool = False  # only identifies: no use in adding it up
    part: Literal["year", "month"] | None = None  # of a date: for grouping
    children: ChildRows | None = None  # of a count of child rows

    @property
    def summable(self) -> bool:
        return self.column.kind == "number" and not self.key


def column_refs(schema: DatabaseSchema, table: Table, *, parents: bool = True) -> tuple[ColumnRef, ...]:
    """Own columns, parents' columns without their keys, years and months of own dates, at last the keys.

    Keys come last because people seldom ask for them, and a small model prefers what comes first; of a parent's columns the
    one that it is called by is first. Columns of no comparable kind are left out.
    """
    own = [ColumnRef(c.name, c, None, table.is_key(c.name)) for c in table.columns if c.kind != "other"]
    taken = {field.path for field in own}
    found = [field for field in own if not field.key]
    for join in joins(schema, table) if parents else ():
        first = label_column(join.parent)
        for column in sorted(join.parent.columns, key=lambda column: column is not first):
            path = f"{join.prefix}.{column.name}"
            if column.kind != "other" and not join.parent.is_key(column.name) and path not in taken:
                taken.add(path)
                found.append(ColumnRef(path, column, join))
    dates = [field for field in own if field.column.kind == "date"]
    found.extend(
        ColumnRef(f"{f.path}.{part}", f.column, part=part) for f in dates for part in PARTS if f"{f.path}.{part}" not in taken
    )
    return (*found, *(field for field in own if field.key))


def every_column_ref(schema: DatabaseSchema, table: Table) -> dict[str, ColumnRef]:
    """All that a query of the table may name, by path: the listed ones first, nearer ones before further ones."""
    found = {ref.path: ref for ref in column_refs(schema, table)}
    level: list[Join | None] = [None]
    for _ in range(MAX_DEPTH + 1):
        for join in level:
            of = join.parent if join else table
            for ref in (*_columns_of(of, join), *_child_counts(schema, of, join)):
                if len(found) >= MAX_REFS:
                    return found
                found.setdefault(ref.path, ref)
        level = [further for join in level for further in parents_of(schema, table, join)]
    return found


def parents_of(schema: DatabaseSchema, table: Table, join: Join | None) -> tuple[Join, ...]:
    """The parents of the row reached by `join` (None: of the query's own row). No path comes back to a table that it left."""
    if join is None:
        return joins(schema, table)
    if join.depth >= MAX_DEPTH:
        return ()
    before = {table.name} | {step.parent.name for step in _steps(join)}
    further = (replace(up, prefix=f"{join.prefix}.{up.prefix}", via=join) for up in joins(schema, join.parent))
    return tuple(up for up in further if up.parent.name not in before)


def _steps(join: Join | None) -> Iterator[Join]:
    while join is not None:
        yield join
        join = join.via


def _columns_of(table: Table, join: Join | None) -> Iterator[ColumnRef]:
    front = f"{join.prefix}." if join else ""
    for column in table.columns:
        if column.kind != "other":
            key = table.is_key(column.name)
            yield ColumnRef(f"{front}{column.name}", column, join, key)
            if column.kind == "date":
                yield from (ColumnRef(f"{front}{column.name}.{part}", column, join, part=part) for part in PARTS)


def _child_counts(schema: DatabaseSchema, table: Table, join: Join | None) -> Iterator[ColumnRef]:
    front = f"{join.prefix}." if join else ""
    for child in schema.children.get(table.name, ()):
        keys = [key for key in child.foreign_keys if key.parent == table.name]
        for key in keys:
            name = child.relation if len(keys) == 1 else f"{child.relation}.{_stem(key.columns[0])}"
            yield ColumnRef(f"{front}{name}.count", COUNT, join, children=ChildRows(child, key))


def joins(schema: DatabaseSchema, table: Table) -> tuple[Join, ...]:
    """The parents, each once per foreign key, named by the parent where that is unambiguous, else by the key's column."""
    usable = [(key, schema.by_name[key.parent]) for key in table.foreign_keys if key.parent in schema.by_name]
    times = Counter(key.parent for key, _ in usable)
    found: list[Join] = []
    taken: set[str] = set()
    for key, parent in usable:
        plain = times[key.parent] == 1 and parent.name != table.name
        prefix = parent.relation if plain else _stem(key.columns[0])
        while prefix.lower() in taken or prefix == table.relation:
            prefix += "_"
        taken.add(prefix.lower())
        found.append(Join(prefix, key, parent))
    return tuple(found)


def is_link_table(table: Table) -> bool:
    """Does it only connect others?"""
    return len(table.foreign_keys) > 1 and all(table.is_key(column.name) for column in table.columns)


def label_column(table: Table) -> Column | None:
    """The column that a person would call a row by."""
    texts = [c for c in table.columns if c.kind == "text" and not table.is_key(c.name) and not c.values]
    for wanted in _LABELS:
        for column in texts:
            if column.name.lower() == wanted:
                return column
    return texts[0] if texts else None


def label_columns(table: Table) -> tuple[Column, ...]:
    """What a person would call a row by: a first and a last name, or one column, or nothing."""
    texts = {re.sub(r"[^a-z]", "", c.name.lower()): c for c in table.columns if c.kind == "text"}
    for first, last in (
        ("firstname", "lastname"),
        ("givenname", "familyname"),
        ("givenname", "surname"),
        ("forename", "surname"),
        ("fname", "lname"),
        ("vorname", "nachname"),
        ("prenom", "nom"),
        ("nombre", "apellido"),
        ("nombre", "apellidos"),
        ("nome", "cognome"),
        ("voornaam", "achternaam"),
    ):
        if first in texts and last in texts:
            return texts[first], texts[last]
    one = label_column(table)
    return (one,) if one else ()


def _stem(column: str) -> str:
    """`manager_id` and `ManagerId` -> `manager`, `Manager`."""
    return re.sub(r"(_id|Id|ID)$", "", column) or column
