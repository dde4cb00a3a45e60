"""The agent: one question, some tool calls, one answer with citations, by the local model.

    select.py                which loop a model gets, by its size
    guided/                  the agent of a small model: its loop, its calls, its answers
    free/                    the agent of a larger model: it calls, thinks and answers by itself
    events.py                what is told: a call started, a call finished, text, what was left out, the run's end
    judgement.py             what is thought of an answer: verdict, words used, confidence
    prompts.py               every text that is said to the model
    tool_host.py             what the agent needs of upstreams (a protocol)
    upstream_tool_host.py    the same over the gateway's upstreams, under policy
    question_looks.py        what our own servers read in a question before the model answers it, for the HTTP APIs
    host_calls.py            a call, made and told
    tool_search.py           `find_tools` and `call_tool`, for a catalog that is too large to be told
    tool_signatures.py       the catalog as a model reads it, within a budget
    stable_prefix.py         how much of a prompt is the same for every question
    catalog_warmup.py        what every prompt begins with, computed before anybody asks
    request_builder.py       from turns to the engine's request
    question_run.py          what one question has used and found so far
    rendered_results.py      a tool's result as text, with what it cites
    empty_results.py         results that say nothing, or only that something failed
    citations.py             citations that are opened again before they are printed
    conversation.py          the last conversation of a workspace, on disk

It knows tools by their schemas and the model by the engine's root API; no server by name, no HTTP, no terminal.
"""
