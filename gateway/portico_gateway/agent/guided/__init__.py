"""The agent of a model that must be guided (under a billion parameters): calls under a prior, answers in quotations.

    loop.py      Agent: the order of the turns, told as events
    part_run.py  one part of a question under way
    questions/   what a question asks: follow-ups completed, parts taken apart, the kind of answer
    calls/       which call comes next: written by the model, made again, a search, what reads on
    extraction/  what of a result may be an answer
    answers/     the candidates of what was called, and the choice among them
    judging/     whether the answer is given, and how sure it is

What helps it choose is in `guidance`, which knows nothing of here.
"""
