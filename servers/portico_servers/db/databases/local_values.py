"""What only a local model is shown: the schema of `rows` with the values of columns that the owner opted in.

Cells never enter a tool definition, for hosts send those to the cloud. So the values stand in a resource that no list names;
the tool's `_meta` says where, and both are there only for a gateway that started this server: it reads the resource for the
model built into it, and passes neither on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from portico_servers.common.question_readers import started_by_gateway
from portico_servers.db.databases.database import Database
from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import DbError
from portico_servers.db.rows.input_schema import build_rows_schema
from portico_servers.db.schema import QualifiedTable, Table

META = "portico/local-input-schema"  # in a tool's `_meta`: the URI of the schema to decode by
URI = "portico-db:///rows/local-input-schema"
_BUDGET = 400_000  # characters: it is compiled into a grammar, not read
_MAX_VALUES = 1_000  # of one column
_MAX_CHARACTERS = 80  # of one value


def are_served(values: Mapping[str, Sequence[str]]) -> bool:
    """Has the owner opted in any column, and is this server a gateway's child?"""
    return any(values.values()) and started_by_gateway()


def input_schema(databases: Databases, values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The schema of `rows` with the present values of the columns named by `values` (by connection, as `table.column`)."""
    snapshot = databases.snapshot()
    qualified = []
    for name, item in snapshot.tables.items():
        database = snapshot.owners[name]
        columns = [path.rpartition(".") for path in values.get(database.name, ())]
        wanted_columns = {column for table, _, column in columns if table == item.table.name}
        qualified.append(QualifiedTable(name, item.schema, _with_values(database, item.table, wanted_columns)))
    # A parent's columns are read from its schema, so that one gets the values too.
    tables = {(snapshot.owners[item.name].name, item.table.name): item.table for item in qualified}
    schemas = {
        database.name: replace(
            database.schema, tables=tuple(tables.get((database.name, table.name), table) for table in database.schema.tables)
        )
        for database in databases.all
    }
    return build_rows_schema(
        [replace(item, schema=schemas[snapshot.owners[item.name].name]) for item in qualified], budget=_BUDGET
    ).input_schema


def _with_values(database: Database, table: Table, names: set[str]) -> Table:
    columns = []
    for column in table.columns:
        found: tuple[str, ...] | None = None
        if column.name in names and column.kind == "text" and not column.values:
            try:
                found = database.values(table, column, _MAX_VALUES)
            except DbError:
                pass  # the tool itself will say what is wrong
        columns.append(replace(column, values=tuple(v for v in found if 0 < len(v) <= _MAX_CHARACTERS)) if found else column)
    return replace(table, columns=tuple(columns))
