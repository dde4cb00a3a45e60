"""Whether an answer is given, and how sure it is.

    coverage.py         which words of the question are accounted for
    agreement.py        do answers from different tools say the same
    search_features.py  what the searches tell of an answer: words they know, what another one found
    confidence.py       how sure it is that an answer is right
    verdict.py          whether the answer is given

It calls nothing and prints nothing.
"""
