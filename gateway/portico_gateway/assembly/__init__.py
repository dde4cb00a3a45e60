"""The one place that builds a gateway, and what each way to run it adds.

    gateway.py        upstreams, policy, audit log, tool calls, own tools, MCP server, from the configuration
    config_reload.py  the configuration file is followed while the gateway runs
    stdio.py          `portico stdio`: on stdin and stdout, an engine when somebody asks
    listening.py      an address, a Unix socket, TLS
    serve.py          `portico serve`: behind HTTP, with a served model
    background.py     sessions for questions that a process answers for others
    ask_session.py    `portico ask`: servers and model side by side, and the agent over both

Everything else is known here; only the command line knows this room.
"""
