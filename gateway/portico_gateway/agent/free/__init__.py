"""The free loop, for models of a billion parameters and more: they choose, call, think and answer by themselves.

    loop.py              FreeAgent: the order of the turns, told as events
    limits.py            steps, seconds, tokens: what a question may use, and what it has used
    turns.py             a conversation as values: what was asked, written and found
    tool_form.py         how this model is told of tools and writes calls: its template's own way, or ours
    prompts.py           every text that the loop says to the model
    prompt_builder.py    turns to a prompt that fits, and how much of it is the same for every question
    turn_generation.py   one turn as a request, within what is left of time and tokens
    written_turn.py      one answer of the model, as it is written: thought, text, calls
    call_batch.py        the calls of one turn, beside each other where that is safe, results in order
    repeated_calls.py    the same call with the same result, again and again
    trimming.py          what is left out where the context is full
    verdict.py           how the question ended

What helps a small model is `guided/` and the gateway's `guidance`; nothing of either is seen here. The grammar is: a call that
is written is valid, whoever writes it.
"""
