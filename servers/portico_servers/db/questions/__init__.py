"""Questions in words, read as queries of `rows` against a live database: its names, its values, its keys. It runs no query.

    words.py         a question's words: folded, stemmed, cut as values are
    lexicon.py       what English says for the parts of a query, and what its adjectives measure
    times.py         years, months, quarters and days, as conditions on a date
    value_index.py   the values of a database's columns, in memory, bounded
    value_probes.py  values of columns that are too large for it, looked for in the database
    names.py         which tables and columns the words name
    bindings.py      which values the words spell, and where each may stand
    cues.py          counts, superlatives, comparisons, limits, groups, negations
    reach.py         what a query of one table can reach over foreign keys, and how far it is
    draft.py         a query as it is being made, the words that it used, how good it is
    measures.py      the number or date that a question measures by
    presence.py      conditions without a value: missing, there, flags
    conditions.py    the conditions of a query
    projections.py   the columns of a list
    rankings.py      superlatives: by a measure, by how many, by how much
    shapes.py        what a query gives: a count, a sum, the highest, groups, rows
    reader.py        hypotheses of root table and of what is asked for, the best one first
    proposals.py     what a gateway's own model is told: a call, and the words that it accounts for

It knows neither MCP nor SQL. What it reads of a database stays in this process.
"""
