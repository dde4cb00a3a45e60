"""One database: its source, the workers that run statements on it, and its schema as last read. It knows no MCP.

Methods block; they are called from worker threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from portico_servers.db.engines.dialect import SQLDialect, dialect_of
from portico_servers.db.limits import StatementLimits
from portico_servers.db.rows.column_refs import ColumnRef
from portico_servers.db.rows.sql_compiler import compile_distinct_values
from portico_servers.db.schema import Column, DatabaseSchema, Table, from_json
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.statements.worker_pool import WorkerPool

_MAX_LOOKUP = 60  # values of a lookup column that a tool definition lists


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
        return dialect_of(self.source.engine)

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

    def run(self, sql: str, parameters: Any, limits: StatementLimits, cancellation: Cancellation) -> dict[str, Any]:
        """One statement: columns, rows, truncated, seconds."""
        return self.pool.run(sql, parameters, limits, on_start=cancellation.started, on_end=cancellation.finished)

    def explain(self, sql: str, parameters: Any, limits: StatementLimits, cancellation: Cancellation) -> list[str]:
        """One statement's plan."""
        return self.pool.explain(sql, parameters, limits, on_start=cancellation.started, on_end=cancellation.finished)
