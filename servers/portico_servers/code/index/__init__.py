"""The live index of one root: what its files hold, kept up with what is saved, and which of them may match a pattern.

    root_index.py       RootIndex: the thread that scans, extracts, stores and watches; look-ups from any other
    throttle.py         work asked for often, held to a share of the time

    files.py            which files count, their sizes and times
    directory_times.py  whether files may have come or gone, without listing them
    extraction.py       one file's bytes -> everything that is kept of it
    extractor.py        extraction in child processes
    store.py            IndexStore: the SQLite file, and look-ups by name and path
    cache_file.py       whose that file is: one process writes it, others have copies

    regex_search.py     lines that match, by ripgrep over the files that may
    candidates.py       CandidateFiles: which files may match, and which changed since
    regex_trigrams.py   a regular expression's syntax -> the trigrams that its matches hold
    regex_info.py       what is known of the strings that a part of it matches
    trigrams.py         a file's trigrams as a bitmap, and queries of them

It knows nothing of MCP, nor of other roots.
"""
