"""The structured query: an input schema made from the live schema, and SQL made from a call. It runs nothing.

    column_refs.py   what a query of a table may name: its columns, and its parents'
    implied_keys.py  foreign keys that only names tell
    input_schema.py  the JSON Schema of `rows`, within a budget
    dates.py         dates as a query writes them, and the period each stands for
    arguments.py     a call's arguments checked and resolved to a RowsQuery
    sql_compiler.py  a RowsQuery as SQL with bound parameters
    query_text.py    a RowsQuery as a person reads it

It knows neither MCP nor any connection.
"""
