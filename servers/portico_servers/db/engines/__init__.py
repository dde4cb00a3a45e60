"""One module an engine: open read-only, describe, run. Opened by worker processes only; they know no MCP.

base.py               what every engine does; results as JSON values within limits
dialect.py            how the engines' SQL differs; it holds no connection
column_kinds.py       what declared types and CHECK constraints say about values
sqlite.py             SQLite: a read-only connection
sqlite_authorizer.py  SQLite: what a statement may do
sqlite_schema.py      SQLite: tables, columns, keys
sqlite_writer.py      SQLite: changes rows, for `write`
duckdb.py             DuckDB: a read-only connection
duckdb_schema.py      DuckDB: tables, columns, keys
postgres.py           PostgreSQL: every statement in a READ ONLY transaction
postgres_schema.py    PostgreSQL: tables, columns, keys
postgres_writer.py    PostgreSQL: changes rows, for `write`
"""
