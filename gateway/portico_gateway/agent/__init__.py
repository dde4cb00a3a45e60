"""The agent: one question, some tool calls, one answer with citations, by the local model.

    loop.py                  Agent: the order of the turns, told as events
    events.py                what is told: a call started, a call finished, answer text, the run's end
    prompts.py               every text that is said to the model
    tool_host.py             what the agent needs of upstreams (a protocol)
    upstream_tool_host.py    the same over the gateway's upstreams, under policy
    tool_signatures.py       the catalog as a model reads it, within a budget
    stable_prefix.py         how much of a prompt is the same for every question
    request_builder.py       from turns to the engine's request
    question_run.py          what one question has used and found so far
    tool_call_generation.py  ranked tools, grammar and guidance: a valid call
    rendered_results.py      a tool's result as text, with what it cites
    quotations.py            passages of a result that a small model may answer with
    answer_generation.py     the answer, free or quoted
    citations.py             citations that are opened again before they are printed
    conversation.py          the last conversation of a workspace, on disk

It knows tools by their schemas and the model by the engine's root API; no server by name, no HTTP, no terminal. What helps a
small model choose is in `guidance`, which knows nothing of here.
"""
