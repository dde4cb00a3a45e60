"""The databases that one server fronts. They know schemas and workers, no tool; of MCP only that lists can change.

database.py         Database: one source, its workers, its schema as last read
schema_snapshot.py  SchemaSnapshot: the schemas of all at one moment, as callers see them
databases.py        Databases: all of them, and the current snapshot
schema_watcher.py   looks for changed schemas and has hosts told
local_values.py     the values of columns that only a gateway's own model is shown
"""
