"""The schemas of all databases at one moment, as callers see them: tables by name, whose they are, the schema of `rows`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from portico_servers.db.databases.database import Database
from portico_servers.db.errors import ArgumentError
from portico_servers.db.rows.input_schema import RowsSchema, build_rows_schema
from portico_servers.db.schema import QualifiedTable
from portico_servers.db.suggestions import did_you_mean


class SchemaSnapshot:
    """What the schemas of all databases mean for callers, at one moment. Immutable: a changed schema makes a new one."""

    def __init__(
        self, databases: Sequence[Database], budget: Callable[[Sequence[QualifiedTable]], RowsSchema] = build_rows_schema
    ) -> None:
        several = len(databases) > 1
        self.tables: dict[str, QualifiedTable] = {}
        self.owners: dict[str, Database] = {}
        for database in databases:
            for table in database.schema.tables:
                name = f"{database.name}.{table.name}" if several else table.name
                self.tables[name] = QualifiedTable(name, database.schema, table)
                self.owners[name] = database
        self._budget = budget

    @cached_property
    def rows_schema(self) -> RowsSchema:
        return self._budget(tuple(self.tables.values()))

    def table(self, name: Any) -> tuple[Database, QualifiedTable]:
        """By name, whatever its case where that is unambiguous. ArgumentError with the nearest."""
        if isinstance(name, str):
            if name in self.tables:
                return self.owners[name], self.tables[name]
            alike = [known for known in self.tables if known.casefold() == name.casefold()]
            if len(alike) == 1:
                return self.owners[alike[0]], self.tables[alike[0]]
        raise ArgumentError(f"no table {name!r}{did_you_mean(str(name), self.tables)}")
