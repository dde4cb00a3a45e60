"""OpenAI's older completions: a text that goes on, without turns.

    body.py      CompletionRequest: the wire schema, and what it asks for
    objects.py   a text completion, and the chunks of one
    endpoint.py  POST /v1/completions

It knows `generation/` and what OpenAI's APIs share, and no other API.
"""
