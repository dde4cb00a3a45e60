"""The gateway as an MCP server, for hosts of both eras.

    server.py          requests of a host -> upstreams, under the gateway's names; errors -> MCP's
    host_caller.py     the `Caller` behind a request, and asking its host in its own era
    outward.py         results and tools as a host of either era may see them
    input_required.py  operations that wait for a host's answers, where a server can't send requests (2026-07-28)
    subscriptions.py   what hosts hear of resources that they subscribed to
    tasks.py           calls that run as tasks (2025-11-25): whose they are, and the way to their servers
    search_tools.py    `find_tools` and `call_tool` for hosts, in place of all tools
    ask_tool.py        the gateway's own tool: a whole question for the local model
    local_sampling.py  servers' sampling requests, answered by the local model

No transport is known here: `portico stdio` and `portico serve` bring theirs.
"""
