"""The MCP servers behind the gateway: one supervised, persistent connection each, and one catalog of what they offer.

    upstreams.py        all of them: started and ended together, the right one found for a name
    upstream.py         one of them as it is called: deadline, circuit breaker, typed errors
    supervision.py      its life: start, health, restart with backoff
    client.py           the SDK's client, whose tool calls go straight to a server's pipes
    wire/               its connection: processes, HTTP, messages, and answers that are mended on their way in
    oauth/              authorization at servers that want a log-in
    circuit_breaker.py  calls fail at once for a while, after failures in a row
    listing.py          everything that it lists, all pages
    resource_watches.py  which resources hosts want to hear of
    list_updates.py     when that is read anew
    catalog.py          what all of them list, under the gateway's names
    definitions.py      what tools said of themselves when they were first seen
    definition_pins.py  that, kept from one process to the next
    cross_references.py  tools that speak of another server's tools
    names.py            server__tool and portico://server/...
    server_requests.py  what it asks while it is called (elicitation, sampling, roots), brought to the caller

Who may call what is not known here, nor who the host is.
"""
