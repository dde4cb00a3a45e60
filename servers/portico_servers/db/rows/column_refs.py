"""What a query of a table may name: its own columns, and those of its foreign-key parents by path (`Artist.Name`).

It knows neither JSON Schema nor SQL.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from portico_servers.db.schema import Column, DatabaseSchema, ForeignKey, Table

PARTS: tuple[Literal["year", "month"], ...] = ("year", "month")
_LABELS = ("name", "title", "label", "full_name", "display_name", "username", "email", "key", "code", "subject")


@dataclass(frozen=True, slots=True)
class Join:
    """A parent reached over a foreign key. `prefix` is the path's first part, and the parent's alias in SQL."""

    prefix: str
    key: ForeignKey
    parent: Table


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """One column as a query names it."""

    path: str
    column: Column
    join: Join | None = None
    key: bool = False  # only identifies: no use in adding it up
    part: Literal["year", "month"] | None = None  # of a date: for grouping

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


def label_column(table: Table) -> Column | None:
    """The column that a person would call a row by."""
    texts = [c for c in table.columns if c.kind == "text" and not table.is_key(c.name) and not c.values]
    for wanted in _LABELS:
        for column in texts:
            if column.name.lower() == wanted:
                return column
    return texts[0] if texts else None


def _stem(column: str) -> str:
    """`manager_id` and `ManagerId` -> `manager`, `Manager`."""
    return re.sub(r"(_id|Id|ID)$", "", column) or column
