"""The engine in a child process, so that a crash of native code, or the system's killing it, leaves its parent alive.

    client.py         EngineProcess: starts the child, asks it, hears of its end    (the parent's side, asyncio)
    child.py          loads the engine and answers                                  (the child's side, threads)
    messages.py       what they say to each other, and how it lies on the wire
    grammar_cache.py  grammars cross once
    lazy_prior.py     what a prior believes of a tool crosses when a step looks at it
    exit_reason.py    how a process ended, in words

Nothing here knows the model or the requests; nothing outside of here knows the wire.
"""
