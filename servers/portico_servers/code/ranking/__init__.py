"""Which pieces of code answer a question: BM25 over fields, reranked by names, paths and meaning. All in memory.

    ranked_index.py  RankedIndex: from a question to scored chunks
    rerank.py        what looks at BM25's best alone, and the weights of each part
    segment.py       the postings of some files, immutable
    semantic.py      meaning, by static embeddings of the vocabulary
    path_prior.py    how likely a file is what's meant, from its path
    tokens.py        how identifiers, paths and questions become terms
    documents.py     what is ranked: files in pieces, terms by field, the vocabulary's ids

Nothing here knows text, disk or database; the index's store gives it numbers.
"""
