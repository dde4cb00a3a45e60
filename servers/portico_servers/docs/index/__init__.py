"""The index on disk, and who fills it. It knows sources and readers (`ingest`), not who asks.

schema.py        the tables, and how an index of another version becomes one of this
database.py      the file: one writer, readers lent from a pool, transactions, time limits
models.py        what comes out of it: libraries in their versions, pages, sections, passages
passage_text.py  what search sees of a passage
store.py         DocsIndex: every statement about libraries, pages, passages and vectors
vectors.py       the passages' embeddings in memory, and the nearest of them
indexer.py       keeps the index what its local sources are
web_refresh.py   brings a library that lives on the web up to date
"""
