"""The free loop, for models of a billion parameters and more: they choose, call, think and answer by themselves.

    loop.py              FreeAgent: the order of the turns, told as events
    limits.py            steps, seconds, tokens: what a question may use, and what it has used
    turn_model.py        the seam: where turns come from
    local/               from this machine's own engine, under our grammar
    remote/              from an OpenAI-compatible server, every call checked
    searched_tools.py    the tools of one question where they are too many to be told
turns.py             a conversation as values: what was asked, written and found
    prompts.py           every text that the loop says to the model
    call_batch.py        the calls of one turn, beside each other where that is safe, results in order
    repeated_calls.py    the same call with the same result, again and again
    trimming.py          what is left out where the context is full
    verdict.py           how the question ended

What helps a small model is `guided/` and the gateway's `guidance`; nothing of either is seen here. The grammar is: a call that
is written is valid, whoever writes it.
"""
