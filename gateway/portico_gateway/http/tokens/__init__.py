"""Texts as the model's tokens, and back, as vLLM and llama.cpp have them.

    body.py      the wire schemas
    endpoint.py  POST /tokenize and /detokenize

It knows `generation/` and what OpenAI's APIs share, and no other API.
"""
