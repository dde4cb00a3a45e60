"""The MCP servers behind the gateway: one supervised, persistent connection each, and one catalog of what they offer.

    upstreams.py        all of them: started and ended together, the right one found for a name
    upstream.py         one of them as it is called: deadline, circuit breaker, typed errors
    supervision.py      its life: start, health, restart with backoff
    transports.py       the wire to it: pipes, Streamable HTTP, HTTP+SSE
    child_process.py    its process, over stdio
    process_tree.py     the end of all that a server started, also when this gateway is killed
    stderr_log.py       what a server writes to stderr, bounded
    http_answers.py     what bounds an HTTP answer, and what its status means
    messages.py         bytes as JSON-RPC messages, read leniently
    mended_streams.py   a connection's streams, whose answers are mended on their way in
    answers.py          the rules by which they are
    connection.py       what is known of one connection and its end
    circuit_breaker.py  calls fail at once for a while, after failures in a row
    listing.py          everything that it lists, all pages
    list_updates.py     when that is read anew
    catalog.py          what all of them list, under the gateway's names
    definitions.py      what tools said of themselves when they were first seen
    names.py            server__tool and portico://server/...
    server_requests.py  what it asks while it is called (elicitation, sampling, roots), brought to the caller

Who may call what is not known here, nor who the host is.
"""
