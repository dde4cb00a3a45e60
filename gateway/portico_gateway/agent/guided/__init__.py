"""The agent of a model that must be guided (under a billion parameters): calls under a prior, answers in quotations.

    loop.py                  Agent: the order of the turns, told as events
    elliptical_question.py   a question that only makes sense after the last one, completed by it
    spoken_values.py         the values that a question says, which such a one may change
    reused_call.py           the last call again, with what changed
    plan.py                  a question of several parts, taken apart
    part_run.py              one part under way
    follow_up.py             the call that reads what a result names
    other_searches.py        the whole question to searches, whichever the model has chosen
    things.py                what a result names
    tool_call_generation.py  ranked tools, grammar and guidance: a valid call
    extraction/              what of a result may be an answer
    passage_features.py      how well a passage of a document answers
    history_pages.py         which passages tell what changed, and who asks for that
    passage_kinds.py         what kinds of answer a question asks of a document
    candidates.py            every candidate of what was called, weighed
    quotations.py            a choice among candidates: their weights, the grammar
    answer_generation.py     the answer, free or quoted
    coverage.py              which words of the question are accounted for
    agreement.py             do answers from different tools say the same
    answer_type.py           what kind of thing a question asks for
    search_features.py       what the searches tell of an answer: words they know, what another one found
    confidence.py            how sure it is that an answer is right
    verdict.py               whether the answer is given, and how sure it is

What helps it choose is in `guidance`, which knows nothing of here.
"""
