"""Texts by how they fit another, without an answer being written.

    rerank.py      POST /v1/rerank: documents by how likely the query is behind each
    embeddings.py  POST /v1/embeddings: a vector a text

It knows `generation/` and the shape of OpenAI's errors, and no other API.
"""
