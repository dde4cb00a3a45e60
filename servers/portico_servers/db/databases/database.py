"""The databases that one server fronts: their schemas, their workers, and what is made of both. It knows no MCP.

Methods block; they are called from worker threads. A `Call` ties one tool call to the processes that work for it, so that
cancelling it ends them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from portico_servers.db.engines.dialect import SQLDialect, dialect
from portico_servers.db.errors import ArgumentError, DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.rows.column_refs import ColumnRef
from portico_servers.db.rows.input_schema import QualifiedTable, RowsSchema, build_rows_schema
from portico_servers.db.rows.sql_compiler import compile_distinct_values
from portico_servers.db.schema import Column, DatabaseSchema, Table, from_json
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.worker_pool import Worker, WorkerPool
from portico_servers.db.suggestions import did_you_mean

logger = logging.getLogger(__name__)

_MAX_LOOKUP = 60  # values of a lookup column that a tool definition lists


class StatementCancelled(DbError):
    """The caller gave up."""


class Cancellation:
    """One tool call's statements: which worker runs one now, and whether the caller gave up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._cancelled = False

    def started(self, worker: Worker) -> None:
        """A worker took a statement of this call."""
        with self._lock:
            if self._cancelled:
                raise StatementCancelled("cancelled")
            self._worker = worker

    def cancel(self) -> None:
        """End the statement under way, and let no further one start."""
        with self._lock:
            self._cancelled = True
            if self._worker is not None:
                self._worker.kill()

    def finished(self) -> None:
        """The worker is done with this call. A kill that is under way is waited for, so that its end is seen."""
        with self._lock:
            self._worker = None


@dataclass(slots=True)
class Database:
    """One source with its workers and the schema as last read."""

    source: DatabaseSource
    pool: WorkerPool
    schema: DatabaseSchema = field(default_factory=lambda: DatabaseSchema(()))
    warning: str | None = None
    version: str = ""
    lookups: tuple[str, ...] = ()  # `table.column`: their values may stand in tool definitions

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def dialect(self) -> SQLDialect:
        return dialect(self.source.engine)

    def load(self) -> bool:
        """Read the schema anew; True where it changed. DbError where the database can't be read."""
        version = self.pool.version()
        data = self.pool.schema()
        schema, refused = self._with_lookups(from_json(data))
        if refused:
            data["warning"] = "; ".join(filter(None, [data["warning"], *refused]))
        changed = schema.digest != self.schema.digest
        self.schema, self.warning, self.version = schema, data["warning"], version
        return changed

    def _with_lookups(self, schema: DatabaseSchema) -> tuple[DatabaseSchema, list[str]]:
        """The schema with the lookup columns' values, and why some have none."""
        refused: list[str] = []
        for path in self.lookups:
            table_name, _, column_name = path.rpartition(".")
            table = schema.by_name.get(table_name)
            column = table.by_name.get(column_name) if table else None
            if table is None or column is None or column.kind != "text":
                refused.append(f"lookup {path}: no such text column")
                continue
            values = self.values(table, column, _MAX_LOOKUP, schema)
            if values is None:
                refused.append(f"lookup {path}: more than {_MAX_LOOKUP} values")
                continue
            columns = tuple(replace(c, values=values) if c is column else c for c in table.columns)
            changed = replace(table, columns=columns)
            schema = DatabaseSchema(tuple(changed if item is table else item for item in schema.tables))
        return schema, refused

    def values(self, table: Table, column: Column, most: int, schema: DatabaseSchema | None = None) -> tuple[str, ...] | None:
        """The different values of a text column, sorted; None where there are more than `most`."""
        statement = compile_distinct_values(
            schema or self.schema, table, ColumnRef(column.name, column), self.dialect, most + 2
        )
        found = self.pool.run(statement.sql, statement.parameters, StatementLimits(rows=most + 2))
        values = sorted(str(row[0]) for row in found["rows"] if row[0] is not None)
        return tuple(values) if len(values) <= most else None

    def run(self, sql: str, parameters: Any, limits: StatementLimits, call: Cancellation) -> dict[str, Any]:
        """One statement: columns, rows, truncated, seconds."""
        return self.pool.run(sql, parameters, limits, on_start=call.started, on_end=call.finished)

    def explain(self, sql: str, parameters: Any, limits: StatementLimits, call: Cancellation) -> list[str]:
        """One statement's plan."""
        return self.pool.explain(sql, parameters, limits, on_start=call.started, on_end=call.finished)


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


class Databases:
    """All of them, and the view made of their schemas."""

    def __init__(self, sources: Sequence[DatabaseSource], lookups: Mapping[str, Sequence[str]] | None = None) -> None:
        self.all = tuple(Database(s, WorkerPool(s), lookups=tuple((lookups or {}).get(s.name, ()))) for s in sources)
        self.by_name: Mapping[str, Database] = {database.name: database for database in self.all}
        self._lock = threading.Lock()
        self._loaded = False
        self._snapshot = SchemaSnapshot(self.all)
        self.problems: dict[str, str] = {}  # by database: why its schema can't be read

    def snapshot(self) -> SchemaSnapshot:
        """The current view; the first call reads the schemas."""
        with self._lock:
            if not self._loaded:
                self._load(self.all)
                self._loaded = True
            return self._snapshot

    def refresh(self) -> bool:
        """Look whether any schema changed, and read it if so. True where callers see something else now."""
        with self._lock:
            if not self._loaded:
                return False
            stale = [database for database in self.all if self._stale(database)]
            return self._load(stale) if stale else False

    def choose(self, name: str | None) -> Database:
        """By connection name; the only one where none is given."""
        if name is None and len(self.all) == 1:
            return self.all[0]
        if name in self.by_name:
            return self.by_name[str(name)]
        known = ", ".join(self.by_name)
        raise ArgumentError(
            f"connection: which of {known}?" if name is None else f"no connection {name!r} (there are: {known})"
        )

    def close(self) -> None:
        for database in self.all:
            database.pool.close()

    def _stale(self, database: Database) -> bool:
        try:
            return database.pool.version() != database.version
        except DbError:
            return True

    def _load(self, databases: Sequence[Database]) -> bool:
        changed = False
        for database in databases:
            try:
                changed |= database.load()
                self.problems.pop(database.name, None)
            except DbError as exc:
                changed |= self.problems.get(database.name) != str(exc)
                self.problems[database.name] = str(exc)
                logger.warning("%s can't be read: %s", database.name, exc)
        if changed:
            self._snapshot = SchemaSnapshot(self.all)
        return changed
