"""Ollama's API, for clients that know no other.

    body.py      OllamaChatRequest, OllamaGenerateRequest, OllamaShowRequest: the wire schemas, and what they ask for
    objects.py   the lines of an answer, and a model as Ollama describes it
    endpoint.py  POST /api/chat, /api/generate, /api/show, GET /api/tags, /api/version

It knows `generation/`, and no other API. Models are neither pulled nor removed here.
"""
