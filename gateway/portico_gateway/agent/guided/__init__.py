"""The agent of a model that must be guided (under a billion parameters): calls under a prior, answers in quotations.

    loop.py                  Agent: the order of the turns, told as events
    follow_up.py             a question that goes on from the last one, completed by it
    spoken_values.py         the values that a question says, which a follow-up may change
    reused_call.py           the last call again, with what a follow-up changed
    tool_call_generation.py  ranked tools, grammar and guidance: a valid call
    extraction/              what of a result may be an answer
    quotations.py            a choice among candidates: their weights, the grammar
    answer_generation.py     the answer, free or quoted
    coverage.py              which words of the question are accounted for
    verdict.py               whether the answer is given, and how sure it is

What helps it choose is in `guidance`, which knows nothing of here.
"""
