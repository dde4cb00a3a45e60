"""What English says in a question. It knows no database.

words.py    a question's words: folded, stemmed, cut as values are
lexicon.py  what English says for the parts of a query, and what its adjectives measure
times.py    years, months, quarters and days, as conditions on a date
cues.py     counts, superlatives, comparisons, limits, groups, negations
"""
