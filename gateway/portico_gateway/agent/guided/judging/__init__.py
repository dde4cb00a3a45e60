"""Whether an answer is given, and how sure it is.

    coverage.py         which words of the question are accounted for
    search_features.py  what the searches tell of an answer: how much of the question it accounts for, what another one found
    confidence.py       how sure it is that an answer is right
    verdict.py          whether the answer is given

It calls nothing and prints nothing.
"""
