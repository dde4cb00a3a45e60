"""portico-db: SQLite and DuckDB files and PostgreSQL databases, read-only, for an MCP host.

    __main__.py     the command
    server.py       the MCP server: tools, resources and prompts over the databases
    tools/          what a tool is, and one module a tool
    resources.py    db:// resources and completion
    prompts.py      the three prompts
    config.py       the owner's TOML file
    databases/      the databases that one server fronts, their schemas, and changes of these
    questions/      questions in words, read as structured queries for the model built into a gateway
    rows/           the structured query of the tool `rows`: input schema, checks, SQL
    statements/     statements in worker processes, under limits
    engines/        one module an engine: open read-only, describe, run
    secret_columns.py  columns whose values are read for nobody
    schema.py       a database's shape as values: tables, columns, keys
    sources.py      what the command line names: files and DSNs
    limits.py       the bounds that every statement runs under
    suggestions.py  the nearest of several names
    errors.py       what can go wrong, as types

Imports go down: server, then resources and prompts, tools and questions, databases, rows, statements, engines, and last
secret_columns, schema, sources, limits, suggestions and errors, which know no room. config uses statements' placeholders alone.
Only server, tools, resources and prompts know MCP; only engines know a database's own library.
"""
