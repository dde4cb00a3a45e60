"""Three MCP servers, each useful alone. Importing this starts nothing and loads no model library.

    code/    portico-code: source code
    docs/    portico-docs: documentation
    db/      portico-db: databases
    common/  what the three share; the gateway uses it too

The servers know neither each other nor the gateway.
"""
