"""The gateway: one MCP server and one HTTP API in front of many MCP servers, with a local model that calls their tools.

    safe_output/  secrets taken out, escape sequences shown and not sent, files for their owner alone
    errors.py     everything that the gateway raises for bad input or a bad neighbour
    tracing.py    which request is being worked on: its id, and its spans
    caller.py     who calls, and how that side is asked something
    config/       what the user configured
    hub/          models from Hugging Face's hub, when a person asks for one
    background/   a process that stays behind a command and answers its next questions
    upstreams/    the MCP servers behind the gateway
    policy/       which tool calls run, which a person has to allow; their log
    model/        which model, started how, and who waits for it
    bench/        how fast a model is on this machine, by executor
    guidance/     what helps a small model to choose
    agent/        the loop: the local model answers a question with tools
    mcp/          the gateway as an MCP server
    http/         the APIs over HTTP
    assembly/     the one place that builds a gateway of all this
    tuning/       adapters of one's own: what of the gateway's goes into training
    cli/          the command line

In this order: a room imports from those above it. The engine is used through its root API alone, the servers' package for what
is in its `common`.
"""
