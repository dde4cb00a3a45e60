"""portico-code: source code for MCP hosts. Search, symbols, references, outlines, lines and history, every hit with its lines.

    __main__.py      the command: directories and options, then serves
    server.py        the MCP server: tools, resources and prompts over one workspace
    tools/           search, find_symbol, find_references, outline, read, changed_since
    resources.py     code:// resources and completion
    prompts.py       what a person picks from a menu
    config.py        which directories are served, and where the index is kept
    workspace.py     the core that every tool asks: all roots, their indexes, the jail around them
    result_cache.py  results kept for the pages that follow
    index/           the live index of a root: extracts, stores, watches, says which files may match
    ranking/         which pieces of code answer a question
    external/        programs that run beside: git and ripgrep
    syntax/          one file: its language, text, definitions, references, pieces
    errors.py        what a caller can get wrong, typed

Above stands who uses what is below; `ranking`, `external` and `syntax` know nothing of each other. From `workspace` down
nothing knows MCP.
"""
