"""Who may call what: rules, consent, the one path of every tool call, and its log.

    rules.py             allow, ask or deny, by names and annotations
    idle_patterns.py     patterns that name nothing of any server
    approvals.py         consents as records: asked for, decided, used once
    visible_text.py      what a person decides on, with nothing hidden in it
    consent.py           what a person is asked, and asking it through a host's dialog
    terminal_consent.py  asking it at a terminal
    quotas.py            how many calls a caller may make
    provenance.py        which arguments are copied from an untrusted result
    argument_texts.py    the texts of arguments as they are compared, and the names in them
    read_texts.py        what one caller has read and written, within bounds
    copy_search.py       which texts are copied from others
    slices.py            long work on the event loop, a slice at a time
    requested.py         whether a call is what the person's own words ask for
    remembered.py        answers of people that count for a while
    tool_calls.py        every tool call, resource and prompt: rules, consent, the upstream, the log
    audit.py             the log of calls: what a row says, and what waits to be written
    audit_database.py    its file, in SQLite

No protocol is known here: MCP hosts, the HTTP API, the terminal and the local model come as a `Caller`.
"""
