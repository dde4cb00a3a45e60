"""The structured query: an input schema made from the live schema, and SQL made from a call. It runs nothing.

    column_refs.py   what a query of a table may name: its columns, and its parents'
    input_schema.py  the JSON Schema of `rows`, within a budget
    dates.py         dates as a query writes them, and the period each stands for
    arguments.py     a call's arguments checked and resolved to a RowsQuery
    sql_compiler.py  a RowsQuery as SQL with bound parameters

It knows neither MCP nor any connection.
"""
