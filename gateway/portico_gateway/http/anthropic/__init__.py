"""Anthropic's messages.

    body.py            MessagesRequest, CountTokensRequest: the wire schemas, and what they ask for
    deferred_tools.py  tools that are told of only once a search of the client's has found them
    objects.py         a message, and the events of one
    errors.py          the shape of an error
    endpoint.py        POST /v1/messages and /v1/messages/count_tokens

It knows `generation/`, and no other API.
"""
