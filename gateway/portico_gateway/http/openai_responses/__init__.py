"""OpenAI's responses.

    body.py            ResponsesRequest: the wire schema, and what it asks for
    tools.py           the tools, as the body has them and as the model calls them
    items.py           the input's items, as turns
    objects.py         a response with its items, and the events of one
    loop_output.py     the same of turns with calls between them that are made here
    response_store.py  the last responses, to go on from
    endpoint.py        POST, GET and DELETE /v1/responses, and the input's items

It knows `generation/`, `server_tools/` and what OpenAI's APIs share, and no other API.
"""
