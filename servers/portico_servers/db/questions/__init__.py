"""Questions in words, read as queries of `rows` against a live database: its names, its values, its keys. It runs no query.

    language/     what English says: words, cues, times; it knows no database
    linking/      what of the database the words name or spell
    composing/    queries made of what was found, and how good each is
    reader.py     hypotheses of root table and of what is asked for, the best one first
    proposals.py  what a gateway's own model is told: a call, and the words that it accounts for

It knows neither MCP nor SQL. What it reads of a database stays in this process.
"""
