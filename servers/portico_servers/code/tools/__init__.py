"""The six tools over one workspace.

    registration.py     names, descriptions, parameters, and errors as MCP sees them
    search.py           search by words or a pattern, and find_symbol
    find_references.py  uses of a name
    read.py             outline and read
    changed_since.py    what git says changed
    filters.py          the path and language filters
    results.py          what they answer on the wire, and the short text beside it

Only registration.py knows MCP; the rest are functions of a workspace that prompts and tests call as well.
"""
