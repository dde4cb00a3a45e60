"""What English says in a question.

    words.py         a question's words: folded, stemmed, cut as values are
    lemmas.py        the irregular verbs
    verbs.py         which words are verbs, by their form and place
    schema_words.py  what short and foreign words of a schema's names mean
    synonyms.py      what people say for one another
    demonyms.py      what people and things of a country are called
    lexicon.py       what English says for the parts of a query, and what its adjectives measure
    times.py         years, months, quarters and days, as conditions on a date
    comparisons.py   comparisons with a number or an average
    superlatives.py  the most of something, and which of several has more
    cues.py          counts, averages, limits, groups, negations

It knows no database.
"""
