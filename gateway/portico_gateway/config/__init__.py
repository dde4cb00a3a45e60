"""What the user configured: portico.toml, hosts' JSON, the environment, and the folders a command was given.

    server_spec.py       how to reach one MCP server; Portico's own three over a folder
    sections.py          the sections of portico.toml: keys, defaults, limits
    portico_config.py    the whole: file, environment and flags -> PorticoConfig
    config_file.py       which file counts, and its bytes
    trust.py             which workspaces' files a person trusts
    usable.py            why an entry of a server can't be handed to a process or sent
    variables.py         ${VAR}, ${file:PATH}, env files, editors' variables
    mistakes.py          what is wrong, every mistake at once, in words that hold no secret
    edit.py              servers added to a file's text and taken out
    key_lines.py         on which line a key is
    mcp_servers_json.py  the server lists that MCP hosts keep
    loopback.py          which hosts are this machine, and the proxy to others
    places.py            are the given folders and databases there?
    workspace.py         which servers a command works with, and where to read that anew
    hosts/               Portico in the files of the hosts that start it
    isolated_python.py   how this Python is started as a child, so that a workspace's files are never imported
    logs.py              where logs go

Nothing here starts anything, and no other room is known here.
"""
