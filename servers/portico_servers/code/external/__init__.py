"""Programs that run beside this one: bounded, ended with the call that asked, their words read into values.

    ripgrep.py  which files there are, and which of their lines match
    git.py      what changed since a revision or a date

Nothing here knows the index. (The index's own child processes, which parse, are `index.extractor`'s.)
"""
