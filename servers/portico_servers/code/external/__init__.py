"""Programs that run beside this one: bounded, ended with the call that asked, their words read into values.

    ripgrep.py         which files there are, and which of their lines match
    ignore_pipes.py    pipes in the places of ignore files hold no walk up
    git.py             what changed since a revision or a date
    git_store.py       a repository without its configuration: what git may see of a workspace
    git_config.py      the plain values that it takes over from configurations
    tracked_hidden.py  hidden folders that git tracks, which are searched

Nothing here knows the index. (The index's own child processes, which parse, are `index.extractor`'s.)
"""
