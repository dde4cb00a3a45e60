"""A database's shape as values: tables, columns, keys. Engines make it, the rest reads it. It knows no SQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, cast

Kind = Literal["text", "number", "date", "boolean", "other"]  # what a value of the column compares as


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `values` are all that a CHECK constraint (or an enum type) allows, where there is one."""

    name: str
    type: str  # as declared
    kind: Kind
    nullable: bool = True
    primary_key: int = 0  # position in the primary key, from 1; 0: not in it
    values: tuple[str, ...] = ()
    epoch: int = 0  # of a date that is kept as a number since 1970: how many of it are a second; 0: it is none


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` of the table point to `parent_columns` of the table `parent` (its displayed name)."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table or snapshot. `name` is what callers write: with its schema in front where that isn't the default one."""

    name: str
    schema: str | None  # None: no need to say it in SQL
    relation: str  # the bare name
    view: bool
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()  # the columns of each index
    row_estimate: int | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.columns}

    def is_key(self, name: str) -> bool:
        """Does the column only identify: the primary key's, or a foreign key's?"""
        column = self.by_name[name]
        return column.primary_key > 0 or any(name in key.columns for key in self.foreign_keys)


@dataclass(frozen=True)
class DatabaseSchema:
    """All tables and views, in the engine's order."""

    tables: tuple[Table, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Table]:
        return {table.name: table for table in self.tables}

    @cached_property
    def children(self) -> Mapping[str, tuple[Table, ...]]:
        """By table, those with a foreign key to it."""
        found: dict[str, dict[str, Table]] = {}
        for table in self.tables:
            for key in table.foreign_keys:
                found.setdefault(key.parent, {})[table.name] = table
        return {name: tuple(tables.values()) for name, tables in found.items()}

    @cached_property
    def digest(self) -> str:
        """Changes when the shape changes; row estimates don't count."""
        shape = [{**asdict(table), "row_estimate": None} for table in self.tables]
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class QualifiedTable:
    """A table as callers name it: `connection.table` where there are several connections."""

    name: str
    schema: DatabaseSchema
    table: Table


def to_json(schema: DatabaseSchema) -> dict[str, Any]:
    """Plain values, as they travel from a worker."""
    return {"tables": [asdict(table) for table in schema.tables]}


def from_json(data: Mapping[str, Any]) -> DatabaseSchema:
    """The inverse of `to_json`."""
    return DatabaseSchema(tuple(_table(item) for item in data["tables"]))


def _table(data: Mapping[str, Any]) -> Table:
    columns = tuple(
        Column(c["name"], c["type"], cast(Kind, c["kind"]), c["nullable"], c["primary_key"], tuple(c["values"]), c["epoch"])
        for c in data["columns"]
    )
    keys = tuple(ForeignKey(tuple(k["columns"]), k["parent"], tuple(k["parent_columns"])) for k in data["foreign_keys"])
    indexes = tuple(tuple(names) for names in data["indexes"])
    return Table(data["name"], data["schema"], data["relation"], data["view"], columns, keys, indexes, data["row_estimate"])
