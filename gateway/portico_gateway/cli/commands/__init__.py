"""One module a command: `NAME.py` has the click command of `portico NAME` as `command`.

    ask.py      a question, answered by the local model
    chat.py     a conversation
    serve.py    the HTTP side
    stdio.py    the MCP server for hosts that start it
    background.py  the processes that answer questions at once
    server.py   one of Portico's own servers alone
    config.py   Portico in an MCP host's file
    launch.py   coding agents on the local model
    key.py      keys for the HTTP side
    add.py, remove.py  servers in portico.toml
    login.py    logging in at servers that want it
    tools.py    what the servers offer
    trust.py    which workspaces' configurations count
    model.py    the default model
    models.py   all models: list, show, pull, convert, rm
    tokens.py   how a text is cut
    tune.py     an adapter of one's own
    audit.py    the log of tool calls
    policy.py   why a call runs, asks or is denied
    grammar.py  what tools or a schema compile to
    bench.py    how fast the model is here, by executor
    top.py      what a running server is doing
    doctor.py   is everything there?

Modules import what is costly inside their commands, so that help stays quick.
"""
