"""From a question to passages. It reads the index and fills nothing.

ranking.py    which sections answer a question: BM25, names, embeddings, and their sum
sentences.py  the best of them once more, by their best sentence
versions.py   which versions of which libraries a search is about
library.py    the documentation as callers see it: search, read, list, versions
"""
