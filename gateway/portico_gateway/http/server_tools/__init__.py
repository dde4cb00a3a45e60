"""The gateway's own tools behind the APIs: their calls are made here, under the policy, and the model goes on with the results.

    wanted.py    the tool of type "mcp" as bodies have it, and what it asks for
    toolset.py   from that to the tools that one request's model may call, and their calls
    loop.py      ToolLoop: turns and calls until there is an answer, told as events
    respond.py   from a request to its loop: who calls, and whose consent counts

A call that needs consent waits for a person where the API can wait, and ends the answer where it can ask. Servers that a
request brings along are spoken to where the policy names their address, and nowhere else. It knows `generation/` and no API.
"""
