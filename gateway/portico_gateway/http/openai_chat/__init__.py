"""OpenAI's chat completions.

    body.py      ChatCompletionRequest: the wire schema, and what it asks for
    objects.py   a completion, and the chunks of one
    endpoint.py  POST /v1/chat/completions

It knows `generation/` and what OpenAI's APIs share, and no other API.
"""
