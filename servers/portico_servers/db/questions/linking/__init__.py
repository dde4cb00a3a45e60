"""Schema and value linking: what of one database the words of a question name or spell.

    value_index.py   the values of a database's columns, in memory, bounded
    value_probes.py  values of columns that are too large for it, looked for in the database
    names.py         which tables and columns the words name
    bindings.py      which values the words spell, and where each may stand

It knows neither joins nor queries.
"""
