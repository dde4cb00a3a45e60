"""From a question to passages. It reads the index and fills nothing.

ranking.py  which sections answer a question: BM25, names, embeddings, and their sum
library.py  the documentation as callers see it: search, read, list, versions
"""
