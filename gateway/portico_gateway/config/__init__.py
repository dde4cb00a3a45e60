"""What the user configured: portico.toml, hosts' JSON, the environment, and the folders a command was given.

    server_spec.py       how to reach one MCP server; Portico's own three over a folder
    sections.py          the sections of portico.toml: keys, defaults, limits
    portico_config.py    the whole: file, environment and flags -> PorticoConfig, or an error that names the line
    key_lines.py         on which line a key is
    mcp_servers_json.py  the server lists that MCP hosts keep
    workspace.py         which servers a command works with, and where to read that anew
    host_entry.py        the entry that adds Portico to a host
    logs.py              where logs go

Nothing here starts anything, and no other room is known here.
"""
