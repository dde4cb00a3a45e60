"""A model behind other servers (vLLM, SGLang, llama-server, ...), in the place of this machine's engine.

    engine.py    RemoteEngine: implements `EngineClient` over a pool of servers
    prompt.py    RemotePrompt: a conversation where an engine's prompt is expected
    pool.py      which server gets a request: by its prompt's beginning, load and health; and the next one where that fails
    server.py    ModelServer: one connection, what is asked of it and how its answers are read
    first_model.py  the name of their model, before anything else runs
    chat_faults.py  how such servers say that a conversation is too long
    dialect.py   a grammar in the form that a server takes
    errors.py    what can go wrong with a server, as a tree

Prompt and grammar are ours, and what comes back is believed of no server: whoever generates checks it.
"""
