"""A query made of what a question names, on one root table and for one thing that is asked for.

    reach.py               what a query of one table can reach over foreign keys, and how far it is
    draft.py               a query as it is being made, the words that it used, how good it is
    leftovers.py           which words a query may not leave out
    measures.py            the number or date that a question measures by
    presence.py            conditions without a value: missing, there, flags
    states.py              open or over, late or in time, by dates
    column_comparisons.py  a column against another of the same row
    conditions.py          the conditions of a query
    projections.py         the columns of a list
    rankings.py            superlatives: by a measure, by how many, by how much
    shapes.py              what a query gives: a count, a sum, the highest, groups, rows

It runs nothing.
"""
