"""portico-docs: documentation for MCP hosts. Search it, read it, list it; every passage cites its anchor and line.

    __main__.py    the command: serves, or
    commands.py    adds, lists, refreshes and removes libraries
    server.py      the MCP server: tools, resources and prompts over one service
    tools/         search, read, list
    resources.py   docs:// resources and completion
    prompts.py     what a person picks from a menu
    config.py      which folders are served, and where the index is kept
    service.py     one running service: index, indexer, library
    deadline.py    blocking calls on worker threads, each within its time
    search/        from a question to passages
    index/         the index on disk, and who fills it
    ingest/        from sources to pages and passages
    errors.py      what can go wrong, typed

Above stands who uses what is below.
"""
